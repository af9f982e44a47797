/**
 * The composition root of the participant page: makes the parts, shows the screen that the state
 * calls for, and moves the keyboard's focus along with it.
 */

import { Api } from "./api.js";
import { Clock } from "./clock.js";
import { Session } from "./session.js";
import { screenOf } from "./state.js";
import { Store } from "./store.js";
import { bar } from "./views/bar.js";
import { final, ended, over, paused, submitting } from "./views/ending.js";
import { connecting, signIn, stopped, takeover } from "./views/entry.js";
import { exam } from "./views/exam.js";
import { lobby } from "./views/lobby.js";
import { messages } from "./views/messages.js";

const SCREENS = { connecting, sign_in: signIn, takeover, stopped, lobby, exam, paused, over, submitting, final, ended };
const TIMED = ["exam", "submitting", "over"];
const KEYS = { KeyN: "next", KeyP: "previous", KeyM: "flag", KeyL: "map", KeyS: "finish", KeyK: "help" };

const place = (id) => document.getElementById(id);

/** The delivery token from the fragment, which is cleared at once: it must not stay in the history. */
function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (location.hash) history.replaceState(null, "", location.pathname);
  return token;
}

function start() {
  const clock = new Clock();
  const store = new Store();
  const session = new Session(new Api((...times) => clock.sync(...times)), clock, store, takeToken());
  const voices = { polite: place("polite"), urgent: place("urgent") };
  const top = bar(place("bar"));
  const notices = messages(place("messages"), voices, session);
  let shown = { name: null, view: null };

  function show(state) {
    const name = screenOf(state);
    if (name !== shown.name) {
      shown = { name, view: SCREENS[name](session, state, clock, voices) };
      document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
      place("main").replaceChildren(shown.view.element);
      place("main").querySelector("h1")?.focus();
    }
    document.title = `${state.start?.exam.title ?? state.info?.title ?? "Exam"} – MedXamion`;
    top.update(state);
    notices.update(state);
    shown.view.update?.(state);
    tick();
  }

  function tick() {
    const { attempt } = store.state();
    top.tick(TIMED.includes(shown.name) ? clock.until(attempt?.deadline) : null);
    shown.view.tick?.();
  }

  store.watch(show);
  show(store.state());
  setInterval(tick, 200);
  listen(session, () => shown.view);
  session.door.open();
}

function listen(session, view) {
  addEventListener("hashchange", () => location.hash.startsWith("#token=") && location.reload());
  addEventListener("beforeunload", (event) => {
    session.saveDrafts();
    if (session.hasUnsaved()) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => document.hidden && session.saveDrafts());
  document.addEventListener("keydown", (event) => onKey(event, view()));
  place("skip").addEventListener("click", (event) => {
    event.preventDefault();
    (place("main").querySelector("h2, h1") ?? place("main")).focus();
  });
}

// With Alt only, so that no key of a screen reader and no typed character is taken; on a Mac, Alt
// types characters, so inside a text field it stays with the field.
function onKey(event, view) {
  const name = KEYS[event.code];
  if (!name || !event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const types = event.target.matches?.("textarea, input[type=text]") && /mac/i.test(navigator.platform);
  if (types || !view.shortcut || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  view.shortcut(name);
}

start();
