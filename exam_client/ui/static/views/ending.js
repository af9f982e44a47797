/** Screens around the end of an attempt: paused, time over, submitting, submitted, void. */

import { moment } from "../clock.js";
import { isAllSaved, saveStatus } from "../state.js";
import { saveWords } from "./bar.js";
import { button, h, say } from "./dom.js";
import { card } from "./entry.js";
import { factRow } from "./lobby.js";

export function paused() {
  return {
    element: card(
      "The exam is paused",
      h("p", {}, "Your time stands still and your answers are kept. This page goes on by itself when the invigilators resume the exam."),
    ),
  };
}

export function over(session) {
  const save = h("p", { class: "lead", role: "status" });
  return {
    element: card(
      "Your time is over",
      h("p", {}, "The questions are locked. Your saved answers are handed in by themselves in a moment; you can also do it now."),
      save,
      h("p", { class: "actions" }, button("Hand in now", () => session.submit(), { class: "primary" })),
    ),
    update: (state) => say(save, unsentWords(state) || "All your answers are saved."),
  };
}

export function submitting(session) {
  const save = h("p", { class: "lead", role: "status" });
  const cancel = button("Back to the questions", () => session.cancelSubmit());
  return {
    element: card("Submitting your exam…", save, h("p", { class: "actions" }, cancel)),
    update(state) {
      say(save, unsentWords(state) || "All your answers are saved. Closing the exam…");
      cancel.hidden = isAllSaved(state);
    },
  };
}

const unsentWords = (state) =>
  !isAllSaved(state) || state.link !== "online" ? `${saveWords(saveStatus(state))}. Please keep this page open.` : "";

const CLOSED_BY = {
  submitted: "Your exam is submitted",
  auto_submitted: "Your time was over: your exam was submitted for you",
  force_submitted: "The invigilators have submitted your exam",
};

export function final(session) {
  const body = h("div", {}, h("p", { role: "status" }, "Fetching your receipt…"));
  const element = card("", body);
  let shown = "";
  return {
    element,
    update(state) {
      say(element.firstChild, CLOSED_BY[state.attempt.state]);
      if (!state.outcome || key(state) === shown) return;
      shown = key(state);
      body.replaceChildren(...outcomeOf(state, session));
    },
  };
}

const key = ({ late, waiting }) => [late.kept, late.refused, waiting.size].join();

const edits = (count) => `${count} ${count === 1 ? "edit" : "edits"} from this device arrived`;

function outcomeOf({ outcome, late, waiting }, session) {
  const { receipt_code: code, ended_at: ended, progress, final_score: score } = outcome;
  const facts = [
    ended && ["Submitted", moment(ended)],
    progress && ["Answered", `${progress.questions_answered} of ${progress.total_questions} questions`],
    score !== undefined && score !== null && ["Score", `${score} %`],
  ].filter(Boolean);
  return [
    code && h("div", { class: "receipt" }, h("p", { id: "receipt-word" }, "Your receipt code"), h("p", { class: "receipt-code", "aria-labelledby": "receipt-word receipt-code", id: "receipt-code" }, code), copyButton(code)),
    h("dl", { class: "facts" }, facts.map(factRow)),
    h("p", {}, code ? "Write the code down or copy it: it proves that your exam was received." : "Your answers are kept by the exam."),
    late.kept > 0 && h("p", { class: "trouble" }, `${edits(late.kept)} after the end, and kept apart: the committee decides whether they count.`),
    late.refused > 0 && h("p", { class: "trouble" }, `${edits(late.refused)} after the exam was closed, and could not be taken.`),
    waiting.size > 0 && h("p", { class: "trouble" }, "Some answers have not left this device. Keep this page open and tell an invigilator."),
    h("p", { class: "actions" }, button("Sign out", () => session.signOut())),
  ].filter(Boolean);
}

function copyButton(code) {
  const done = h("span", { role: "status", class: "hint" });
  const copy = async () => {
    await navigator.clipboard.writeText(code).then(
      () => say(done, "Copied"),
      () => say(done, "Copying is not allowed here: please write it down"),
    );
  };
  return h("p", { class: "actions" }, button("Copy the code", copy), done);
}

const ENDED = {
  voided: ["This attempt is void", "The committee has voided this attempt. Please ask an invigilator."],
  absent: ["This exam has closed", "You are recorded as absent. Please ask an invigilator."],
};

export function ended(_, state) {
  const [title, text] = ENDED[state.attempt.state];
  return { element: card(title, h("p", {}, text)) };
}
