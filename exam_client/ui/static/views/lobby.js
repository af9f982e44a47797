/** Before the exam begins: what it is, how long, from when; and the button that begins it. */

import { countdown, inWords, moment } from "../clock.js";
import { button, h, prose, say } from "./dom.js";
import { card } from "./entry.js";

export function lobby(session, state, clock) {
  const wait = h("p", { class: "wait" });
  const digits = h("span", { class: "digits" });
  wait.append("The exam opens in ", digits);
  const error = h("p", { class: "trouble", role: "alert", hidden: true });
  const start = button("Start the exam", () => begin(session, start, error), { class: "primary large" });
  const opened = h("p", { class: "unseen", role: "status" });
  const facts = h("dl", { class: "facts" });
  const { exam, participant } = state.start;
  const element = card(
    "",
    h("p", { class: "lead" }, "Signed in as ", h("strong", {}, participant.name)),
    facts,
    exam.instructions && h("div", {}, h("h2", {}, "Instructions"), prose("div", exam.instructions, exam.language)),
    h("ul", { class: "notes" }, NOTES.map((note) => h("li", {}, note))),
    error,
    opened,
    h("div", { class: "actions start" }, wait, start),
  );
  element.classList.add("lobby");
  element.firstChild.replaceChildren(prose("span", exam.title, exam.language));

  let last = state;
  let wasOpen = null;
  let factsShown = "";
  const view = {
    element,
    update(now) {
      last = now;
      const shown = factsOf(now.start, clock);
      if (String(shown) !== factsShown) facts.replaceChildren(...shown.map(factRow));
      factsShown = String(shown);
    },
    tick() {
      const opensIn = clock.until(last.start.window.opens_at) ?? 0;
      const isOpen = opensIn <= 0;
      if (isOpen && wasOpen === false) say(opened, "The exam is open. You can start now.");
      wasOpen = isOpen;
      wait.hidden = isOpen;
      start.hidden = !isOpen;
      say(digits, countdown(opensIn));
    },
  };
  return view;
}

const NOTES = [
  "Your time begins when you press Start, and every answer is saved at once.",
  "If the connection or this computer fails, go on answering or sign in again: nothing that was saved is lost.",
  "You can sit this exam with the mouse, the keyboard or a screen reader. “Keyboard shortcuts” below each question lists the keys.",
];

function factsOf(start, clock) {
  const { opens_at: opens, closes_at: closes } = start.window;
  const toClose = Date.parse(closes) - Math.max(clock.serverNow() ?? 0, Date.parse(opens));
  const limit = Math.min(start.time_limit_seconds * 1000, Math.max(0, toClose));
  const shortened = limit + 999 < start.time_limit_seconds * 1000;
  return [
    ["Your time", inWords(limit) + (shortened ? " (until the exam closes)" : "")],
    ["Opens", moment(opens)],
    ["Closes", moment(closes)],
  ];
}

export const factRow = ([term, fact]) => h("div", {}, h("dt", {}, term), h("dd", {}, fact));

async function begin(session, start, error) {
  start.disabled = true;
  error.hidden = true;
  try {
    await session.begin();
  } catch (refusal) {
    error.hidden = false;
    error.textContent = refusal.message;
    start.disabled = false;
  }
}
