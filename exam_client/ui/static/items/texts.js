/** numeric, short_text and essay: answers that are typed, saved while typing rests. */

import { freshId, h, prose, say } from "../views/dom.js";

const DECIMAL = /^-?[0-9]{1,15}(\.[0-9]{1,15})?$/;
const NOT_A_NUMBER = "This is not saved: type a number, such as 7.35";
const NEAR_THE_END = 100;

/** A number. Answer: a decimal as a string. */
export function numeric(question, tools) {
  const unit = question.unit ? prose("span", question.unit, tools.lang, { class: "unit", id: freshId("unit") }) : null;
  const field = h("input", {
    type: "text",
    inputmode: "decimal",
    autocomplete: "off",
    class: "number",
    "aria-describedby": unit?.id,
  });
  return typed(field, question.unit ? `Your answer in ${question.unit}` : "Your answer (a number)", tools, {
    read: (text) => text.trim().replace("\u2212", "-").replace(",", ".") || null,
    wrong: (answer) => (answer === null || DECIMAL.test(answer) ? null : NOT_A_NUMBER),
    after: unit,
  });
}

/** A few words. Answer: a string. */
export function shortText(question, tools) {
  const field = h("input", { type: "text", autocomplete: "off", maxlength: question.max_length });
  return typed(field, "Your answer (a few words)", tools);
}

/** Free text. Answer: a string. */
export function essay(question, tools) {
  const most = question.max_length ?? 10_000;
  const id = freshId("count");
  const shown = h("p", { class: "hint", id });
  const spoken = h("span", { class: "unseen", role: "status" });
  const field = h("textarea", { rows: "12", maxlength: most, "aria-describedby": id, lang: tools.lang, dir: "auto" });
  const number = new Intl.NumberFormat("en-GB");
  return typed(field, "Your answer", tools, {
    after: [shown, spoken],
    onText: (text) => {
      const left = most - text.length;
      say(shown, `${number.format(text.length)} of ${number.format(most)} characters`);
      say(spoken, left > NEAR_THE_END ? "" : left ? "Fewer than 100 characters are left" : "No more characters fit");
    },
  });
}

// What the field holds as stored text: the two kinds of character that no database takes are left out.
const clean = (text) => text.replaceAll("\0", "").toWellFormed() || null;

function typed(field, label, tools, { read = clean, wrong = () => null, after = null, onText = () => {} } = {}) {
  const id = freshId("answer");
  field.id = id;
  field.spellcheck = false;
  const value = () => read(field.value);
  field.addEventListener("input", () => {
    onText(field.value);
    tools.answer(value(), { typing: true, wrong: wrong(value()) });
  });
  onText("");
  return {
    element: h("div", { class: "typed" }, h("label", { for: id }, label), field, after),
    field,
    value,
    set: (answer) => {
      field.value = answer ?? "";
      onText(field.value);
    },
  };
}
