/** single_best and pick_n: options as radio buttons or check boxes, which can be struck out. */

import { button, freshId, h, icon, prose, say } from "../views/dom.js";

const letter = (place) => (place < 26 ? String.fromCharCode(65 + place) : String(place + 1));

/** One of the options. Answer: an option id. */
export function singleBest(question, tools) {
  const list = optionList(question, tools, "radio", () => tools.answer(value()));
  const value = () => list.chosen()[0] ?? null;
  return {
    element: h("fieldset", { class: "options" }, h("legend", {}, "Choose the one best answer"), list.element),
    value,
    set: (answer) => list.choose(answer === null ? [] : [answer]),
    setStruck: list.strike,
  };
}

/** At most `pick` options. Answer: a list of option ids. */
export function pickN(question, tools) {
  const { pick } = question;
  const count = h("p", { class: "hint", role: "status" });
  const list = optionList(question, tools, "checkbox", (box) => {
    const tooMany = list.chosen().length > pick;
    if (tooMany) box.checked = false;
    tell(tooMany ? ` You can choose no more than ${pick}: clear one first.` : "");
    if (!tooMany) tools.answer(value());
  });
  const value = () => (list.chosen().length ? list.chosen().sort() : null);
  const tell = (more) => say(count, `${list.chosen().length} of ${pick} chosen.${more}`);
  tell("");
  return {
    element: h("fieldset", { class: "options" }, h("legend", {}, `Choose ${pick} answers`), list.element, count),
    value,
    set: (answer) => {
      list.choose(answer ?? []);
      tell("");
    },
    setStruck: list.strike,
  };
}

function optionList(question, tools, type, onChange) {
  const name = freshId("option");
  const rows = question.options.map((option, place) => optionRow(option, letter(place), { name, type }, tools, onChange));
  return {
    element: h("ul", { class: "option-list" }, rows.map((row) => row.element)),
    chosen: () => rows.filter((row) => row.input.checked).map((row) => row.id),
    choose: (ids) => rows.forEach((row) => (row.input.checked = ids.includes(row.id))),
    strike: (ids) => rows.forEach((row) => row.strike(ids.includes(row.id))),
  };
}

function optionRow({ id, text }, mark, { name, type }, tools, onChange) {
  const input = h("input", { type, name, value: id, onchange: () => onChange(input) });
  const gone = h("span", { class: "unseen" });
  const words = h("span", { class: "option-words" }, prose("span", text, tools.lang), gone);
  const label = h("label", {}, input, h("span", { class: "letter", "aria-hidden": "true" }, mark), words);
  const strike = button(icon("strike"), () => tools.strike(id), {
    class: "quiet strike",
    "aria-pressed": "false",
    "aria-label": `Strike out option ${mark}`,
    title: `Strike out option ${mark}`,
  });
  const element = h("li", { class: "option" }, label, strike);
  return {
    id,
    input,
    element,
    strike: (isStruck) => {
      element.classList.toggle("struck", isStruck);
      strike.setAttribute("aria-pressed", String(isStruck));
      say(gone, isStruck ? " (struck out)" : "");
    },
  };
}
