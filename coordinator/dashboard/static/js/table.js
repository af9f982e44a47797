// Plain tables for lists of ordinary length, and the "more" button below them.

import { fill, h } from "./dom.js";

/** columns: [{title, num, cell(row): text or node, head: true for the row's header}] */
export function table(columns, rows, { caption, empty = "Nothing here yet." } = {}) {
  if (rows.length === 0) return h("p", { class: "empty" }, empty);
  // Narrow screens show rows as blocks, which would cost a table its meaning without these roles.
  return h(
    "table",
    { role: "table", class: "list" },
    caption ? h("caption", { class: "sr-only" }, caption) : null,
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(headCell))),
    h("tbody", { role: "rowgroup" }, rows.map((row) => bodyRow(columns, row))),
  );
}

/** Adds rows to a table made by `table`. */
export function append(element, columns, rows) {
  element.tBodies[0].append(...rows.map((row) => bodyRow(columns, row)));
}

/** A pager that loads page after page: `load(after)` answers {items, next}. */
export async function paged(node, pager, columns, options, load) {
  let page = await load(null);
  fill(node, table(columns, page.items, options));
  const more = h("button", { type: "button", onclick: async () => {
    page = await load(page.next);
    append(node.querySelector("table"), columns, page.items);
    drawMore();
  } }, "Show more");
  const drawMore = () => fill(pager, page.next === null || page.next === undefined ? null : more);
  drawMore();
}

const headCell = ({ title, num }) => h("th", { role: "columnheader", scope: "col", class: num ? "num" : "" }, title);
const bodyRow = (columns, row) => h("tr", { role: "row" }, columns.map((column) => bodyCell(column, row)));

function bodyCell({ title, cell, num, head }, row) {
  const content = h("div", {}, [cell(row)].flat());
  if (head) return h("th", { role: "rowheader", scope: "row" }, content);
  return h("td", { role: "cell", class: num ? "num" : "", "data-title": title }, content);
}
