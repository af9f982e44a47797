// A virtual table: a few dozen rows in the document however many there are, all by keyboard.
//
// The table is one tab stop (role grid, aria-activedescendant): arrows, Page Up and Down, Home and
// End move; space selects, with Shift also the rows between; Ctrl+A selects all; Enter opens a row.

import { h, setText } from "./dom.js";

const MARGIN_ROWS = 6;

export class Grid {
  #scroller;
  #table;
  #body;
  #top;
  #bottom;
  #columns;
  #options;
  #rows = [];
  #pool = [];
  #active = 0;
  #anchor = 0;
  #first = -1;
  #rowHeight = 38;
  selected = new Set();

  /**
   * columns: [{id, title, sortable, kind, draw(cell, row)}]; options: {label, key(row),
   * rowLabel(row), onSort(id), onSelect(), onOpen(row), rowClass(row)}.
   */
  constructor(scroller, columns, options) {
    this.#scroller = scroller;
    this.#columns = columns;
    this.#options = options;
    this.#build();
    this.#measure();
    scroller.addEventListener("scroll", () => this.#draw(), { passive: true });
    this.#table.addEventListener("keydown", (event) => this.#key(event));
    this.#body.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.#measure()).observe(scroller);
  }

  /** All rows in order; what is selected stays selected as long as it exists. */
  setRows(rows) {
    const keyOfActive = this.#rows[this.#active] && this.#options.key(this.#rows[this.#active]);
    this.#rows = rows;
    const moved = rows.findIndex((row) => this.#options.key(row) === keyOfActive);
    this.#active = moved >= 0 ? moved : Math.min(this.#active, Math.max(0, rows.length - 1));
    this.#table.setAttribute("aria-rowcount", String(rows.length + 1));
    this.#first = -1;
    this.#draw();
  }

  /** Draws again what is in view; cells touch the document only where their text differs. */
  refresh() {
    this.#first = -1;
    this.#draw();
  }

  showSort(id, descending) {
    for (const cell of this.#table.tHead.querySelectorAll("th[data-sort]")) {
      if (cell.dataset.sort === id) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
  }

  clearSelection() {
    this.selected.clear();
    this.#selectionChanged();
  }

  selectAll() {
    const keys = this.#rows.map(this.#options.key);
    const every = keys.length > 0 && keys.every((key) => this.selected.has(key));
    for (const key of keys) every ? this.selected.delete(key) : this.selected.add(key);
    this.#selectionChanged();
  }

  focus() {
    this.#table.focus();
  }

  #build() {
    const header = h("tr", { role: "row", "aria-rowindex": "1" }, this.#columns.map((column) => this.#headCell(column)));
    this.#top = this.#spacer();
    this.#bottom = this.#spacer();
    this.#body = h("tbody", { role: "rowgroup" }, this.#top, this.#bottom);
    this.#table = h(
      "table",
      { role: "grid", tabindex: "0", "aria-label": this.#options.label, "aria-multiselectable": "true" },
      h("thead", { role: "rowgroup" }, header),
      this.#body,
    );
    this.#scroller.replaceChildren(this.#table);
  }

  #headCell(column) {
    const attributes = { role: "columnheader", scope: "col", class: `c-${column.id} ${column.kind ?? ""}` };
    if (!column.sortable) return h("th", attributes, h("span", { class: column.hideTitle ? "sr-only" : "" }, column.title));
    const button = h("button", { type: "button", class: "sort", onclick: () => this.#options.onSort(column.id) }, column.title);
    return h("th", { ...attributes, "data-sort": column.id }, button);
  }

  #spacer() {
    return h("tr", { class: "spacer", role: "presentation" }, h("td", { role: "presentation", colspan: String(this.#columns.length) }));
  }

  #measure() {
    const height = Number.parseFloat(getComputedStyle(this.#scroller).getPropertyValue("--row-height"));
    this.#rowHeight = height || this.#rowHeight;
    const needed = Math.ceil(this.#scroller.clientHeight / this.#rowHeight) + 2 * MARGIN_ROWS;
    while (this.#pool.length < needed) this.#addPoolRow();
    this.#first = -1;
    this.#draw();
  }

  #addPoolRow() {
    const cells = this.#columns.map((column, index) =>
      h(index === 1 ? "th" : "td", { role: index === 1 ? "rowheader" : "gridcell", class: `c-${column.id} ${column.kind ?? ""}`, scope: index === 1 ? "row" : null }),
    );
    const element = h("tr", { role: "row", hidden: true }, cells);
    this.#bottom.before(element);
    this.#pool.push({ element, cells });
  }

  #draw() {
    const first = Math.max(0, Math.floor(this.#scroller.scrollTop / this.#rowHeight) - MARGIN_ROWS);
    if (first === this.#first) return;
    this.#first = first;
    const last = Math.min(this.#rows.length, first + this.#pool.length);
    setHeight(this.#top, first * this.#rowHeight);
    setHeight(this.#bottom, (this.#rows.length - last) * this.#rowHeight);
    this.#pool.forEach((slot, offset) => this.#drawRow(slot, first + offset));
    this.#showActive();
  }

  #drawRow({ element, cells }, index) {
    const row = this.#rows[index];
    element.hidden = row === undefined;
    if (row === undefined) return element.removeAttribute("id");
    const key = this.#options.key(row);
    element.id = `row-${key}`;
    element.dataset.index = String(index);
    element.setAttribute("aria-rowindex", String(index + 2));
    element.setAttribute("aria-selected", String(this.selected.has(key)));
    const name = this.#options.rowClass(row);
    if (element.className !== name) element.className = name;
    this.#columns.forEach((column, position) => column.draw(cells[position], row, this.selected.has(key)));
  }

  #showActive() {
    const row = this.#rows[this.#active];
    for (const { element } of this.#pool) element.toggleAttribute("data-active", !element.hidden && Number(element.dataset.index) === this.#active);
    if (row) this.#table.setAttribute("aria-activedescendant", `row-${this.#options.key(row)}`);
    else this.#table.removeAttribute("aria-activedescendant");
  }

  #click(event) {
    const element = event.target.closest("tr[data-index]");
    if (!element) return;
    this.#active = Number(element.dataset.index);
    if (event.target.closest(".c-select")) this.#toggle(event.shiftKey);
    else if (event.target.closest("button")) this.#options.onOpen(this.#rows[this.#active]);
    this.#showActive();
  }

  #key(event) {
    if (event.target !== this.#table) return;
    const page = Math.max(1, Math.floor(this.#scroller.clientHeight / this.#rowHeight) - 2);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in moves) this.#move(moves[event.key], event.shiftKey);
    else if (event.key === " ") this.#toggle(event.shiftKey);
    else if (event.key === "Enter" && this.#rows[this.#active]) this.#options.onOpen(this.#rows[this.#active]);
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) this.selectAll();
    else if (event.key === "Escape") this.clearSelection();
    else return;
    event.preventDefault();
  }

  #move(by, extend) {
    const before = this.#active;
    this.#active = Math.min(Math.max(0, this.#rows.length - 1), Math.max(0, this.#active + by));
    this.#reveal();
    if (extend) {
      this.#anchor = Math.min(this.#anchor, before);
      this.#toggle(true);
    }
    this.#showActive();
  }

  #toggle(range) {
    const row = this.#rows[this.#active];
    if (!row) return;
    const key = this.#options.key(row);
    if (range) this.#selectBetween(this.#anchor, this.#active);
    else if (!this.selected.delete(key)) this.selected.add(key);
    this.#anchor = this.#active;
    this.#selectionChanged();
  }

  #selectBetween(a, b) {
    for (const row of this.#rows.slice(Math.min(a, b), Math.max(a, b) + 1)) this.selected.add(this.#options.key(row));
  }

  #selectionChanged() {
    this.refresh();
    this.#options.onSelect();
  }

  #reveal() {
    const head = this.#table.tHead.offsetHeight;
    const top = this.#active * this.#rowHeight;
    const { scrollTop, clientHeight } = this.#scroller;
    if (top < scrollTop) this.#scroller.scrollTop = top;
    else if (top + this.#rowHeight + head > scrollTop + clientHeight) this.#scroller.scrollTop = top + this.#rowHeight + head - clientHeight;
  }
}

/** A bar with its figures in words beside it; made once per cell, then only changed. */
export function drawBar(cell, value, total) {
  if (!cell.firstChild) cell.append(h("span", { class: "bar", "aria-hidden": "true" }, h("i")), h("span", { class: "bar-text" }));
  cell.firstChild.firstChild.style.width = total ? `${(100 * value) / total}%` : "0";
  cell.firstChild.hidden = total === 0;
  setText(cell.lastChild, total === 0 ? "–" : `${value}/${total}`);
}

/** A mark and a word; the tone is only the third way to tell. */
export function drawMark(cell, [words, tone, mark]) {
  if (!cell.firstChild) cell.append(h("span", { class: "mark", "aria-hidden": "true" }), h("span"));
  const wanted = `mark ${tone}`;
  if (cell.firstChild.className !== wanted) cell.firstChild.className = wanted;
  setText(cell.firstChild, mark);
  setText(cell.lastChild, words);
}

function setHeight(spacer, pixels) {
  spacer.hidden = pixels <= 0;
  spacer.firstChild.style.height = `${pixels}px`;
}
