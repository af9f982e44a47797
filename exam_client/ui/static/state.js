/**
 * What the page knows, and the only place where it changes: `reduce(state, event)` is pure, so each
 * rule can be tried without a browser or a server. What a view shows is derived by the selectors.
 */

const CLOSED = ["submitted", "auto_submitted", "force_submitted"];

export const INITIAL = Object.freeze({
  entry: "connecting", // until a session exists: connecting | sign_in | takeover | stopped
  notice: null, // what the entry screen has to say
  info: null,
  start: null,
  attempt: null, // {state, deadline, version}
  order: [],
  questions: {},
  answers: {}, // id -> {answer, revision, savedAt}; the answer is this device's, the rest the server's
  troubles: {}, // id -> why the answer on the screen is not saved
  waiting: new Set(), // ids of questions with edits on the way
  drafts: new Set(), // ids of questions that are being typed into
  late: { kept: 0, refused: 0 }, // edits that reached the server too late to count
  link: "online", // online | offline | full | lost
  savedAt: null,
  timeUp: false,
  submitting: false,
  outcome: null, // the reply to the submission
  messages: [],
  notes: { current: null, flags: [], struck: {}, read: [] },
});

export function reduce(state, event) {
  const rule = RULES[event.type];
  if (!rule) throw new Error(`no rule for ${event.type}`);
  return { ...state, ...rule(state, event) };
}

const RULES = {
  informed: (_, { info }) => ({ info }),
  entry: (_, { name, notice = null }) => ({ entry: name, notice, submitting: false }),
  started: (state, { start }) => ({
    entry: null,
    notice: null,
    start,
    order: (start.sections ?? []).flatMap((section) => section.items),
    ...withAttempt(state, start),
  }),
  notes: (state, { notes }) => ({ notes: { ...state.notes, ...notes } }),
  attempt: (state, { reply }) => withAttempt(state, reply),
  progress: (state, { reply }) => withProgress(state, reply),
  question: (state, { question }) => ({
    questions: { ...state.questions, [question.question_id]: question },
    answers: adopt(state, question.question_id, question),
  }),
  went: (state, { id }) => ({ notes: { ...state.notes, current: id } }),
  flagged: (state, { id }) => ({ notes: { ...state.notes, flags: toggled(state.notes.flags, id) } }),
  struck: (state, { id, option }) => ({ notes: withStruck(state, id, (now) => toggled(now, option)) }),
  edited: (state, { id, answer }) => ({
    answers: { ...state.answers, [id]: { ...known(state, id), answer } },
    troubles: without(state.troubles, id),
  }),
  waiting: (_, { ids, drafts }) => ({ waiting: ids, drafts }),
  saved: (state, { reply }) => ({
    answers: withStored(state, reply.question_id, reply),
    savedAt: later(state.savedAt, reply.saved_at),
    ...withAttempt(state, reply),
  }),
  refused: (state, { id, why }) => ({ troubles: { ...state.troubles, [id]: why } }),
  conflicted: (state, { id, stored, mine }) => withConflict(state, id, stored, mine),
  late: ({ late }, { kept }) =>
    ({ late: kept ? { ...late, kept: late.kept + 1 } : { ...late, refused: late.refused + 1 } }),
  link: (_, { link }) => ({ link }),
  timeUp: (_, { timeUp }) => ({ timeUp }),
  submitting: (_, { on }) => ({ submitting: on }),
  completed: (state, { reply }) => ({ outcome: reply, submitting: false, ...withAttempt(state, reply) }),
  // A later word about time replaces the earlier one.
  said: (state, { message }) => ({
    messages: [...state.messages.filter(({ kind }) => kind !== message.kind), message],
  }),
  dismissed: (state, { id }) => ({
    messages: state.messages.filter((message) => message.id !== id),
    notes: { ...state.notes, read: [...new Set([...state.notes.read, id])] },
  }),
};

const NOTHING = Object.freeze({ answer: null, revision: 0, savedAt: null });
const known = (state, id) => state.answers[id] ?? NOTHING;
const toggled = (list, value) =>
  list.includes(value) ? list.filter((other) => other !== value) : [...list, value];
const later = (one, other) => (one && one > other ? one : other);

function without(object, key) {
  const { [key]: _, ...rest } = object;
  return rest;
}

function withStruck(state, id, change) {
  const struck = { ...state.notes.struck, [id]: change(state.notes.struck[id] ?? []) };
  return { ...state.notes, struck };
}

// Replies overtake each other: an older deadline version must not undo a newer one.
function withAttempt(state, reply) {
  const { attempt } = state;
  const version = reply.deadline_version ?? 0;
  if (!reply.state || (attempt && version < attempt.version)) return {};
  if (attempt && CLOSED.includes(attempt.state) && version === attempt.version && !CLOSED.includes(reply.state)) {
    return {};
  }
  return { attempt: { state: reply.state, deadline: reply.deadline ?? null, version } };
}

function withProgress(state, reply) {
  const heard = new Set([...state.messages.map((message) => message.id), ...state.notes.read]);
  const fresh = (reply.announcements ?? [])
    .filter(({ id }) => !heard.has(`announcement-${id}`))
    .map(({ id, text, at }) => ({ id: `announcement-${id}`, kind: "announcement", text, at }));
  let { answers } = state;
  let savedAt = state.savedAt;
  for (const [id, stored] of Object.entries(reply.answers ?? {})) {
    answers = adopt({ ...state, answers }, Number(id), stored);
    savedAt = later(savedAt, stored.saved_at);
  }
  return {
    answers,
    savedAt,
    messages: [...state.messages, ...fresh],
    ...withAttempt(state, reply),
  };
}

// What the server holds is shown unless this device has something newer of its own on the way.
function adopt(state, id, stored) {
  const mine = known(state, id);
  const news = (stored.revision ?? 0) > mine.revision;
  const busy = state.waiting.has(id) || state.drafts.has(id) || state.troubles[id];
  if (!news || busy) return state.answers;
  const { answer, revision, saved_at: savedAt = null } = stored;
  return { ...state.answers, [id]: { answer, revision, savedAt } };
}

function withStored(state, id, reply) {
  const { revision, saved_at: savedAt } = reply;
  if (revision < known(state, id).revision) return state.answers;
  return { ...state.answers, [id]: { ...known(state, id), revision, savedAt } };
}

function withConflict(state, id, stored, mine) {
  const message = { id: `conflict-${id}-${stored.revision}`, kind: "conflict", question: id, mine };
  return {
    answers: { ...state.answers, [id]: { ...known(state, id), ...stored } },
    messages: [...state.messages.filter((other) => other.question !== id), message],
  };
}

/** Which screen to show. */
export function screenOf(state) {
  if (state.entry) return state.entry;
  const now = state.attempt?.state;
  if (now === "registered" || now === "checked_in") return "lobby";
  if (now === "absent" || now === "voided") return "ended";
  if (CLOSED.includes(now)) return "final";
  if (now === "paused") return "paused";
  if (state.submitting) return "submitting";
  return state.timeUp ? "over" : "exam";
}

/** An answer that counts as one: not empty. */
export const isAnswer = (answer) =>
  answer !== null && answer !== undefined && answer !== "" && (typeof answer !== "object" || Object.keys(answer).length > 0);

export const isAnswered = (state, id) => isAnswer(known(state, id).answer) && !state.troubles[id];
export const isFlagged = (state, id) => state.notes.flags.includes(id);
export const answerOf = (state, id) => known(state, id).answer;
export const revisionOf = (state, id) => known(state, id).revision;
export const numberOf = (state, id) => state.order.indexOf(id) + 1;
export const unanswered = (state) => state.order.filter((id) => !isAnswered(state, id));
export const sectionOf = (state, id) => state.start.sections.find((section) => section.items.includes(id));

/** The question to show first: where the participant was, else the first without an answer. */
export const resumeAt = (state) =>
  state.order.includes(state.notes.current) ? state.notes.current : (unanswered(state)[0] ?? state.order[0]);

/** Whether the exam's rules let the participant go from the current question to `id`. */
export function mayGo(state, id) {
  const here = state.order.indexOf(state.notes.current);
  const there = state.order.indexOf(id);
  if (there < 0 || there === here) return false;
  const rule = state.start.exam.navigation;
  if (rule === "linear") return there === here + 1;
  if (rule === "section_locked") return there > here ? isNextOrSame(state, id) : sameSection(state, id);
  return true;
}

/** Going to `id` closes what lies behind for good. */
export const isOneWay = (state, id) =>
  state.start.exam.navigation === "linear" ||
  (state.start.exam.navigation === "section_locked" && !sameSection(state, id));

const sameSection = (state, id) => sectionOf(state, id) === sectionOf(state, state.notes.current);

function isNextOrSame(state, id) {
  const { sections } = state.start;
  const step = sections.indexOf(sectionOf(state, id)) - sections.indexOf(sectionOf(state, state.notes.current));
  return step === 0 || (step === 1 && sections.includes(sectionOf(state, id)) && sectionOf(state, id).items[0] === id);
}

/** Whether the server has decided about everything that was entered. */
export const isAllSaved = (state) => state.waiting.size === 0 && state.drafts.size === 0;

/** What the page says about saving, as {kind, at?, count?}. */
export function saveStatus(state) {
  const count = state.waiting.size;
  if (state.link !== "online") return { kind: state.link, count };
  if (!isAllSaved(state)) return { kind: "saving", count };
  return state.savedAt ? { kind: "saved", at: state.savedAt } : { kind: "none" };
}
