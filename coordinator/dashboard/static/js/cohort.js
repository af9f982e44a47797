// The participants of one delivery as the page knows them: newest wins. Pure but for its own state.

const OPEN = new Set(["in_progress", "paused"]);
const DONE = new Set(["submitted", "auto_submitted", "force_submitted"]);
const STALLED_MS = 10 * 60_000;

export const isOpen = (row) => OPEN.has(row.state);
export const isDone = (row) => DONE.has(row.state);

export class Cohort {
  #rows = new Map();
  stream = null;

  get size() {
    return this.#rows.size;
  }

  get(id) {
    return this.#rows.get(id);
  }

  rows() {
    return [...this.#rows.values()];
  }

  /** Everything anew, as a snapshot on the socket says. */
  replace(live, stream) {
    this.#rows = new Map(live.participants.map((row) => [row.participant_id, row]));
    this.stream = stream ?? this.stream;
  }

  /** A reply of live-progress: it may have been overtaken by events, row by row. */
  merge(live) {
    for (const row of live.participants) {
      const known = this.#rows.get(row.participant_id);
      const overtaken = known && isNewer(known.last_activity, row.last_activity);
      this.#rows.set(row.participant_id, overtaken ? { ...known, ...seenNow(row) } : row);
    }
  }

  /** One event of the stream, with the state that it led to. */
  apply({ stream, event, participant }) {
    this.stream = stream;
    if (!participant) return;
    const known = this.#rows.get(participant.participant_id);
    this.#rows.set(participant.participant_id, known ? keepKnown(known, participant, event) : participant);
  }

  /** The figures of the tiles, from the rows that stand below them. */
  stats() {
    const rows = this.rows();
    const count = (test) => rows.reduce((sum, row) => sum + (test(row) ? 1 : 0), 0);
    const answering = rows.filter((row) => row.progress.questions_answered > 0);
    return {
      enrolled: rows.length,
      started: count((row) => row.started_at || isOpen(row) || isDone(row)),
      answering: count((row) => row.state === "in_progress"),
      paused: count((row) => row.state === "paused"),
      done: count(isDone),
      waiting: count((row) => row.state === "registered" || row.state === "checked_in"),
      disconnected: count((row) => isOpen(row) && row.connection === "disconnected"),
      answers: rows.reduce((sum, row) => sum + row.progress.questions_answered, 0),
      averageScore: mean(answering.map(score)),
      averageAnswered: mean(answering.map((row) => row.progress.questions_answered)),
      total: rows.reduce((most, row) => Math.max(most, row.progress.total_questions), 0),
    };
  }
}

export const score = (row) => row.final_score ?? row.progress.current_score;

/** Seconds left at that moment; null where no clock runs. A pause keeps what was left. */
export function secondsLeft(row, nowMs) {
  if (row.state === "paused") return row.progress.time_remaining;
  if (row.state !== "in_progress" || !row.deadline) return null;
  return Math.max(0, (Date.parse(row.deadline) - nowMs) / 1000);
}

/** What somebody should look at, the worst first: {rank, words}; null when all is well. */
export function issue(row, nowMs) {
  if (!isOpen(row)) return null;
  if (row.connection === "disconnected") return { rank: 0, words: "Disconnected" };
  if (row.unsynced > 0) return { rank: 1, words: `${row.unsynced} unsynced` };
  if (isStalled(row, nowMs)) return { rank: 2, words: "No answer for a long time" };
  return null;
}

export function isStalled(row, nowMs) {
  const since = row.last_save ?? row.started_at;
  return row.state === "in_progress" && since !== null && nowMs - Date.parse(since) > STALLED_MS;
}

export const FILTERS = {
  all: ["All", () => true],
  issues: ["Issues", (row, nowMs) => issue(row, nowMs) !== null],
  answering: ["Answering", (row) => row.state === "in_progress"],
  paused: ["Paused", (row) => row.state === "paused"],
  waiting: ["Not started", (row) => row.state === "registered" || row.state === "checked_in"],
  done: ["Done", isDone],
};

const STATE_ORDER = ["in_progress", "paused", "checked_in", "registered", "submitted", "auto_submitted", "force_submitted", "absent", "voided"];
const CONNECTION_ORDER = ["disconnected", "idle", "online", "never_seen"];

/** Column to the value it sorts by. `issues` is the order of attention. */
export const SORT_KEYS = {
  issues: (row, nowMs) => (issue(row, nowMs)?.rank ?? 9) * 10 + STATE_ORDER.indexOf(row.state),
  name: (row) => row.name ?? "",
  identifier: (row) => row.identifier ?? "",
  state: (row) => STATE_ORDER.indexOf(row.state),
  connection: (row) => CONNECTION_ORDER.indexOf(row.connection),
  answered: (row) => row.progress.questions_answered,
  score: (row) => (row.progress.questions_answered ? score(row) : -1),
  left: (row, nowMs) => secondsLeft(row, nowMs) ?? Number.MAX_SAFE_INTEGER,
  saved: (row) => (row.last_save ? Date.parse(row.last_save) : 0),
  unsynced: (row) => row.unsynced,
};

/** Rows that pass filter and search, in order; equal ones by name, so that rows do not jump. */
export function view(rows, { filter, search, sort, descending }, nowMs) {
  const wanted = search.trim().toLowerCase();
  const [, passes] = FILTERS[filter];
  const matches = (row) => !wanted || `${row.name ?? ""} ${row.identifier ?? ""}`.toLowerCase().includes(wanted);
  const keyed = rows
    .filter((row) => passes(row, nowMs) && matches(row))
    .map((row) => [SORT_KEYS[sort](row, nowMs), row]);
  const direction = descending ? -1 : 1;
  keyed.sort(([a, rowA], [b, rowB]) => direction * compare(a, b) || byName(rowA, rowB));
  return keyed.map(([, row]) => row);
}

function compare(a, b) {
  if (typeof a === "string") return COLLATOR.compare(a, b);
  return a - b;
}

const COLLATOR = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const byName = (a, b) => COLLATOR.compare(a.name ?? "", b.name ?? "") || a.participant_id - b.participant_id;

const isNewer = (a, b) => Boolean(a) && (!b || Date.parse(a) > Date.parse(b));
const seenNow = ({ connection, unsynced }) => ({ connection, unsynced });

const ACTIVE_EVENTS = new Set(["participant_checked_in", "participant_started", "answer_submitted"]);

/** An event knows no names, and of the connection only that somebody just did something. */
function keepKnown(known, row, event) {
  return {
    ...row,
    name: row.name ?? known.name,
    identifier: row.identifier ?? known.identifier,
    unsynced: known.unsynced,
    connection: ACTIVE_EVENTS.has(event.event_type) ? "online" : known.connection,
  };
}

const mean = (values) => (values.length ? Math.round(values.reduce((a, b) => a + b, 0) / values.length) : null);
