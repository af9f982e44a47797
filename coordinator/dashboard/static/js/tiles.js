// The figures at the top of the live page: tiles, a bar of states, and one sentence for listeners.

import { fill, h, setText } from "./dom.js";
import { number, percent, plural, NOTHING } from "./format.js";

const TILES = [
  ["Enrolled", (stats) => [number(stats.enrolled)]],
  ["Started", (stats) => [number(stats.started), share(stats.started, stats.enrolled)]],
  ["Answering", (stats) => [number(stats.answering)]],
  ["Done", (stats) => [number(stats.done), share(stats.done, stats.enrolled)]],
  ["Disconnected", (stats) => [number(stats.disconnected)]],
  ["Answers held", (stats) => [number(stats.answers)]],
  ["Average answered", (stats) => [stats.averageAnswered ?? NOTHING, stats.total ? `of ${stats.total}` : ""]],
  ["Average score", (stats) => [percent(stats.averageScore)]],
];

const STATES = [
  ["done", "Done", (stats) => stats.done],
  ["answering", "Answering", (stats) => stats.answering],
  ["paused", "Paused", (stats) => stats.paused],
  ["waiting", "Not started", (stats) => stats.waiting],
  ["other", "Absent or voided", (stats) => stats.enrolled - stats.done - stats.answering - stats.paused - stats.waiting],
];

export function drawTiles(list, stats) {
  if (!list.firstChild) {
    fill(list, TILES.map(([title]) => h("div", { class: "tile" }, h("dt", {}, title), h("dd", {}, h("span"), " ", h("small")))));
  }
  TILES.forEach(([, figures], index) => {
    const [value, note = ""] = figures(stats);
    const tile = list.children[index].lastChild;
    setText(tile.firstChild, value);
    setText(tile.lastChild, note);
  });
}

export function drawStates(node, stats) {
  if (!node.firstChild) {
    const bars = STATES.map(([id]) => h("i", { class: `s-${id}` }));
    const legend = STATES.map(([id, title]) => h("li", { class: `s-${id}` }, `${title} `, h("b")));
    node.append(h("div", { class: "track", "aria-hidden": "true" }, bars), h("ul", {}, legend));
  }
  STATES.forEach(([id, , count], index) => {
    const value = count(stats);
    node.firstChild.children[index].style.flexGrow = String(value);
    node.firstChild.children[index].hidden = value === 0;
    const entry = node.lastChild.children[index];
    entry.hidden = value === 0 && (id === "other" || id === "paused");
    setText(entry.querySelector("b"), number(value));
  });
}

export function summary(stats) {
  return `${stats.answering} answering, ${stats.done} of ${stats.enrolled} done, ${plural(stats.disconnected, "participant")} disconnected.`;
}

function share(part, whole) {
  return whole ? `${Math.round((100 * part) / whole)} %` : "";
}
