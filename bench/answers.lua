-- Drives POST /exam/answer with a new command for every request.
--
-- Arguments: a file of sessions (one a line), a file of item ids, and a salt. Commands go round
-- robin over all pairs of participant and item; a pair comes again only after all others, so its
-- last revision is long acknowledged and the next base_revision is the number of the round.

-- wrk asks for one request at its start and never sends it; hence -1.
local sessions, items, salt, sent = {}, {}, "", -1
local letters = { "A", "B", "C", "D" }
local format, insert = string.format, table.insert

local function lines(path)
  local found = {}
  for line in io.lines(path) do insert(found, line) end
  return found
end

function init(args)
  sessions, items, salt = lines(args[1]), lines(args[2]), args[3]
  wrk.method, wrk.path = "POST", "/exam/answer"
end

function request()
  local pairs_ = #sessions * #items
  local number = math.max(sent, 0)
  local pair, round = number % pairs_, math.floor(number / pairs_)
  local session = sessions[pair % #sessions + 1]
  local item = items[math.floor(pair / #sessions) + 1]
  local body = format('{"question_id":%s,"answer":"%s","command_id":"%s%012d","base_revision":%d}',
    item, letters[(number + round) % 4 + 1], salt, number, round)
  sent = sent + 1
  return wrk.format(nil, nil, {
    ["Authorization"] = "Bearer " .. session,
    ["Content-Type"] = "application/json",
    ["Host"] = wrk.host,
  }, body)
end

function done(summary, latency)
  io.write(format(
    'FOUND {"requests":%d,"microseconds":%d,"refused":%d,"broken":%d,"p50":%d,"p99":%d,"max":%d}\n',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
