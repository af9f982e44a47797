/** Dialogs of the exam: before submitting, before a one-way step, enlarged image, shortcuts. */

import { isFlagged, isOneWay, mayGo, numberOf, sectionOf, unanswered } from "../state.js";
import { button, h, openDialog } from "./dom.js";

/** Lists what has no answer or is flagged, and submits only when the participant says so. */
export function confirmSubmit(session, state) {
  session.saveDrafts();
  const open = unanswered(state);
  const flagged = state.order.filter((id) => isFlagged(state, id));
  const content = [
    h("p", {}, open.length ? `${open.length} of ${state.order.length} questions have no answer.` : "You have answered every question."),
    jumps("Without an answer", open, session, state),
    jumps("Flagged", flagged, session, state),
    h("p", {}, "After submitting, you cannot change your answers."),
  ];
  openDialog("Submit your exam?", content, (close) => [
    button("Go on answering", close),
    button("Submit the exam", () => {
      close();
      session.submit();
    }, { class: "primary" }),
  ]);
}

function jumps(title, ids, session, state) {
  if (!ids.length) return null;
  const jump = (id) =>
    button(String(numberOf(state, id)), (event) => {
      event.target.closest("dialog").close();
      session.go(id);
    }, {
      class: "jump",
      "aria-label": `Question ${numberOf(state, id)}`,
      disabled: !mayGo(state, id) && state.notes.current !== id,
    });
  return h("section", {}, h("h3", {}, `${title} (${ids.length})`), h("ul", { class: "jumps" }, ids.map((id) => h("li", {}, jump(id)))));
}

/** Asks first where the exam's rules allow no return. */
export function confirmOneWay(session, state, id, go) {
  if (!isOneWay(state, id)) return go();
  const linear = state.start.exam.navigation === "linear";
  if (linear && !unanswered(state).includes(state.notes.current)) return go();
  const left = unanswered(state).filter((one) => linear ? one === state.notes.current : sectionOf(state, one) === sectionOf(state, state.notes.current));
  const what = linear ? "this question" : "this section";
  const missing = left.length ? ` ${left.length === 1 ? "One question" : `${left.length} questions`} in it ${left.length === 1 ? "has" : "have"} no answer.` : "";
  return openDialog(`Leave ${what}?`, h("p", {}, `You cannot come back to ${what}.${linear ? " It has no answer." : missing}`), (close) => [
    button("Stay here", close),
    button("Go on", () => {
      close();
      go();
    }, { class: "primary" }),
  ]);
}

/** Asks before a choice is left behind that was not saved. */
export function confirmUnsaved(go) {
  const text = "Your answer to this question is not saved. Save it first, or leave without it.";
  openDialog("Leave without saving?", h("p", {}, text), (close) => [
    button("Stay here", close, { class: "primary" }),
    button("Leave without it", () => {
      close();
      go();
    }),
  ]);
}

const ZOOMS = [1, 1.5, 2, 3, 4];

/** The image as large as wanted; the frame scrolls by mouse, touch and arrow keys. */
export function openImage(url, alt, lang) {
  const image = h("img", { src: url, alt, lang });
  const frame = h("div", { class: "zoom-frame", tabindex: "0", role: "group", "aria-label": "Image; scroll with the arrow keys" }, image);
  const level = h("span", { role: "status" });
  let place = 0;
  const zoom = (by) => {
    place = Math.min(ZOOMS.length - 1, Math.max(0, place + by));
    image.style.setProperty("inline-size", `${ZOOMS[place] * 100}%`);
    level.textContent = `${ZOOMS[place] * 100} %`;
  };
  zoom(0);
  openDialog("Image", frame, (close) => [
    button("Smaller", () => zoom(-1)),
    level,
    button("Larger", () => zoom(1)),
    button("Close", close, { class: "primary" }),
  ], { class: "image-dialog" });
}

const KEYS = [
  ["Alt + N", "Next question"],
  ["Alt + P", "Previous question"],
  ["Alt + M", "Flag or unflag the question"],
  ["Alt + L", "Go to the list of all questions"],
  ["Alt + S", "Review and submit"],
  ["Alt + K", "Show these shortcuts"],
];

export function showShortcuts() {
  const rows = KEYS.map(([keys, what]) => h("div", {}, h("dt", {}, h("kbd", {}, keys)), h("dd", {}, what)));
  const hint = "Tab moves between controls, arrow keys choose among options, the space bar ticks a box.";
  openDialog("Keyboard shortcuts", [h("dl", { class: "facts keys" }, rows), h("p", { class: "hint" }, hint)], (close) => [
    button("Close", close, { class: "primary" }),
  ]);
}
