// The list of deliveries, and for admins the form that makes one.

import { all, get, may, post } from "../api.js";
import { verdict } from "../client_card.js";
import { byId, chip, fill, h } from "../dom.js";
import { ask, guarded, toast } from "../dialogs.js";
import { number, phase, span, until } from "../format.js";
import { learnTime, now } from "../shell.js";
import { table } from "../table.js";

const REFRESH_MS = 10_000;

const COLUMNS = [
  { title: "Delivery", head: true, cell: (delivery) => [h("a", { href: landing(delivery) }, delivery.name), h("span", { class: "sub" }, `no. ${delivery.id}`)] },
  { title: "Exam", cell: (delivery) => [delivery.exam_title ?? delivery.exam_id, h("span", { class: "sub" }, `${delivery.exam_id} ${delivery.exam_version}`)] },
  { title: "Phase", cell: (delivery) => chip(...phase(delivery.phase)) },
  { title: "Window", cell: (delivery) => [span(delivery.opens_at, delivery.closes_at), h("span", { class: "sub" }, when(delivery))] },
  { title: "Enrolled", num: true, cell: (delivery) => number(delivery.counts?.enrolled) },
  { title: "Open", num: true, cell: (delivery) => number(delivery.counts?.open) },
  { title: "Done", num: true, cell: (delivery) => number(delivery.counts?.closed) },
  { title: "Exam-client", cell: (delivery) => chip(...verdict(delivery, delivery.client ?? {})) },
];

await guarded(refresh);
setInterval(() => document.hidden || guarded(refresh), REFRESH_MS);
if (may("delivery_create")) {
  byId("create").hidden = false;
  byId("create").addEventListener("click", create);
}

async function refresh() {
  const deliveries = await all("/api/deliveries");
  learnTime(deliveries[0]?.server_time);
  deliveries.sort((a, b) => b.id - a.id);
  const empty = "No deliveries yet. Import an exam and a roster, then make one.";
  // Someone who reads with the keyboard must not lose the place to a refresh.
  const focused = document.activeElement?.getAttribute("href");
  fill(byId("list"), table(COLUMNS, deliveries, { caption: "Deliveries", empty }));
  if (focused) byId("list").querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
}

/** The first page of a delivery that this viewer may open. */
function landing({ id, exam_id: exam, phase: at }) {
  if (["CleanedUp", "Validated"].includes(at) && may("results", exam)) return `/deliveries/${id}/results`;
  if (may("watch", exam)) return `/deliveries/${id}`;
  return may("score", exam) ? `/deliveries/${id}/scoring` : `/deliveries/${id}/results`;
}

function when(delivery) {
  const opens = Date.parse(delivery.opens_at);
  const closes = Date.parse(delivery.closes_at);
  if (now() < opens) return `opens ${until(delivery.opens_at, now())}`;
  return now() < closes ? `closes ${until(delivery.closes_at, now())}` : `closed ${until(delivery.closes_at, now())}`;
}

async function create() {
  const choices = await guarded(loadChoices);
  if (!choices) return;
  const made = await ask({
    title: "New delivery",
    text: "The exam-client is prepared right away; participants can start when the window opens.",
    fields: fieldsOf(choices),
    submit: "Create delivery",
    run: (values) => post("/api/deliveries", requestOf(values)),
  });
  if (made) {
    toast("The delivery was created.");
    await guarded(refresh);
  }
}

async function loadChoices() {
  const [exams, rosters] = await Promise.all([all("/api/exams"), all("/api/rosters")]);
  const details = await Promise.all(exams.map((exam) => get(`/api/exams/${encodeURIComponent(exam.exam_id)}`)));
  const versions = details.flatMap((exam) => exam.versions.map((version) => [`${exam.exam_id} ${version.version}`, `${version.title} (${version.version})`]));
  return { versions, rosters: rosters.map((roster) => [roster.roster_id, `${roster.name} (${number(roster.participants)})`]) };
}

function fieldsOf({ versions, rosters }) {
  const name = { name: "name", label: "Name", required: true, maxlength: "63", pattern: "[a-z0-9]([a-z0-9\\-]*[a-z0-9])?", hint: "Small letters, digits and dashes, such as cardiology-spring.", autocomplete: "off" };
  return [
    name,
    { name: "exam", label: "Exam version", type: "select", options: versions, required: true },
    { name: "roster_id", label: "Roster", type: "select", options: rosters, required: true },
    { name: "opens_at", label: "Opens (your local time)", type: "datetime-local", required: true },
    { name: "closes_at", label: "Closes (your local time)", type: "datetime-local", required: true },
    { name: "minutes", label: "Time limit in minutes", type: "number", min: "1", max: "10080", value: "60", required: true, inputmode: "numeric" },
  ];
}

function requestOf({ name, exam, roster_id: rosterId, opens_at: opensAt, closes_at: closesAt, minutes }) {
  const [examId, examVersion] = exam.split(" ");
  return {
    name,
    exam_id: examId,
    exam_version: examVersion,
    roster_id: rosterId,
    opens_at: new Date(opensAt).toISOString(),
    closes_at: new Date(closesAt).toISOString(),
    time_limit_seconds: Number(minutes) * 60,
  };
}
