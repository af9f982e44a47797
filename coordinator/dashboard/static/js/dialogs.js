// Dialogs that ask, do and stay open with the reason when it did not work; toasts and notices.

import { h, fill, byId } from "./dom.js";

let lastField = 0;

/**
 * Asks in a modal form and runs `run(values)`. Resolves to run's outcome, or null when cancelled.
 * fields: [{name, label, type, value, required, hint, options, expected, ...attributes}]
 */
export function ask({ title, text, fields = [], submit = "OK", danger = false, run }) {
  const notice = h("div", { class: "notice bad", role: "alert", hidden: true });
  const inputs = fields.map(field);
  const send = h("button", { type: "submit", class: danger ? "danger" : "primary" }, submit);
  const form = h(
    "form",
    { method: "dialog", novalidate: true },
    h("h2", { id: "dialog-title" }, title),
    ...[text ?? []].flat().map((paragraph) => h("p", { class: "muted" }, paragraph)),
    ...inputs.map((input) => input.element),
    notice,
    h("div", { class: "buttons" }, h("button", { type: "button", value: "cancel" }, "Cancel"), send),
  );
  return openForm(form, inputs, send, notice, run);
}

/** Shows nodes until they are dismissed. */
export function show({ title, content, close = "Close" }) {
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "dialog-title" }, title),
    ...content,
    h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, close)),
  );
  const dialog = openDialog(form);
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(null)));
}

export function toast(text) {
  const element = h("p", { class: "toast" }, text);
  byId("toasts").append(element);
  setTimeout(() => element.remove(), 6000);
}

/** Title, detail and places of a problem, as a notice; null hides it again. */
export function showProblem(problem, node = byId("problem")) {
  node.hidden = problem === null;
  if (problem === null) return;
  const places = (problem.errors ?? []).map((error) => h("li", {}, place(error)));
  fill(node, h("strong", {}, problem.title ?? "Something went wrong"), problem.detail ?? problem.message ?? "", places.length ? h("ul", {}, places) : null);
}

/** Runs a page's work; what fails is told on the page and in the console of nobody. */
export async function guarded(work, node) {
  try {
    const outcome = await work();
    showProblem(null, node);
    return outcome;
  } catch (problem) {
    showProblem(problem, node);
    return undefined;
  }
}

function place(error) {
  const where = error.row !== undefined ? `Row ${error.row}` : (error.path ?? "");
  return [where, error.field, error.message].filter(Boolean).join(": ");
}

function openForm(form, inputs, send, notice, run) {
  const dialog = openDialog(form);
  form.querySelector("[value=cancel]").addEventListener("click", () => dialog.close());
  return new Promise((resolve) => {
    let outcome = null;
    dialog.addEventListener("close", () => resolve(outcome));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!check(inputs)) return;
      send.setAttribute("aria-busy", "true");
      const values = Object.fromEntries(inputs.map((input) => [input.name, input.control.value.trim()]));
      const done = await guarded(async () => ({ outcome: await run(values) }), notice);
      send.removeAttribute("aria-busy");
      if (done) {
        outcome = done.outcome ?? true;
        dialog.close();
      }
    });
  });
}

function openDialog(form) {
  const before = document.activeElement;
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    before?.focus?.();
  });
  dialog.showModal();
  form.querySelector("input, select, textarea")?.focus();
  return dialog;
}

function field({ name, label, type = "text", value = "", hint, options, expected, ...attributes }) {
  lastField += 1;
  const id = `field-${lastField}`;
  const wrong = h("p", { class: "wrong", id: `${id}-wrong`, hidden: true });
  const describedBy = [hint && `${id}-hint`, `${id}-wrong`].filter(Boolean).join(" ");
  const shared = { id, name, "aria-describedby": describedBy, ...attributes };
  const control = makeControl(type, options, shared);
  if (value !== "") control.value = value;
  const element = h("div", { class: "field" }, h("label", { for: id }, label), control, hint && h("p", { class: "hint", id: `${id}-hint` }, hint), wrong);
  return { name, element, control, wrong, expected };
}

function makeControl(type, options, attributes) {
  if (type === "textarea") return h("textarea", { rows: "3", ...attributes });
  if (type !== "select") return h("input", { type, ...attributes });
  return h("select", attributes, options.map(([value, words]) => h("option", { value }, words)));
}

function check(inputs) {
  for (const { control, wrong, expected } of inputs) {
    const problem = whatIsWrong(control, expected);
    control.setAttribute("aria-invalid", String(problem !== ""));
    wrong.hidden = problem === "";
    wrong.textContent = problem;
  }
  const first = inputs.find(({ control }) => control.getAttribute("aria-invalid") === "true");
  first?.control.focus();
  return first === undefined;
}

function whatIsWrong(control, expected) {
  if (!control.checkValidity()) return control.validationMessage;
  if (control.required && control.value.trim() === "") return "Please fill this in.";
  return expected !== undefined && control.value.trim() !== expected ? `Type exactly ${expected}.` : "";
}
