/** The map of all questions: answered, unanswered, flagged, current; each by text and shape. */

import { isAnswered, isFlagged, mayGo, numberOf, unanswered } from "../state.js";
import { button, h, icon, prose, say } from "./dom.js";

const wide = matchMedia("(min-width: 60rem)");

export function navigator(tools, state) {
  const cells = new Map(state.order.map((id) => [id, cell(id, numberOf(state, id), tools)]));
  const summary = h("p", { class: "map-summary" });
  const { sections, exam } = state.start;
  const groups = sections.map(({ title, items }) =>
    h(
      "section",
      {},
      sections.length > 1 && prose("h3", title, exam.language),
      h("ol", { class: "cells" }, items.map((id) => cells.get(id).element)),
    ),
  );
  const inner = h("div", { class: "map-inner" }, summary, groups, legend());
  const finish = button("Review and submit", tools.submit, { class: "finish", "aria-keyshortcuts": "Alt+S" });
  const element = h("nav", { class: "map", "aria-label": "Questions" }, folded(inner), finish);
  return {
    element,
    update(now) {
      for (const [id, one] of cells) one.update(now);
      const open = unanswered(now).length;
      say(summary, `${now.order.length - open} of ${now.order.length} answered, ${now.notes.flags.length} flagged`);
    },
  };
}

// On a narrow screen the map is folded so that the question comes first.
function folded(inner) {
  const details = h("details", { class: "map-fold", "aria-label": "All questions" }, h("summary", {}, h("h2", {}, "All questions")), inner);
  const fit = () => (details.open = wide.matches);
  wide.addEventListener("change", fit);
  fit();
  return details;
}

function cell(id, number, tools) {
  const word = h("span", { class: "unseen" });
  const element = button([h("span", { class: "number", "aria-hidden": "true" }, String(number)), icon("check"), icon("flag"), word], () => tools.go(id), { class: "cell" });
  return {
    element: h("li", {}, element),
    update(state) {
      const now = look(state, id);
      if (element.dataset.look === now.words) return;
      element.dataset.look = now.words;
      say(word, `Question ${number}, ${now.words}`);
      element.classList.toggle("answered", now.answered);
      element.classList.toggle("flagged", now.flagged);
      element.disabled = now.shut;
      if (now.current) setCurrent(element);
      else element.removeAttribute("aria-current");
    },
  };
}

// The list scrolls by itself only where it stands beside the question.
function setCurrent(element) {
  element.setAttribute("aria-current", "step");
  if (wide.matches) element.scrollIntoView({ block: "nearest" });
}

function look(state, id) {
  const answered = isAnswered(state, id);
  const flagged = isFlagged(state, id);
  const current = state.notes.current === id;
  const shut = !current && !mayGo(state, id);
  const words = [answered ? "answered" : "unanswered", flagged && "flagged", shut && "not reachable from here"];
  return { answered, flagged, current, shut, words: words.filter(Boolean).join(", ") + (current ? " " : "") };
}

function legend() {
  const kinds = [
    ["answered", "Answered"],
    ["", "Unanswered"],
    ["flagged", "Flagged"],
  ];
  const sample = (look) => h("span", { class: `cell sample ${look}`, "aria-hidden": "true" }, icon("check"), icon("flag"));
  return h("ul", { class: "legend" }, kinds.map(([look, word]) => h("li", {}, sample(look), word)));
}
