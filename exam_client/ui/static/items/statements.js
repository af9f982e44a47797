/** multiple_true_false: each statement is judged by itself. Answer: option id to true or false. */

import { freshId, h, prose } from "../views/dom.js";

export function multipleTrueFalse(question, tools) {
  const rows = question.options.map((option) => statement(option, tools, () => tools.answer(value())));
  const value = () => {
    const judged = rows.filter((row) => row.judgement() !== null).map((row) => [row.id, row.judgement()]);
    return judged.length ? Object.fromEntries(judged.sort()) : null;
  };
  return {
    element: h(
      "div",
      { class: "statements" },
      h("p", { class: "task" }, "Decide for each statement: true or false"),
      rows.map((row) => row.element),
    ),
    value,
    set: (answer) => rows.forEach((row) => row.judge(answer?.[row.id] ?? null)),
  };
}

function statement({ id, text }, tools, onChange) {
  const name = freshId("statement");
  const inputs = [true, false].map((truth) => h("input", { type: "radio", name, value: String(truth), onchange: onChange }));
  const labels = inputs.map((input, place) => h("label", {}, input, place ? "False" : "True"));
  return {
    id,
    element: h(
      "fieldset",
      { class: "statement" },
      h("legend", {}, prose("span", text, tools.lang)),
      h("div", { class: "truths" }, labels),
    ),
    judgement: () => inputs.filter((input) => input.checked).map((input) => input.value === "true")[0] ?? null,
    judge: (truth) => inputs.forEach((input) => (input.checked = input.value === String(truth))),
  };
}
