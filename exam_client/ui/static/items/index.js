/**
 * One control per item type. A control is {element, value(), set(answer)}; some also offer
 * `setStruck(optionIds)` and `field`, the one input that an error message belongs to.
 * `tools` gives it {lang, answer(value, how), strike(optionId)}.
 */

import { pickN, singleBest } from "./choices.js";
import { multipleTrueFalse } from "./statements.js";
import { essay, numeric, shortText } from "./texts.js";
import { h } from "../views/dom.js";

const CONTROLS = {
  single_best: singleBest,
  multiple_true_false: multipleTrueFalse,
  pick_n: pickN,
  numeric,
  short_text: shortText,
  essay,
};

export const controlFor = (question, tools) => (CONTROLS[question.type] ?? unknown)(question, tools);

function unknown(question) {
  const text = `This page cannot show questions of the type “${question.type}”. Please tell the invigilator.`;
  return { element: h("p", { class: "trouble" }, text), value: () => null, set: () => {} };
}
