/** The bar at the top: which exam, whether the answers are saved, how much time is left. */

import { clockTime, countdown } from "../clock.js";
import { saveStatus, screenOf } from "../state.js";
import { h, icon, say } from "./dom.js";

const SITTING = ["exam", "paused", "over", "submitting"];
const LOW_MS = 300_000;

export function bar(root) {
  const title = h("p", { class: "bar-title" });
  const save = h("span", {});
  const saveBox = h("p", { class: "save" }, icon("check"), icon("offline"), save);
  const spoken = h("p", { class: "unseen", role: "status" });
  const time = h("span", { class: "digits" });
  const left = h("span", { class: "timer-word" }, "left");
  const timer = h("p", { class: "timer", role: "timer", "aria-label": "Time left" }, icon("clock"), time, left);
  const mark = h("img", { src: "/static/mark.svg", alt: "", width: "28", height: "28" });
  root.append(h("div", { class: "bar-inner" }, mark, title, saveBox, timer), spoken);

  return {
    update(state) {
      const sitting = SITTING.includes(screenOf(state));
      title.lang = sitting ? state.start.exam.language : "en";
      say(title, sitting ? state.start.exam.title : "MedXamion");
      saveBox.hidden = !sitting;
      saveBox.dataset.kind = saveStatus(state).kind;
      say(save, saveWords(saveStatus(state)));
      say(spoken, sitting ? spokenWords(saveStatus(state), spoken.textContent) : "");
    },
    /** Shows the time left (milliseconds), or nothing for null. */
    tick(leftMs) {
      timer.hidden = leftMs === null;
      if (leftMs === null) return;
      timer.classList.toggle("low", leftMs <= LOW_MS);
      say(time, countdown(leftMs));
    },
  };
}

// Who types must not hear of each save: in a text field only a change of the situation is spoken.
function spokenWords(status, before) {
  if (status.kind === "saving") return before;
  const isTyping = document.activeElement?.matches("input[type=text], textarea");
  return status.kind === "saved" && isTyping ? "All answers are saved" : saveWords(status);
}

const answers = (count) => `${count} ${count === 1 ? "answer waits" : "answers wait"} on this device`;

/** The save state in words. */
export function saveWords({ kind, at, count }) {
  switch (kind) {
    case "saving":
      return "Saving…";
    case "saved":
      return `Saved ${clockTime(at)}`;
    case "offline":
      return count ? `Offline: ${answers(count)}` : "Offline: you can go on answering";
    case "full":
      return count ? `The exam’s storage is full: ${answers(count)}` : "The exam’s storage is full";
    case "lost":
      return count ? `The exam’s storage is away: ${answers(count)}` : "The exam’s storage is away";
    default:
      return "";
  }
}
