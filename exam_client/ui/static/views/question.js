/** One question: what it asks, what it shows, the control for the answer, and the way on. */

import { controlFor } from "../items/index.js";
import { answerOf, isAnswer, isAnswered, isFlagged, isOneWay, mayGo, numberOf, sectionOf } from "../state.js";
import { openImage } from "./dialogs.js";
import { button, freshId, h, icon, prose, say } from "./dom.js";

export function questionPanel(session, state, id, tools) {
  const heading = h("h2", { tabindex: "-1", class: "question-heading" }, `Question ${numberOf(state, id)} of ${state.order.length}`);
  const body = h("div", { class: "question-body" }, h("p", { class: "hint", role: "status" }, "Loading the question…"));
  const flag = button([icon("flag"), h("span", {}, "Flag")], () => session.flag(id), { class: "quiet", "aria-pressed": "false", "aria-keyshortcuts": "Alt+M" });
  const clear = button("Clear answer", () => clearAnswer(), { class: "quiet" });
  const trouble = h("p", { class: "trouble", role: "alert", id: freshId("trouble"), hidden: true });
  const note = h("p", { class: "hint" });
  const ways = waysOn(state, id, tools);
  const element = h(
    "article",
    { class: "question" },
    h("header", { class: "question-top" }, h("div", {}, sectionTitle(state, id), heading), flag),
    body,
    trouble,
    h("div", { class: "question-tools" }, clear, note),
    ways.element,
  );
  // Where answers may not be changed, a choice is held until it is saved on purpose.
  const isFinal = !state.start.exam.review.change_answers;
  const keep = button("Save this answer for good", () => saveHeld(), { class: "primary" });
  if (isFinal) clear.replaceWith(keep);
  let control = null;
  let held = null;

  function clearAnswer() {
    control?.set(null);
    session.answer(id, null);
    say(tools.polite, "Answer cleared");
  }

  function take(answer, how) {
    if (!isFinal) return session.answer(id, answer, how);
    held = { answer, wrong: how?.wrong };
    keep.disabled = !isAnswer(answer);
  }

  function saveHeld() {
    const { answer, wrong } = held;
    held = null;
    session.answer(id, answer, { wrong });
  }

  function showFinal(now) {
    const isSaved = isAnswered(now, id);
    keep.disabled = isSaved || !isAnswer(held?.answer);
    control?.element.querySelectorAll("input, textarea").forEach((input) => (input.disabled = isSaved));
    say(note, isSaved ? "This answer is saved. In this exam, answers cannot be changed." : "In this exam, a saved answer cannot be changed.");
  }

  function build(question, now) {
    control = controlFor(question, {
      lang: now.start.exam.language,
      answer: take,
      strike: (option) => session.strike(id, option),
    });
    control.field?.setAttribute("aria-errormessage", trouble.id);
    body.replaceChildren(...contentOf(question, now), control.element);
  }

  return {
    id,
    element,
    holds: () => isAnswer(held?.answer),
    focus: () => heading.focus({ preventScroll: true }),
    update(now) {
      const question = now.questions[id];
      if (question && !control) build(question, now);
      const flagged = isFlagged(now, id);
      flag.setAttribute("aria-pressed", String(flagged));
      say(flag.lastChild, flagged ? "Flagged" : "Flag");
      clear.disabled = !control || answerOf(now, id) === null;
      if (isFinal) showFinal(now);
      showTrouble(trouble, control?.field, now.troubles[id]);
      if (!control) return;
      if (!held && !same(control.value(), answerOf(now, id))) control.set(answerOf(now, id));
      control.setStruck?.(now.notes.struck[id] ?? []);
    },
  };
}

function showTrouble(trouble, field, why) {
  trouble.hidden = !why;
  say(trouble, why ?? "");
  if (why) field?.setAttribute("aria-invalid", "true");
  else field?.removeAttribute("aria-invalid");
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

function sectionTitle(state, id) {
  const section = sectionOf(state, id);
  return state.start.sections.length > 1 && prose("p", section.title, state.start.exam.language, { class: "section-title" });
}

function contentOf(question, state) {
  const lang = state.start.exam.language;
  const section = sectionOf(state, question.question_id);
  const opens = section.items[0] === question.question_id && section.instructions;
  const points = `${question.max_points} ${question.max_points === "1" ? "point" : "points"}`;
  return [
    opens && prose("div", section.instructions, lang, { class: "section-note" }),
    ...(question.stimuli ?? []).map((stimulus) => stimulusOf(stimulus, lang)),
    prose("div", question.stem, lang, { class: "stem" }),
    h("p", { class: "hint points" }, points),
  ].filter(Boolean);
}

function stimulusOf({ title, text, media_url: url, alt }, lang) {
  return h(
    "section",
    { class: "stimulus" },
    title && prose("h3", title, lang),
    text && prose("div", text, lang),
    url && imageOf(url, alt, lang),
  );
}

function imageOf(url, alt, lang) {
  const image = h("img", { src: url, alt, lang });
  const zoom = button([icon("zoom"), "Enlarge the image"], () => openImage(url, alt, lang), { class: "quiet" });
  return h("figure", {}, image, h("figcaption", {}, zoom));
}

function waysOn(state, id, tools) {
  const place = state.order.indexOf(id);
  const before = state.order[place - 1];
  const after = state.order[place + 1];
  const back = mayGo(state, before) && !isOneWay(state, before);
  const previous = button([icon("left"), "Previous"], () => tools.go(before), { class: "turn", "aria-keyshortcuts": "Alt+P" });
  const next = button(["Next", icon("right")], () => tools.go(after), { class: "turn primary", "aria-keyshortcuts": "Alt+N" });
  const finish = button("Review and submit", tools.submit, { class: "primary" });
  const help = button("Keyboard shortcuts", tools.shortcuts, { class: "link" });
  return {
    element: h(
      "div",
      { class: "ways" },
      back ? previous : h("span"),
      after === undefined ? finish : next,
      h("div", { class: "ways-help" }, help),
    ),
  };
}
