// Numbers, times and states in words. Pure: the time now is always an argument.

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const SHORT_CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric" });
const ZONE = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" });
const NUMBER = new Intl.NumberFormat("en-GB");

export const NOTHING = "–";

export const number = (value) => (value === null || value === undefined ? NOTHING : NUMBER.format(value));
export const percent = (value) => (value === null || value === undefined ? NOTHING : `${value} %`);
export const clock = (time) => (time ? CLOCK.format(new Date(time)) : NOTHING);
export const day = (time) => (time ? DAY.format(new Date(time)) : NOTHING);
export const dayAndClock = (time) => (time ? `${day(time)}, ${CLOCK.format(new Date(time))}` : NOTHING);

/** "Sun 22 Nov 2026, 09:00 to 12:00 CET" */
export function span(from, to) {
  const [start, end] = [new Date(from), new Date(to)];
  const sameDay = DAY.format(start) === DAY.format(end);
  const until = sameDay ? SHORT_CLOCK.format(end) : `${DAY.format(end)}, ${SHORT_CLOCK.format(end)}`;
  return `${DAY.format(start)}, ${SHORT_CLOCK.format(start)} to ${until} ${zone(end)}`;
}

/** 5025 -> "1:23:45", 185 -> "3:05" */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** "just now", "42 s ago", "5 min ago", "3 h ago", then the day. */
export function ago(time, nowMs) {
  if (!time) return NOTHING;
  const seconds = Math.floor((nowMs - Date.parse(time)) / 1000);
  if (seconds < 3) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return day(time);
}

/** "in 12 min" or, when it has passed, how long ago. */
export function until(time, nowMs) {
  const seconds = Math.ceil((Date.parse(time) - nowMs) / 1000);
  if (seconds <= 0) return ago(time, nowMs);
  if (seconds < 60) return `in ${seconds} s`;
  if (seconds < 5400) return `in ${Math.ceil(seconds / 60)} min`;
  return seconds < 172_800 ? `in ${Math.round(seconds / 3600)} h` : `on ${day(time)}`;
}

/** A rational such as "7/2" as "3.5"; whole numbers stay whole. */
export function points(rational) {
  if (rational === null || rational === undefined) return NOTHING;
  const [numerator, denominator = "1"] = String(rational).split("/");
  return String(Math.round((Number(numerator) / Number(denominator)) * 100) / 100);
}

export function plural(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** Attempt state to [words, tone, mark]; the mark is a shape, so that colour is never alone. */
export const STATES = {
  registered: ["Not here yet", "", "○"],
  checked_in: ["Checked in", "info", "◐"],
  in_progress: ["Answering", "accent", "▶"],
  paused: ["Paused", "warn", "‖"],
  submitted: ["Submitted", "good", "✓"],
  auto_submitted: ["Time over", "good", "✓"],
  force_submitted: ["Force closed", "good", "✓"],
  absent: ["Absent", "", "×"],
  voided: ["Voided", "bad", "×"],
};

export const CONNECTIONS = {
  never_seen: ["Never seen", "", "○"],
  online: ["Online", "good", "●"],
  idle: ["Idle", "warn", "◐"],
  disconnected: ["Disconnected", "bad", "✕"],
};

export const SOURCES = {
  live: ["● Live", "good", "Asked of the exam-client itself."],
  cached: ["● Cached", "good", "Asked of the exam-client a moment ago."],
  last_known: ["⚠ Last known", "warn", "The exam-client does not answer; the exam may well go on."],
  historical: ["Historical", "info", "The exam is over; these are the stored results."],
};

const PHASE_TONES = {
  Running: "accent", Prepared: "info", Preparing: "info", Assigned: "", Recovering: "warn", Finalising: "info",
  Transferring: "info", Validated: "good", CleanedUp: "good", Aborted: "bad", Failed: "bad",
};
const PHASE_WORDS = { CleanedUp: "Complete" };

/** [words, tone] of a delivery's phase. */
export const phase = (name) => [PHASE_WORDS[name] ?? name, PHASE_TONES[name] ?? ""];

function zone(time) {
  return ZONE.formatToParts(time).find((part) => part.type === "timeZoneName")?.value ?? "";
}

/** "2.5" or "2,5" -> "5/2": what the API takes is exact. What is no decimal goes as it is, and the API says why not. */
export function fraction(text) {
  const found = /^(\d{1,4})(?:[.,](\d{1,4}))?$/.exec(text);
  if (!found) return text;
  const [, whole, digits = ""] = found;
  const [numerator, denominator] = [Number(whole + digits), 10 ** digits.length];
  const divisor = greatestCommonDivisor(numerator, denominator);
  return denominator === divisor ? String(numerator / divisor) : `${numerator / divisor}/${denominator / divisor}`;
}

function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
