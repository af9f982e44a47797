// A histogram drawn as SVG, with the same figures as a table for whoever prefers to read.

import { h, svg } from "./dom.js";
import { number, plural } from "./format.js";

const WIDTH = 640;
const HEIGHT = 210;
const BASE = 186;
const TOP = 30;

/** bins: [{from, to, count}]; `marks`: [{at, label}] on the same scale of 0 to 100. */
export function histogram(bins, { title, marks = [] }) {
  const most = Math.max(1, ...bins.map((bin) => bin.count));
  const chart = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": inWords(title, bins), class: "histogram" },
    svg("line", { x1: 0, x2: WIDTH, y1: BASE, y2: BASE, class: "axis" }),
    bins.flatMap((bin) => bar(bin, most)),
    [0, 20, 40, 60, 80, 100].map((at) => svg("text", { x: x(at), y: HEIGHT - 6, class: "tick", "text-anchor": anchor(at) }, `${at} %`)),
    marks.flatMap(mark),
  );
  return h("figure", {}, chart, asTable(title, bins));
}

const x = (percent) => (percent / 100) * WIDTH;
const anchor = (at) => (at === 0 ? "start" : at === 100 ? "end" : "middle");

function bar({ from, to, count }, most) {
  const height = ((BASE - TOP) * count) / most;
  const label = svg("text", { x: x((from + to) / 2), y: BASE - height - 4, class: "value", "text-anchor": "middle" }, count ? number(count) : "");
  return [svg("rect", { x: x(from) + 1.5, y: BASE - height, width: x(to - from) - 3, height, rx: 2, class: "bin" }), label];
}

function mark({ at, label }) {
  return [
    svg("line", { x1: x(at), x2: x(at), y1: 2, y2: BASE, class: "mark-line" }),
    svg("text", { x: x(at) + (at > 80 ? -5 : 5), y: 11, class: "mark-label", "text-anchor": at > 80 ? "end" : "start" }, label),
  ];
}

function asTable(title, bins) {
  const rows = bins.filter((bin) => bin.count > 0).map((bin) => h("tr", {}, h("th", { scope: "row" }, range(bin)), h("td", { class: "num" }, number(bin.count))));
  return h(
    "details",
    { "aria-label": `${title} as a table` },
    h("summary", {}, "As a table"),
    h("table", {}, h("caption", { class: "sr-only" }, title), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Score"), h("th", { scope: "col", class: "num" }, "Participants"))), h("tbody", {}, rows)),
  );
}

const range = ({ from, to }) => `${from} to ${to === 100 ? "100" : `under ${to}`} %`;

function inWords(title, bins) {
  const top = bins.reduce((best, bin) => (bin.count > best.count ? bin : best), bins[0]);
  return top ? `${title}: most, ${plural(top.count, "participant")}, have ${range(top)}. The table below holds all figures.` : title;
}
