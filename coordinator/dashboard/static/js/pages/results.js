// What a delivery ended with: scores, items, participants, and proof that nothing was changed.

import { get, withQuery } from "../api.js";
import { histogram } from "../charts.js";
import { drawHead } from "../delivery_head.js";
import { byId, chip, fill, h } from "../dom.js";
import { guarded } from "../dialogs.js";
import { clock, dayAndClock, number, percent, plural, points, STATES, NOTHING } from "../format.js";
import { deliveryId } from "../shell.js";
import { paged, table } from "../table.js";
import { verifyReceipt } from "../verify.js";

const base = `/api/deliveries/${deliveryId()}`;

const ITEM_COLUMNS = [
  { title: "Item", head: true, cell: (item) => [String(item.number ?? item.question_id), h("span", { class: "sub" }, `id ${item.question_id}`)] },
  { title: "Question", cell: (item) => h("span", { class: "clamp" }, item.stem ?? NOTHING) },
  { title: "Type", cell: (item) => (item.type ?? NOTHING).replaceAll("_", " ") },
  { title: "Answered", num: true, cell: (item) => `${number(item.answered)} of ${number(item.presented)}` },
  { title: "Mean of points", num: true, cell: (item) => (item.manual_pending ? chip(`${number(item.manual_pending)} to score`, "warn") : meter(item.mean_percent)) },
  { title: "Discrimination", num: true, cell: (item) => discrimination(item.discrimination) },
  { title: "Chosen", cell: (item) => choices(item.choices) },
];

const PEOPLE_COLUMNS = [
  { title: "Participant", head: true, cell: (row) => [row.name, h("span", { class: "sub" }, row.identifier)] },
  { title: "State", cell: (row) => chip(...(STATES[row.status] ?? [row.status, ""]).slice(0, 2)) },
  { title: "Started", cell: (row) => clock(row.started_at) },
  { title: "Ended", cell: (row) => clock(row.ended_at) },
  { title: "Answers", num: true, cell: (row) => number(row.answers) },
  { title: "Points", num: true, cell: (row) => (row.score_denominator ? `${points(row.score_numerator)} of ${points(row.score_denominator)}` : NOTHING) },
  { title: "Score", num: true, cell: (row) => percent(row.final_score) },
  { title: "Open", cell: (row) => openMatters(row) },
];

const delivery = await guarded(() => get(base));
if (delivery) {
  drawHead(delivery, "results");
  await guarded(drawAll);
}

async function drawAll() {
  const [scores, items] = await Promise.all([get(`${base}/results/histogram`), get(`${base}/results/items`)]);
  drawScores(scores);
  fill(byId("items"), table(ITEM_COLUMNS, items.items, { caption: "Item statistics", empty: "No results yet." }));
  const load = (after) => get(withQuery(`${base}/results`, { limit: 100, after }));
  await paged(byId("people"), byId("pager"), PEOPLE_COLUMNS, { caption: "Results by participant", empty: "No results yet. They appear here once the exam-client has handed them over." }, load);
  await drawReceipt();
}

function drawScores(scores) {
  byId("exports").hidden = scores.count === 0;
  byId("pending").hidden = !scores.manual_pending;
  fill(byId("pending"), `${plural(scores.manual_pending ?? 0, "answer")} still wait for a scorer; they count 0 until decided.`);
  const tiles = [
    ["Results", number(scores.count)],
    ["Mean", percent(scores.mean)],
    ["Median", percent(scores.median)],
    ["Standard deviation", number(scores.standard_deviation)],
    ["Lowest", percent(scores.minimum)],
    ["Highest", percent(scores.maximum)],
    ...(scores.pass_percent === null ? [] : [[`Passed (from ${scores.pass_percent} %)`, `${number(scores.passed)}`]]),
  ];
  fill(byId("tiles"), tiles.map(([title, value]) => h("div", { class: "tile" }, h("dt", {}, title), h("dd", {}, value))));
  const marks = scores.pass_percent === null ? [] : [{ at: scores.pass_percent, label: `pass ${scores.pass_percent} %` }];
  const chart = scores.count ? histogram(scores.bins, { title: "Final scores", marks }) : h("p", { class: "empty" }, "No results yet.");
  fill(byId("histogram"), h("h2", {}, "Final scores"), chart);
}

async function drawReceipt() {
  const box = byId("receipt");
  fill(box, h("h2", {}, "Transfer and receipt"), h("p", { class: "muted" }, "Reading the receipt …"));
  try {
    drawVerdict(box, await verifyReceipt(await get(`${base}/receipt`)));
  } catch (problem) {
    const words = problem.status === 404 ? "Nothing was transferred yet." : `${problem.title ?? problem}. ${problem.detail ?? ""}`;
    fill(box, h("h2", {}, "Transfer and receipt"), h("p", { class: "muted" }, words));
  }
}

function drawVerdict(box, { checks, facts }) {
  const sound = checks.every((check) => check.passed);
  const complete = facts.receiptId !== null;
  const [words, tone] = !complete ? ["No receipt yet", "warn"] : sound ? ["✓ Verified", "good"] : ["✕ Not verified", "bad"];
  fill(
    box,
    h("div", { class: "card-head" }, h("h2", {}, "Transfer and receipt"), chip(words, tone)),
    h("p", { class: "hint" }, "Checked by this browser against the signatures, not taken from the coordinator's word."),
    h("ul", { class: "checks" }, checks.map((check) => h("li", { class: check.passed ? "good" : "bad" }, h("span", { "aria-hidden": "true" }, check.passed ? "✓" : "✕"), check.passed ? check.words : `${check.words}: failed. ${check.why ?? ""}`))),
    h(
      "dl",
      { class: "facts" },
      [
        ["Rows", facts.rows.map(([name, count]) => `${number(count)} ${name.replaceAll("_", " ")}`).join(", ")],
        ["Stored", dayAndClock(facts.committedAt)],
        ["Erased at the exam-client", erased(facts.erasedAt)],
        ["Manifest", h("code", { title: facts.digest }, `${facts.digest.slice(0, 19)}…`)],
        ["Receipt", h("code", {}, facts.receiptId ?? NOTHING)],
      ].flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
  );
}

/** Where the operator removed the whole volume, the exam-client had no time to tell. */
function erased(at) {
  return at === null && delivery.phase === "CleanedUp" ? "with its volume" : dayAndClock(at);
}

function meter(value) {
  if (value === null || value === undefined) return NOTHING;
  const bar = h("i");
  bar.style.width = `${value}%`;
  return h("span", { class: "meter" }, h("span", { class: "bar", "aria-hidden": "true" }, bar), percent(value));
}

/** Below 0.1 an item tells good and weak participants hardly apart. */
function discrimination(value) {
  if (value === null || value === undefined) return NOTHING;
  const text = Number(value).toFixed(2);
  return value < 0.1 ? h("span", { class: "alarm" }, `! ${text}`) : text;
}

function choices(counts) {
  const entries = Object.entries(counts ?? {}).sort(([, a], [, b]) => b - a).slice(0, 6);
  return entries.length ? h("span", { class: "choices" }, entries.map(([option, count]) => h("span", {}, `${option} ${number(count)}`))) : NOTHING;
}

function openMatters(row) {
  const matters = [];
  if (row.manual_pending) matters.push(chip(`${row.manual_pending} to score`, "warn"));
  if (row.score_mismatches) matters.push(chip(`${row.score_mismatches} scores differ`, "bad"));
  return matters.length ? matters : NOTHING;
}
