// Answers per minute over the last ten minutes at most, as bars and in words.

import { fill, h, setText, svg } from "./dom.js";
import { number } from "./format.js";

const SLOT_MS = 10_000;
const FEWEST_SLOTS = 18;
const MOST_SLOTS = 60;
const MINUTE_MS = 60_000;

export class Pace {
  #slots = new Map();
  #since = null;
  #value;
  #figure;

  constructor(card) {
    this.#value = h("p", {}, h("span", { class: "big" }, "0"), " ", h("span", { class: "muted" }));
    this.#figure = h("figure", { "aria-hidden": "true" });
    fill(card, h("h2", {}, "Pace"), this.#value, this.#figure);
  }

  /** Counts a saved answer. */
  count(event) {
    if (event.event_type !== "answer_submitted") return;
    const slot = Math.floor(Date.parse(event.timestamp) / SLOT_MS);
    this.#slots.set(slot, (this.#slots.get(slot) ?? 0) + 1);
  }

  draw(nowMs) {
    this.#since ??= nowMs;
    const last = Math.floor(nowMs / SLOT_MS);
    for (const slot of this.#slots.keys()) if (slot <= last - MOST_SLOTS) this.#slots.delete(slot);
    const elapsed = Math.ceil((nowMs - this.#since) / SLOT_MS);
    const length = Math.min(MOST_SLOTS, Math.max(FEWEST_SLOTS, elapsed));
    const values = Array.from({ length }, (_, index) => this.#slots.get(last - length + 1 + index) ?? 0);
    const perMinute = values.slice(-6).reduce((sum, value) => sum + value, 0);
    setText(this.#value.firstChild, number(perMinute));
    const whole = nowMs - this.#since >= MINUTE_MS;
    setText(this.#value.lastChild, `answers ${whole ? "in the last minute" : "since this page opened"}`);
    fill(this.#figure, bars(values));
  }
}

function bars(values) {
  const most = Math.max(4, ...values);
  const width = 100 / values.length;
  return svg(
    "svg",
    { viewBox: "0 0 100 48", preserveAspectRatio: "none", focusable: "false" },
    svg("rect", { class: "pace-base", x: 0, y: 47, width: 100, height: 1 }),
    values.map((value, index) => bar(index * width, width, (46 * value) / most, index === values.length - 1)),
  );
}

function bar(x, width, height, unfinished) {
  return svg("rect", { class: unfinished ? "pace-bar now" : "pace-bar", x: x + width * 0.14, y: 47 - height, width: width * 0.72, height });
}
