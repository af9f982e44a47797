// The grid of participants with its toolbar, selection and actions.

import { byId, fill, h, setText } from "./dom.js";
import { PARTICIPANT_ACTIONS } from "./actions.js";
import { FILTERS, isDone, isStalled, issue, score, secondsLeft, view } from "./cohort.js";
import { ago, clock, CONNECTIONS, duration, number, percent, plural, STATES, NOTHING } from "./format.js";
import { show } from "./dialogs.js";
import { drawBar, drawMark, Grid } from "./grid.js";

const LOW_SECONDS = 300;
const SORT_DESCENDING_FIRST = new Set(["answered", "score", "unsynced"]);

export class Participants {
  #cohort;
  #grid;
  #options;
  #wanted = { filter: "all", search: "", sort: "issues", descending: false };
  #nowMs = 0;
  #drawnActions = "";

  /** options: {act(kind, rows or undefined), permitted(permission)} */
  constructor(cohort, options) {
    this.#cohort = cohort;
    this.#options = options;
    this.#grid = new Grid(byId("grid"), this.#columns(), {
      label: "Participants",
      key: (row) => row.participant_id,
      rowClass: (row) => (issue(row, this.#nowMs) ? "issue" : isDone(row) ? "done" : ""),
      onSort: (column) => this.#sort(column),
      onSelect: () => this.#drawSelection(),
      onOpen: (row) => this.#open(row),
    });
    this.#buildToolbar();
  }

  /** Cells anew, in the order that stands. */
  redraw(nowMs) {
    this.#nowMs = nowMs;
    if (this.#cohort.size && byId("shown").textContent === "") this.reorder(nowMs);
    this.#grid.refresh();
  }

  /** Filters and sorts anew; called each second, so that rows hold still in between. */
  reorder(nowMs) {
    this.#nowMs = nowMs;
    const rows = view(this.#cohort.rows(), this.#wanted, nowMs);
    this.#grid.setRows(rows);
    setText(byId("shown"), this.#cohort.size ? `${number(rows.length)} of ${number(this.#cohort.size)}` : "");
    this.#drawCounts(nowMs);
  }

  drawActions() {
    const permitted = Object.entries(PARTICIPANT_ACTIONS).filter(([, action]) => this.#options.permitted(action.permission));
    const key = permitted.map(([kind]) => kind).join();
    if (key === this.#drawnActions) return;
    this.#drawnActions = key;
    fill(
      byId("actions"),
      permitted.map(([kind, action]) =>
        h("button", { type: "button", "data-kind": kind, class: action.danger ? "danger" : "", onclick: () => this.#act(kind) }, action.label),
      ),
    );
    this.#drawSelection();
  }

  #columns() {
    const left = (row) => secondsLeft(row, this.#nowMs);
    return [
      { id: "select", title: "Selected", hideTitle: true, draw: drawBox },
      { id: "name", title: "Participant", sortable: true, draw: drawName },
      { id: "identifier", title: "Identifier", sortable: true, draw: (cell, row) => setText(cell, row.identifier ?? "") },
      { id: "state", title: "State", sortable: true, draw: (cell, row) => drawMark(cell, STATES[row.state]) },
      { id: "connection", title: "Connection", sortable: true, draw: (cell, row) => drawMark(cell, isDone(row) ? [NOTHING, "", ""] : CONNECTIONS[row.connection]) },
      { id: "answered", title: "Answered", sortable: true, draw: (cell, row) => drawBar(cell, row.progress.questions_answered, row.progress.total_questions) },
      { id: "score", title: "Score", sortable: true, kind: "num", draw: (cell, row) => setText(cell, row.progress.questions_answered ? percent(score(row)) : NOTHING) },
      { id: "left", title: "Time left", sortable: true, kind: "num", draw: (cell, row) => drawAlarm(cell, duration(left(row)), left(row) !== null && left(row) < LOW_SECONDS && row.state === "in_progress") },
      { id: "saved", title: "Last save", sortable: true, kind: "num", draw: (cell, row) => drawAlarm(cell, ago(row.last_save, this.#nowMs), isStalled(row, this.#nowMs)) },
      { id: "unsynced", title: "Unsynced", sortable: true, kind: "num", draw: (cell, row) => drawAlarm(cell, row.unsynced ? number(row.unsynced) : NOTHING, row.unsynced > 0) },
    ];
  }

  #buildToolbar() {
    byId("search").addEventListener("input", (event) => this.#want({ search: event.target.value }));
    byId("attention").addEventListener("click", () => this.#want({ sort: "issues", descending: false }));
    fill(
      byId("filters"),
      Object.entries(FILTERS).map(([id, [title]]) =>
        h("button", { type: "button", "data-filter": id, "aria-pressed": String(id === "all"), onclick: () => this.#want({ filter: id }) }, title, " ", h("span", { class: "count" })),
      ),
    );
  }

  #drawCounts(nowMs) {
    const rows = this.#cohort.rows();
    for (const button of byId("filters").children) {
      const [, passes] = FILTERS[button.dataset.filter];
      setText(button.querySelector(".count"), number(rows.filter((row) => passes(row, nowMs)).length));
      button.setAttribute("aria-pressed", String(button.dataset.filter === this.#wanted.filter));
    }
    byId("attention").hidden = this.#wanted.sort === "issues";
  }

  #sort(column) {
    const again = this.#wanted.sort === column;
    this.#want({ sort: column, descending: again ? !this.#wanted.descending : SORT_DESCENDING_FIRST.has(column) });
  }

  #want(change) {
    Object.assign(this.#wanted, change);
    this.#grid.showSort(this.#wanted.sort, this.#wanted.descending);
    this.reorder(this.#nowMs);
  }

  #drawSelection() {
    const count = this.#grid.selected.size;
    byId("action-bar").classList.toggle("some", count > 0);
    setText(byId("chosen"), count ? `${plural(count, "participant")} selected` : "Nobody selected: actions concern everybody");
    for (const button of byId("actions").children) {
      const { single } = PARTICIPANT_ACTIONS[button.dataset.kind];
      button.disabled = Boolean(single) && count !== 1;
    }
  }

  async #act(kind) {
    const rows = [...this.#grid.selected].map((id) => this.#cohort.get(id)).filter(Boolean);
    // A cancelled dialog keeps the selection: without one, actions concern everybody.
    const done = await this.#options.act(kind, rows.length ? rows : undefined);
    if (done) this.#grid.clearSelection();
  }

  #open(row) {
    const facts = [
      ["Identifier", row.identifier ?? NOTHING],
      ["State", STATES[row.state][0]],
      ["Connection", CONNECTIONS[row.connection][0]],
      ["Answered", `${row.progress.questions_answered} of ${row.progress.total_questions}`],
      ["Score so far", row.progress.questions_answered ? `${percent(score(row))} (${row.progress.score_numerator} of ${row.progress.score_denominator} points)` : NOTHING],
      ["Started", clock(row.started_at)],
      ["Deadline", `${clock(row.deadline)}${row.deadline_version > 1 ? `, changed ${plural(row.deadline_version - 1, "time")}` : ""}`],
      ["Last save", clock(row.last_save)],
      ["Unsynced events", number(row.unsynced)],
      ["Waiting for a scorer", number(row.manual_pending)],
    ];
    return show({
      title: row.name ?? row.identifier ?? `Participant ${row.participant_id}`,
      content: [h("dl", { class: "facts" }, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))],
    });
  }
}

function drawBox(cell, row, selected) {
  if (!cell.firstChild) cell.append(h("span", { class: "box", "aria-hidden": "true" }), h("span", { class: "sr-only" }));
  setText(cell.firstChild, selected ? "✓" : "");
  setText(cell.lastChild, selected ? "selected" : "not selected");
}

function drawName(cell, row) {
  if (!cell.firstChild) cell.append(h("button", { type: "button", tabindex: "-1" }));
  setText(cell.firstChild, row.name ?? row.identifier ?? `Participant ${row.participant_id}`);
}

function drawAlarm(cell, text, alarming) {
  cell.classList.toggle("alarm", alarming);
  setText(cell, alarming ? `! ${text}` : text);
}
