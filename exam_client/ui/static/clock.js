/**
 * Time as the server tells it. The computer's own clock is never asked, since it may be wrong or be
 * set back: between two replies only the monotonic `performance.now()` counts.
 */

const STALE_MS = 30_000;
const WARNINGS = [600, 300, 60];

export class Clock {
  #now;
  #offset = null;
  #trip = Infinity;
  #at = -Infinity;

  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  /** Learns from a reply; one that travelled long says little and yields to a fresh better one. */
  sync(serverTime, sent, received) {
    const trip = received - sent;
    const better = trip <= 2 * this.#trip + 50;
    if (!better && received - this.#at < STALE_MS) return;
    this.#offset = Date.parse(serverTime) - (sent + received) / 2;
    this.#trip = trip;
    this.#at = received;
  }

  /** The server's time in epoch milliseconds, or null before the first reply. */
  serverNow() {
    return this.#offset === null ? null : this.#now() + this.#offset;
  }

  /** Milliseconds until an RFC 3339 instant (negative after it), or null when unknown. */
  until(instant) {
    return instant && this.#offset !== null ? Date.parse(instant) - this.serverNow() : null;
  }
}

/** The warning (seconds before the end) that this much time left calls for, or null. */
export const warningAt = (leftMs) =>
  WARNINGS.findLast((seconds) => leftMs > 0 && leftMs <= seconds * 1000) ?? null;

/** 83:05 as "1:23:05"; minutes and seconds below an hour. Rounds up: 0:00 is the very end. */
export function countdown(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
}

/** A length of time in words: "1 hour 30 minutes". */
export function inWords(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const units = [
    ["hour", Math.floor(seconds / 3600)],
    ["minute", Math.floor(seconds / 60) % 60],
    ["second", seconds < 600 ? seconds % 60 : 0],
  ];
  const shown = units.filter(([, count]) => count > 0);
  const words = shown.map(([unit, count]) => `${count} ${unit}${count === 1 ? "" : "s"}`);
  return words.join(" ") || "0 seconds";
}

const zoned = (options) => new Intl.DateTimeFormat("en-GB", options);
const CLOCK = zoned({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MOMENT = zoned({ weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export const clockTime = (instant) => CLOCK.format(new Date(instant));
export const moment = (instant) => MOMENT.format(new Date(instant));
