/** Messages from the invigilators and about time: shown until dismissed, and spoken once. */

import { clockTime, inWords } from "../clock.js";
import { numberOf, screenOf } from "../state.js";
import { button, h, icon, prose } from "./dom.js";

const TITLES = {
  announcement: "Message from the invigilators",
  time: "Time",
  extra: "Time was added",
  resumed: "The exam goes on",
  conflict: "An answer was changed elsewhere",
  problem: "This did not work",
};

const ABOUT_TIME = ["time", "extra", "resumed"];

export function messages(root, { urgent }, session) {
  const shown = new Map();

  return {
    update(state) {
      const wanted = wantedIn(state);
      for (const [id, element] of shown) {
        if (wanted.some((message) => message.id === id)) continue;
        keepFocus(element, root);
        element.remove();
        shown.delete(id);
      }
      for (const message of wanted.filter(({ id }) => !shown.has(id))) {
        const element = banner(message, state, session);
        shown.set(message.id, element);
        root.append(element);
        urgent.textContent = `${TITLES[message.kind]}: ${wordsOf(message, state)}`;
      }
      root.hidden = shown.size === 0;
    },
  };
}

// Once the time is over, only what the invigilators say still matters.
function wantedIn(state) {
  if (state.entry) return [];
  const isOver = ["over", "final", "ended"].includes(screenOf(state));
  return state.messages.filter(({ kind }) => !isOver || ["announcement", "problem"].includes(kind));
}

// A button that vanishes under the keyboard must not throw its user to the top of the page.
function keepFocus(element, root) {
  if (!element.contains(document.activeElement)) return;
  const next = element.nextElementSibling?.querySelector("button");
  (next ?? root.ownerDocument.querySelector("main h1, main h2"))?.focus();
}

function banner(message, state, session) {
  const { id, kind, at } = message;
  const words = wordsOf(message, state);
  const isProse = kind === "announcement";
  const title = h("strong", {}, TITLES[kind], isProse && at ? ` (${clockTime(at)})` : "");
  const text = isProse ? prose("p", words, state.start.exam.language) : h("p", {}, words);
  const close = button("Dismiss", () => session.dismiss(id), { class: "quiet" });
  const again = kind === "conflict" && screenOf(state) === "exam" && message.mine !== null;
  const mine = button("Use my answer", () => {
    session.answer(message.question, message.mine);
    session.dismiss(id);
  });
  return h("div", { class: `message ${kind}` }, icon(ABOUT_TIME.includes(kind) ? "clock" : "info"), h("div", {}, title, text), again && mine, close);
}

function wordsOf(message, state) {
  switch (message.kind) {
    case "time":
      return `${inWords(message.left)} left.`;
    case "extra":
      return `You have ${inWords(message.gained)} more. Your time now ends at ${clockTime(state.attempt.deadline)}.`;
    case "resumed":
      return `The time of the pause was added. Your time ends at ${clockTime(state.attempt.deadline)}.`;
    case "conflict":
      return `Question ${numberOf(state, message.question)} now shows the answer that is stored. Your edit here was not saved.`;
    default:
      return message.text;
  }
}
