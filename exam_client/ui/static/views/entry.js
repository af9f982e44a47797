/** Screens before a session exists: connecting, signing in, moving the exam here, and its end. */

import { clockTime } from "../clock.js";
import { button, freshId, h } from "./dom.js";

export function connecting() {
  return {
    element: card("Connecting to your exam…", h("p", { role: "status" }, "This page keeps trying by itself. You need not reload.")),
  };
}

/** Offline sign-in while the coordinator is away, otherwise the way to the sign-in page. */
export function signIn(session, state) {
  const place = h("div");
  let shown = null;
  return {
    element: card(state.info.title ?? "Sign in", noticeBox(state.notice), h("p", {}, "Sign in to sit this exam."), place),
    update({ info }) {
      if (info.coordinator_reachable === shown) return;
      const isTyping = [...place.querySelectorAll("input")].some((input) => input.value);
      if (isTyping && !info.sent_back) return;
      shown = info.coordinator_reachable;
      const hadFocus = place.contains(document.activeElement);
      place.replaceChildren(shown ? signInLink(info.sign_in_url) : offlineForm(session));
      if (hadFocus) place.querySelector("a, input").focus();
    },
  };
}

function signInLink(url) {
  return h("p", { class: "actions" }, h("a", { class: "button primary", href: url }, "Go to the sign-in page"));
}

function offlineForm(session) {
  return h(
    "div",
    {},
    h("p", { class: "hint" }, "The usual sign-in page cannot be reached at the moment. Your access code works here as well."),
    form({
      fields: [
        { label: "Identifier", name: "identifier", autocomplete: "username" },
        { label: "Access code", name: "code", autocomplete: "off", class: "code" },
      ],
      submit: "Sign in",
      onsubmit: ({ identifier, code }) => session.door.signIn(identifier.trim(), code.trim()),
    }),
  );
}

/** The exam is open on another device; a code from the invigilator moves it here. */
export function takeover(session) {
  return {
    element: card(
      "Your exam is open on another device",
      h("p", {}, "To go on here, ask an invigilator for a takeover code. Your saved answers and your time stay as they are; the other device is signed out."),
      form({
        fields: [{ label: "Takeover code", name: "code", autocomplete: "one-time-code", class: "code" }],
        submit: "Continue here",
        onsubmit: ({ code }) => session.door.takeover(code.trim()),
      }),
    ),
  };
}

const ENDS = {
  other_tab: ["This exam is open in another tab", "Go on there, or continue here; the other tab then stops."],
  signed_out: ["You are signed out", "You can close this page."],
  session_ended: [
    "Your exam is no longer open here",
    "It was moved to another device, or the session has ended. Answers that were saved are safe. If you did not do this yourself, tell an invigilator now.",
  ],
};

/** The session is over: what happened and what to do. */
export function stopped(session, state) {
  const [title, text] = ENDS[state.notice] ?? ENDS.session_ended;
  const url = state.info?.sign_in_url;
  const waiting = state.waiting.size;
  const kept = `${waiting} unsaved ${waiting === 1 ? "answer is" : "answers are"} kept on this device and sent when you sign in here again.`;
  const again = url && h("a", { class: "button primary", href: url }, "Sign in again");
  const here = button("Continue here", () => session.door.open({ steal: true }), { class: "primary" });
  return {
    element: card(
      title,
      h("p", {}, text),
      waiting > 0 && h("p", { class: "trouble" }, kept),
      h("p", { class: "actions" }, state.notice === "other_tab" ? here : again),
    ),
  };
}

/** A titled card in the middle of the page. */
export const card = (title, ...content) =>
  h("section", { class: "card" }, h("h1", { tabindex: "-1" }, title), content);

const noticeBox = (notice) => notice && h("p", { class: "trouble", role: "alert" }, notice);

/** A form that says what went wrong beside its fields; codes can be pasted. */
function form({ fields, submit, onsubmit }) {
  const errorId = freshId("error");
  const error = h("p", { class: "trouble", id: errorId, role: "alert", hidden: true });
  const inputs = fields.map(({ label, ...attributes }) => {
    const id = freshId("field");
    const input = h("input", { id, type: "text", required: true, spellcheck: "false", autocapitalize: "off", ...attributes });
    return { input, element: h("p", { class: "field" }, h("label", { for: id }, label), input) };
  });
  const send = h("button", { type: "submit", class: "primary" }, submit);
  const element = h("form", { novalidate: true }, inputs.map((field) => field.element), error, h("p", { class: "actions" }, send));
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    const empty = inputs.find(({ input }) => !input.value.trim());
    if (empty) return complain(error, errorId, empty.input, `Fill in “${empty.element.firstChild.textContent}”.`);
    send.disabled = true;
    try {
      await onsubmit(Object.fromEntries(inputs.map(({ input }) => [input.name, input.value])));
    } catch (refusal) {
      complain(error, errorId, inputs.at(-1).input, refusalWords(refusal));
    } finally {
      send.disabled = false;
    }
  });
  return element;
}

function complain(error, id, input, text) {
  error.hidden = false;
  error.textContent = text;
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", id);
  input.focus();
}

const refusalWords = (refusal) =>
  refusal.body?.retry_at ? `${refusal.message} Try again at ${clockTime(refusal.body.retry_at)}.` : refusal.message;
