/** Building the document. Text goes in as text nodes only: nothing is ever parsed as HTML. */

/**
 * An element. Functions named on… become listeners, `true` an empty attribute; false, null and
 * undefined leave it out. Children are nodes, strings, or lists of them.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function setAttribute(element, name, value) {
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (value === true) element.setAttribute(name, "");
  else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
}

/** Sets text only when it differs, so that live regions speak about changes alone. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Text of the exam's author or a person: line breaks kept, direction and language their own. */
export const prose = (tag, text, lang, attributes = {}) =>
  h(tag, { ...attributes, class: `prose ${attributes.class ?? ""}`.trim(), lang, dir: "auto" }, text);

export const button = (label, onclick, attributes = {}) =>
  h("button", { type: "button", onclick, ...attributes }, label);

const SHAPES = {
  flag: "M5 21V4h11l-2 4 2 4H7v9z",
  strike: "M4 12.500h16M16 8c-.600-2-2.200-3-4.200-3C9.300 5 7.700 6.300 7.700 8.200c0 1.200.600 2 1.800 2.600M15 14c.900.600 1.300 1.300 1.300 2.300c0 1.900-1.700 3-4.300 3c-2.400 0-4-.900-4.600-2.600",
  clock: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18M12 7v5l3 3",
  zoom: "M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13M15.5 15.5L21 21M10.5 8v5M8 10.5h5",
  check: "M5 12l5 5L20 7",
  offline: "M3 3l18 18M5 12a11 11 0 0 1 4-2.500M15 9.700a11 11 0 0 1 4 2.300M9 16a5 5 0 0 1 6 0M12 20h.01",
  info: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18M12 11v5M12 8h.01",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
};

/** A small drawing beside a text that says the same; never the only carrier of a meaning. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

/** An id that stands once in the document. */
let made = 0;
export const freshId = (name) => `${name}-${(made += 1)}`;

/** A modal dialog that is gone from the document once closed; focus returns to where it was. */
export function openDialog(title, content, actions, attributes = {}) {
  const id = freshId("dialog-title");
  const heading = h("h2", { id, tabindex: "-1" }, title);
  const row = h("div", { class: "actions" }, actions(() => dialog.close()));
  const dialog = h("dialog", { "aria-labelledby": id, ...attributes }, heading, content, row);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  heading.focus();
  return dialog;
}
