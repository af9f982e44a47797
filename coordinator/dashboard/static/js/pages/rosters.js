// Rosters: import from CSV after a dry run, and the codes, which are shown this once only.

import { all, LONG_TIMEOUT_MS, mayEverywhere, post, Problem } from "../api.js";
import { parseCsv } from "../csv.js";
import { byId, fill, h } from "../dom.js";
import { guarded } from "../dialogs.js";
import { dayAndClock, fraction, number, plural } from "../format.js";
import { table } from "../table.js";

const REQUIRED = ["identifier", "name", "email"];
const OPTIONAL = ["time_multiplier", "extra_seconds"];

const COLUMNS = [
  { title: "Roster", head: true, cell: (roster) => [roster.name, h("span", { class: "sub" }, roster.roster_id)] },
  { title: "Participants", num: true, cell: (roster) => number(roster.participants) },
  { title: "Imported", cell: (roster) => dayAndClock(roster.created_at) },
];

await guarded(refresh);
if (mayEverywhere("roster_import")) {
  byId("import").hidden = false;
  byId("import").addEventListener("submit", (event) => {
    event.preventDefault();
    void submit(event.submitter.value === "dry");
  });
}

async function refresh() {
  const rosters = await all("/api/rosters");
  fill(byId("list"), table(COLUMNS, rosters, { caption: "Rosters", empty: "No rosters yet. Import one from a CSV file." }));
}

async function submit(dryRun) {
  byId("import-done").hidden = true;
  await guarded(() => importFile(dryRun), byId("import-problem"));
}

async function importFile(dryRun) {
  const name = byId("name").value.trim();
  const file = byId("file").files[0];
  if (!name || !file) throw new Problem({ title: "Something is missing", detail: "Give the roster a name and choose its CSV file." });
  const { entries, lines } = entriesOf(parse(await decode(file)));
  const reply = await sendRoster({ name, entries }, dryRun, lines);
  tell(dryRun ? `All ${plural(entries.length, "row")} are fine. Nothing was imported yet.` : `${plural(reply.participants.length, "participant")} imported. Keep the codes below: they are not shown again.`);
  if (dryRun) return;
  showCodes(name, reply, new Map(entries.map((entry) => [entry.identifier, entry.name])));
  byId("import").reset();
  await refresh();
}

/** The API counts entries; people look for lines of their file. */
async function sendRoster(body, dryRun, lines) {
  try {
    return await post(`/api/rosters${dryRun ? "?dry_run=true" : ""}`, body, { timeoutMs: LONG_TIMEOUT_MS });
  } catch (problem) {
    if (problem.errors) problem.errors = problem.errors.map((error) => (error.row === undefined ? error : { ...error, row: lines[error.row - 1] ?? error.row }));
    throw problem;
  }
}

async function decode(file) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new Problem({ title: "The file is not UTF-8", detail: "Save it as CSV in UTF-8; other encodings would spoil names." });
  }
}

function parse(text) {
  try {
    return parseCsv(text);
  } catch (error) {
    throw new Problem({ title: "The file is no CSV", detail: error.message });
  }
}

function entriesOf([head, ...rows]) {
  const columns = head?.fields.map((field) => field.toLowerCase()) ?? [];
  const missing = REQUIRED.filter((column) => !columns.includes(column));
  const unknown = columns.filter((column) => !REQUIRED.includes(column) && !OPTIONAL.includes(column));
  if (missing.length) throw new Problem({ title: "The first line lacks columns", detail: `Add ${missing.join(", ")}.` });
  if (unknown.length) throw new Problem({ title: "The first line has unknown columns", detail: `Remove ${unknown.join(", ")}, or rename them.` });
  return { entries: rows.map((row) => entryOf(columns, row)), lines: rows.map((row) => row.line) };
}

function entryOf(columns, { line, fields }) {
  if (fields.length !== columns.length) {
    throw new Problem({ title: "A row has the wrong number of fields", errors: [{ row: line, message: `has ${fields.length} fields, the first line has ${columns.length}` }] });
  }
  const values = Object.fromEntries(columns.map((column, index) => [column, fields[index]]));
  const { time_multiplier: multiplier, extra_seconds: extra, ...entry } = values;
  if (!multiplier && !extra) return entry;
  return { ...entry, accommodation: { ...(multiplier && { time_multiplier: fraction(multiplier) }), ...(extra && { extra_seconds: /^\d+$/.test(extra) ? Number(extra) : extra }) } };
}

function showCodes(name, { participants }, names) {
  const strips = participants.map((one) =>
    h(
      "div",
      { class: "strip" },
      h("b", {}, names.get(one.identifier) ?? ""),
      h("span", { class: "muted" }, `Identifier ${one.identifier}`),
      h("p", { class: "access" }, one.access_code),
      h("p", { class: "hint" }, "Takeover, one use each: ", one.takeover_codes.map((code) => h("span", { class: "takeover" }, code))),
    ),
  );
  const download = h("button", { type: "button", onclick: () => saveCsv(name, participants, names) }, "Download CSV");
  const print = h("button", { type: "button", onclick: () => window.print() }, "Print");
  byId("codes").hidden = false;
  fill(byId("codes"), h("div", { class: "row spread" }, h("h2", { tabindex: "-1" }, `Codes of ${name}`), h("div", { class: "row no-print" }, download, print)), h("div", { class: "strips" }, strips));
  byId("codes").querySelector("h2").focus();
  // Leaving the page loses the codes, so the browser asks first.
  window.addEventListener("beforeunload", (event) => event.preventDefault());
}

function saveCsv(name, participants, names) {
  const rows = participants.map((one) => [one.identifier, names.get(one.identifier) ?? "", one.access_code, one.takeover_codes.join(" ")]);
  const text = [["identifier", "name", "access_code", "takeover_codes"], ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
  const url = URL.createObjectURL(new Blob([`${text}\r\n`], { type: "text/csv;charset=utf-8" }));
  h("a", { href: url, download: `codes-${name.replace(/[^A-Za-z0-9-]+/g, "-")}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Quoted throughout; what a spreadsheet would run as a formula is made text. */
function cell(value) {
  const harmless = /^[=+\-@\t]/.test(value) ? `'${value}` : value;
  return `"${harmless.replaceAll('"', '""')}"`;
}

function tell(words) {
  byId("import-done").hidden = false;
  byId("import-done").textContent = words;
}
