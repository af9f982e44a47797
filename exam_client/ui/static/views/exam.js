/** The exam itself: the question on the left, the map of all questions on the right. */

import { mayGo } from "../state.js";
import { h } from "./dom.js";
import { confirmOneWay, confirmSubmit, confirmUnsaved, showShortcuts } from "./dialogs.js";
import { navigator } from "./navigator.js";
import { questionPanel } from "./question.js";

export function exam(session, state, _, { polite }) {
  const leave = (id) => confirmOneWay(session, current(), id, () => session.go(id));
  const go = (id) => (panel?.holds() ? confirmUnsaved(() => leave(id)) : leave(id));
  let last = state;
  const current = () => last;
  const tools = { go, submit: () => confirmSubmit(session, last), shortcuts: showShortcuts, polite };
  const map = navigator(tools, state);
  const place = h("div", { class: "question-place" });
  const element = h("div", { class: "exam" }, place, map.element);
  let panel = null;

  return {
    element,
    update(now) {
      last = now;
      const id = now.notes.current;
      if (id !== null && panel?.id !== id) {
        panel = questionPanel(session, now, id, tools);
        place.replaceChildren(panel.element);
        panel.focus();
        scrollTo(0, 0);
      }
      panel?.update(now);
      map.update(now);
    },
    shortcut: (name) => SHORTCUTS[name]?.(last, tools, session),
  };
}

const step = (by) => (state, tools) => {
  const id = state.order[state.order.indexOf(state.notes.current) + by];
  if (id !== undefined && mayGo(state, id)) tools.go(id);
};

const SHORTCUTS = {
  next: step(1),
  previous: step(-1),
  flag: (state, _, session) => session.flag(state.notes.current),
  finish: (_, tools) => tools.submit(),
  map: () => {
    document.querySelector(".map-fold").open = true;
    document.querySelector(".map [aria-current]")?.focus();
  },
  help: (_, tools) => tools.shortcuts(),
};
