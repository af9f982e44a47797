// Exams and their versions; import of a file, with what is wrong named by its place.

import { all, get, LONG_TIMEOUT_MS, may, post, Problem } from "../api.js";
import { byId, fill, h } from "../dom.js";
import { guarded, show, showProblem } from "../dialogs.js";
import { dayAndClock, number, plural } from "../format.js";
import { table } from "../table.js";

const COLUMNS = [
  { title: "Exam", head: true, cell: (exam) => [h("button", { type: "button", class: "link", onclick: () => guarded(() => open(exam.exam_id)) }, exam.title), h("span", { class: "sub" }, exam.exam_id)] },
  { title: "Versions", num: true, cell: (exam) => number(exam.versions) },
  { title: "Last imported", cell: (exam) => dayAndClock(exam.last_imported_at) },
];

const VERSION_COLUMNS = [
  { title: "Version", head: true, cell: (version) => version.version },
  { title: "Items", num: true, cell: (version) => number(version.item_count) },
  { title: "Imported", cell: (version) => dayAndClock(version.created_at) },
  { title: "Content digest", cell: (version) => h("code", { title: version.content_digest }, `${version.content_digest.slice(0, 19)}…`) },
];

await guarded(refresh);
if (may("exam_import")) {
  byId("import").hidden = false;
  byId("import").addEventListener("submit", (event) => {
    event.preventDefault();
    void guarded(importFile, byId("import-problem"));
  });
}

async function refresh() {
  const exams = await all("/api/exams");
  fill(byId("list"), table(COLUMNS, exams, { caption: "Exams", empty: "No exams yet. Import one from a file." }));
}

async function importFile() {
  byId("import-done").hidden = true;
  const file = byId("file").files[0];
  if (!file) throw new Problem({ title: "No file was chosen", detail: "Choose the exam's JSON file first." });
  const imported = await post("/api/exams", parse(await file.text(), file.name), { timeoutMs: LONG_TIMEOUT_MS });
  byId("import-done").hidden = false;
  fill(byId("import-done"), `${imported.exam_id} ${imported.version} is there, ${plural(imported.items ?? 0, "item")}.`);
  byId("import").reset();
  await refresh();
}

function parse(text, name) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem({ title: `${name} is no JSON`, detail: error.message });
  }
}

async function open(examId) {
  const exam = await get(`/api/exams/${encodeURIComponent(examId)}`);
  await show({ title: exam.title, content: [h("div", { class: "scroll" }, table(VERSION_COLUMNS, exam.versions, { caption: "Versions" }))] });
}

window.addEventListener("change", () => showProblem(null, byId("import-problem")));
