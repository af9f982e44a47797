// What happened last, newest first; answers are too many for words, so they only count in the pace.

import { h } from "./dom.js";
import { clock, percent } from "./format.js";

const MOST = 60;

const PARTICIPANT_EVENTS = {
  participant_checked_in: (event) => (event.offline ? "signed in at the exam-client" : "signed in"),
  participant_started: () => "started",
  participant_completed: (event) => `finished${event.final_score === undefined ? "" : ` with ${percent(event.final_score)}`}`,
  attempt_changed: (event) => CHANGES[event.reason] ?? event.reason,
};

const CHANGES = {
  time_granted: "was given extra time",
  paused: "was paused",
  resumed: "was resumed",
  reopened: "was reopened",
  outage_credit: "was credited the outage",
  window_moved: "has a new deadline",
  takeover: "moved to another device",
};

const DELIVERY_CHANGES = {
  assigned: ["Delivery assigned", ""],
  recovered: ["Exam-client recovered from its file", "bad"],
  opened: ["The exam opened", ""],
  frozen: ["Delivery frozen for transfer", ""],
  rolled_back: ["Delivery rolled back to running", ""],
  storage_full: ["Storage is full", "bad"],
  storage_ok: ["Storage has room again", ""],
  action_applied: ["An action took effect", ""],
  outage_proposed: ["An outage credit waits for a decision", "bad"],
};

export class Ticker {
  #list;
  #rowOf;

  constructor(list, rowOf) {
    this.#list = list;
    this.#rowOf = rowOf;
  }

  add(event) {
    const told = this.#told(event);
    if (!told) return;
    const [words, tone] = told;
    this.#list.prepend(h("li", {}, h("time", { datetime: event.timestamp }, clock(event.timestamp)), h("span", { class: tone }, words)));
    while (this.#list.childElementCount > MOST) this.#list.lastElementChild.remove();
  }

  #told(event) {
    if (event.event_type === "delivery_changed") return DELIVERY_CHANGES[event.change] ?? [event.change, ""];
    const words = PARTICIPANT_EVENTS[event.event_type]?.(event);
    if (!words) return null;
    const row = this.#rowOf(event.participant_id);
    return [`${row?.name ?? row?.identifier ?? `Participant ${event.participant_id}`} ${words}`, ""];
  }
}
