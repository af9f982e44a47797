// Plain tables for lists of ordinary length, and the "more" button below them.

import { fill, h } from "./dom.js";

/** columns: [{title, num, cell(row): text or node, head: true for the row's header}] */
export function table(columns, rows, { caption, empty = "Nothing here yet." } = {}) {
  if (rows.length === 0) return h("p", { class: "empty" }, empty);
  return h(
    "table",
    {},
    caption ? h("caption", { class: "sr-only" }, caption) : null,
    h("thead", {}, h("tr", {}, columns.map(({ title, num }) => h("th", { scope: "col", class: num ? "num" : "" }, title)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((column) => bodyCell(column, row))))),
  );
}

/** Adds rows to a table made by `table`. */
export function append(element, columns, rows) {
  element.tBodies[0].append(...rows.map((row) => h("tr", {}, columns.map((column) => bodyCell(column, row)))));
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

function bodyCell({ cell, num, head }, row) {
  const content = [cell(row)].flat();
  return head ? h("th", { scope: "row" }, content) : h("td", { class: num ? "num" : "" }, content);
}
