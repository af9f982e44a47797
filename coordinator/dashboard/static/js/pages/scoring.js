// The manual queue: one answer at a time beside its question, points by key, and on to the next.

import { get, post, withQuery } from "../api.js";
import { drawHead } from "../delivery_head.js";
import { byId, chip, fill, h, setText } from "../dom.js";
import { guarded, showProblem, toast } from "../dialogs.js";
import { dayAndClock, fraction, number, points } from "../format.js";
import { deliveryId } from "../shell.js";

const base = `/api/deliveries/${deliveryId()}`;
const PAGE = 100;

let queue = [];
let next = null;
let position = 0;
let decided = false;
let chosen = "";

const delivery = await guarded(() => get(base));
if (delivery) {
  drawHead(delivery, "scoring");
  byId("show-pending").addEventListener("click", () => switchTo(false));
  byId("show-decided").addEventListener("click", () => switchTo(true));
  document.addEventListener("keydown", onKey);
  await switchTo(false);
}

async function switchTo(wanted) {
  decided = wanted;
  byId("show-pending").setAttribute("aria-pressed", String(!wanted));
  byId("show-decided").setAttribute("aria-pressed", String(wanted));
  [queue, next, position] = [[], null, 0];
  await guarded(loadMore);
  draw();
}

async function loadMore() {
  const page = await get(withQuery(`${base}/manual-queue`, { limit: PAGE, after: next, decided: decided ? "true" : null }));
  queue.push(...page.items);
  next = page.next;
  drawProgress(page);
}

function drawProgress({ pending, decided: done }) {
  setText(byId("progress"), pending + done ? `${number(done)} of ${number(pending + done)} answers scored` : "No answers need a scorer.");
  byId("bar").max = Math.max(1, pending + done);
  byId("bar").value = done;
}

function draw() {
  const answer = queue[position];
  const place = byId("workplace");
  if (!answer) {
    const words = decided ? "Nothing was decided yet." : "Nothing waits for a scorer. Thank you.";
    fill(place, h("section", { class: "card" }, h("p", { class: "empty" }, words)));
    return;
  }
  chosen = answer.points === null ? "" : points(answer.points);
  fill(place, h("div", { class: "desk" }, questionCard(answer), answerCard(answer)));
  drawChosen();
  byId("answer-heading").focus({ preventScroll: true });
}

function questionCard(answer) {
  return h(
    "section",
    { class: "card", "aria-label": "Question and rubric" },
    h("div", { class: "row spread" }, h("h2", {}, `Item ${answer.question_id}`), chip((answer.type ?? "").replaceAll("_", " "))),
    (answer.stimuli ?? []).map((stimulus) => h("div", {}, stimulus.title && h("h3", {}, stimulus.title), h("p", { class: "prose muted" }, stimulus.text ?? ""))),
    h("p", { class: "prose" }, answer.stem ?? ""),
    answer.rubric ? [h("h3", {}, "Rubric"), h("p", { class: "prose" }, answer.rubric)] : null,
    answer.accepted?.length ? [h("h3", {}, "Accepted without a scorer"), h("p", {}, answer.accepted.join(" · "))] : null,
  );
}

function answerCard(answer) {
  const most = points(answer.max_points);
  const custom = h("input", { id: "points", inputmode: "decimal", autocomplete: "off", "aria-label": `Points from 0 to ${most}`, oninput: (event) => choose(event.target.value.trim(), false) });
  const comment = h("textarea", { id: "comment", maxlength: "2000", rows: "2" });
  comment.value = answer.comment ?? "";
  return h(
    "section",
    { class: "card", "aria-labelledby": "answer-heading" },
    h("div", { class: "row spread" }, h("h2", { id: "answer-heading", tabindex: "-1" }, `Answer ${position + 1} of ${queue.length}${next === null ? "" : "+"}`), h("span", { class: "hint" }, dayAndClock(answer.submitted_at))),
    h("div", { class: "answer prose", tabindex: "0", role: "region", "aria-label": "Answer text" }, String(answer.answer ?? "")),
    h("fieldset", {}, h("legend", { class: "sr-only" }, `Points, 0 to ${most}`), h("div", { class: "points" }, wholePoints(most).map(pointButton), custom, h("span", { class: "muted" }, `of ${most}`))),
    h("div", { class: "field" }, h("label", { for: "comment" }, "Comment (optional)"), comment),
    h("div", { id: "save-problem", class: "notice bad", role: "alert", hidden: true }),
    h(
      "div",
      { class: "row spread" },
      h("div", { class: "row" }, h("button", { type: "button", disabled: position === 0, onclick: () => move(-1) }, "← Previous"), h("button", { type: "button", onclick: () => move(1) }, decided ? "Next →" : "Skip →")),
      h("button", { type: "button", class: "primary", onclick: save }, "Save and next"),
    ),
  );
}

function wholePoints(most) {
  const highest = Math.floor(Number(most));
  return highest > 10 ? [] : Array.from({ length: highest + 1 }, (_, value) => String(value));
}

function pointButton(value) {
  return h("button", { type: "button", "data-points": value, "aria-pressed": "false", "aria-label": `${value} points`, onclick: () => choose(value, true) }, value);
}

function choose(value, fillInput) {
  chosen = value.replace(",", ".");
  drawChosen(fillInput);
}

function drawChosen(fillInput = true) {
  for (const button of document.querySelectorAll("[data-points]")) button.setAttribute("aria-pressed", String(button.dataset.points === chosen));
  if (fillInput) byId("points").value = chosen;
}

async function save() {
  const answer = queue[position];
  const problem = whatIsWrong(chosen, answer);
  if (problem) return showProblem(problem, byId("save-problem"));
  const body = { answer_id: answer.answer_id, points: fraction(chosen), comment: byId("comment").value.trim() };
  const saved = await guarded(() => post(`${base}/manual-scores`, body), byId("save-problem"));
  if (!saved) return undefined;
  drawProgress(saved);
  toast(`${chosen} points saved.`);
  if (decided) {
    Object.assign(answer, { points: body.points, comment: body.comment });
    return move(1);
  }
  queue.splice(position, 1);
  if (position >= queue.length) await more();
  position = Math.min(position, Math.max(0, queue.length - 1));
  return draw();
}

async function move(by) {
  if (position + by >= queue.length) await more();
  position = Math.min(Math.max(0, position + by), Math.max(0, queue.length - 1));
  draw();
}

async function more() {
  if (next !== null && next !== undefined) await guarded(loadMore);
}

function whatIsWrong(value, answer) {
  const most = Number(points(answer.max_points));
  const fits = /^\d{1,4}(\.\d{1,3})?$/.test(value) && Number(value) <= most;
  return fits ? null : { title: "Points are missing or wrong", detail: `Give a number from 0 to ${points(answer.max_points)}.` };
}

function onKey(event) {
  if (event.altKey && event.key === "ArrowRight") return act(event, () => move(1));
  if (event.altKey && event.key === "ArrowLeft") return act(event, () => move(-1));
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  const typing = event.target.closest("input, textarea");
  if (event.key === "Enter" && !event.target.closest("textarea, button, a")) return act(event, save);
  if (typing || !/^\d$/.test(event.key) || !queue[position]) return undefined;
  return document.querySelector(`[data-points="${event.key}"]`) && act(event, () => choose(event.key, true));
}

function act(event, work) {
  event.preventDefault();
  void work();
}
