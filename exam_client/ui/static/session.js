/**
 * The course of one sitting: enter, begin, keep in touch, save, close. It tells the state what has
 * happened and never touches the document.
 */

import { isPassing } from "./api.js";
import { warningAt } from "./clock.js";
import { Door } from "./door.js";
import { holdLease } from "./lease.js";
import { insist, pause } from "./patience.js";
import { Queue, randomId } from "./queue.js";
import { Reader } from "./reader.js";
import { linkOf, Sender, verdict } from "./sender.js";
import { isAllSaved, mayGo, resumeAt, screenOf } from "./state.js";
import { openVault } from "./vault.js";

export const HEARTBEAT_MS = 2000;
const TYPING_MS = 600; // an edit is saved when typing rests this long,
const TYPING_MOST_MS = 900; // and while it does not rest, at least this often
const LOBBY_BEATS = 10; // how often the lobby learns of a moved window

export class Session {
  /** The way in: `open()`, `signIn()`, `takeover()`. */
  door;
  #api;
  #clock;
  #store;
  #reader;
  #vault = null;
  #queue = null;
  #sender = null;
  #life = null;
  #drafts = new Map(); // question id -> {answer, since, timer, ...}
  #warned = null;
  #beats = 0;

  constructor(api, clock, store, token) {
    this.#api = api;
    this.#clock = clock;
    this.#store = store;
    this.door = new Door(api, store, token, this.#enter);
    this.#reader = new Reader(api, store, this.#insist);
  }

  get #state() {
    return this.#store.state();
  }

  #dispatch = (event) => this.#store.dispatch(event);

  #insist = (call) => insist(call, () => this.#dispatch({ type: "link", link: "offline" }));

  // Entering

  #enter = async (start, { steal }) => {
    this.#life = new AbortController();
    const name = `medxamion-${start.delivery_uid}-${start.participant.id}`;
    const onLost = () => this.#stop("other_tab");
    if (!(await holdLease(name, { steal, onLost }))) return onLost();
    this.#vault = await openVault(name);
    const records = await this.#vault.all();
    const notes = records.find(([id]) => id === "notes")?.[1];
    if (notes) this.#dispatch({ type: "notes", notes });
    this.#queue = new Queue(this.#vault, records);
    this.#sender = new Sender(this.#api, this.#queue, {
      dispatch: this.#dispatch,
      state: () => this.#state,
      onQueue: this.#showWaiting,
      onSessionLost: (problem) => this.#stop(problem.code),
    });
    await this.#resume(start);
  };

  async #resume(start) {
    const { signal } = this.#life;
    if (start.sections) {
      const reply = await this.#insist(() => this.#api.progress());
      this.#dispatch({ type: "progress", reply });
    }
    for (const { question_id: id, answer } of this.#queue.entries) {
      this.#dispatch({ type: "edited", id, answer });
    }
    this.#showWaiting();
    this.#dispatch({ type: "started", start });
    this.#store.watch((now, before) => this.#follow(now, before), signal);
    this.#follow(this.#state, null);
    const work = [this.#sender.run(signal), this.#keepInTouch(signal), this.#watchTime(signal)];
    Promise.all(work).catch((error) => {
      this.#stop(error.code ?? "failed");
      throw error; // a programming error belongs into the console
    });
  }

  // Sitting

  async begin() {
    const start = await this.#insist(() => this.#api.begin());
    this.#dispatch({ type: "started", start });
  }

  go = (id) => {
    if (!mayGo(this.#state, id)) return;
    this.saveDrafts();
    this.#dispatch({ type: "went", id });
  };

  flag = (id) => this.#dispatch({ type: "flagged", id });
  strike = (id, option) => this.#dispatch({ type: "struck", id, option });
  dismiss = (id) => this.#dispatch({ type: "dismissed", id });

  /** An edit by the participant. While `typing`, the answer is saved at rests. */
  answer = (id, answer, { typing = false, wrong = null } = {}) => {
    this.#dispatch({ type: "edited", id, answer });
    clearTimeout(this.#drafts.get(id)?.timer);
    const since = this.#drafts.get(id)?.since ?? performance.now();
    const left = typing ? Math.min(TYPING_MS, since + TYPING_MOST_MS - performance.now()) : 0;
    const timer = left > 0 ? setTimeout(() => this.#save(id), left) : null;
    this.#drafts.set(id, { answer, wrong, since, timer, taken: false });
    this.#showWaiting();
    if (timer === null) this.#save(id);
  };

  saveDrafts = () => [...this.#drafts.keys()].forEach((id) => this.#save(id));

  /** Whether something would be lost or late if the page were left now. */
  hasUnsaved = () => !isAllSaved(this.#state);

  // A draft stays one until the queue has it on this device.
  async #save(id) {
    const draft = this.#drafts.get(id);
    if (draft.taken) return;
    draft.taken = true;
    clearTimeout(draft.timer);
    if (draft.wrong) this.#dispatch({ type: "refused", id, why: draft.wrong });
    else await this.#sender.edit(id, draft.answer);
    if (this.#drafts.get(id) === draft) this.#drafts.delete(id);
    this.#showWaiting();
  }

  #showWaiting = () =>
    this.#dispatch({ type: "waiting", ids: this.#queue.waiting(), drafts: new Set(this.#drafts.keys()) });

  // Closing

  /** Sends what waits, then closes the attempt; `cancelSubmit` stops it while answers still wait. */
  async submit() {
    this.saveDrafts();
    this.#dispatch({ type: "submitting", on: true });
    await this.#store.when((state) => !state.submitting || isAllSaved(state));
    if (this.#state.submitting) await this.#complete();
  }

  cancelSubmit = () => this.#dispatch({ type: "submitting", on: false });

  async #complete() {
    try {
      const reply = await this.#insist(() => this.#api.complete());
      this.#dispatch({ type: "completed", reply });
    } catch (error) {
      this.#dispatch({ type: "submitting", on: false });
      if (verdict(error) === "session") return this.#stop(error.code);
      this.#say("problem", error.message);
      if (screenOf(this.#state) === "final") this.#dispatch({ type: "completed", reply: {} });
    }
  }

  signOut = async () => {
    try {
      await this.#api.signOut();
    } catch (error) {
      if (isPassing(error)) return this.#say("problem", error.message);
    }
    this.#stop("signed_out"); // a session that had ended before is as good
  };

  // Keeping in touch

  async #keepInTouch(signal) {
    while (!signal.aborted) {
      await pause(HEARTBEAT_MS * (0.9 + Math.random() / 10));
      if (!signal.aborted) await this.#beat();
    }
  }

  async #beat() {
    try {
      this.#dispatch({ type: "progress", reply: await this.#api.progress() });
      this.#reconnected();
    } catch (error) {
      if (isPassing(error)) this.#dispatch({ type: "link", link: linkOf(error) });
      else if (verdict(error) === "session" && screenOf(this.#state) !== "final") this.#stop(error.code);
      else this.#reconnected();
    }
    this.#beats += 1;
    if (screenOf(this.#state) === "lobby" && this.#beats % LOBBY_BEATS === 0) await this.#refreshLobby();
  }

  // That the server answers says nothing about its disk: only a saved answer does.
  #reconnected() {
    const { link, waiting } = this.#state;
    if (link === "online" || (link !== "offline" && waiting.size > 0)) return;
    this.#dispatch({ type: "link", link: "online" });
    this.#sender.kick();
  }

  async #refreshLobby() {
    const start = await this.#insist(() => this.door.enterAgain());
    if (screenOf(this.#state) === "lobby") this.#dispatch({ type: "started", start });
  }

  async #watchTime(signal) {
    while (!signal.aborted) {
      this.#tick();
      await pause(200);
    }
  }

  #tick() {
    const { attempt, timeUp } = this.#state;
    const left = this.#clock.until(attempt?.deadline);
    const over = left !== null && left <= 0;
    if (over && !timeUp) this.saveDrafts();
    if (over !== timeUp) this.#dispatch({ type: "timeUp", timeUp: over });
    const warning = left !== null && screenOf(this.#state) === "exam" ? warningAt(left) : null;
    if (warning !== null && warning !== this.#warned) this.#say("time", null, { left: Math.round(left / 1000) * 1000 });
    this.#warned = warning;
  }

  // What follows from a change of state

  #follow(now, before) {
    if (now.notes !== before?.notes) this.#vault.put("notes", now.notes);
    if (!before) return this.#arrive(now);
    this.#noticeTime(now.attempt, before.attempt);
    if (screenOf(now) !== screenOf(before)) this.#arrive(now);
    else if (now.notes.current !== before.notes.current) this.#reader.fetchAround(now);
  }

  #arrive(now) {
    const screen = screenOf(now);
    if (screen === "exam" && now.order.length === 0) return this.#learnOrder();
    if (screen === "exam") {
      if (!now.order.includes(now.notes.current)) this.#dispatch({ type: "went", id: resumeAt(now) });
      this.#reader.fetchAround(this.#state);
      this.#sender.kick();
    }
    if (screen === "paused") this.saveDrafts();
    if (screen === "final") this.#close(now);
  }

  // The attempt began elsewhere (or its beginning's reply was lost): ask for the order again.
  async #learnOrder() {
    const start = await this.#insist(() => this.door.enterAgain());
    this.#dispatch({ type: "started", start });
    this.#arrive(this.#state);
  }

  async #close(state) {
    if (!state.outcome) await this.#complete();
    await this.#store.when(isAllSaved);
    if (screenOf(this.#state) === "final") await this.#vault.destroy();
  }

  #noticeTime(now, before) {
    const gained = Date.parse(now?.deadline) - Date.parse(before?.deadline);
    if (now?.state !== "in_progress") return;
    if (before?.state === "paused") this.#say("resumed");
    else if (gained >= 1000) this.#say("extra", null, { gained });
  }

  #say(kind, text = null, more = {}) {
    const id = `${kind}-${randomId()}`;
    this.#dispatch({ type: "said", message: { id, kind, text, at: this.#clock.serverNow(), ...more } });
  }

  #stop(reason) {
    this.#life?.abort();
    this.#dispatch({ type: "entry", name: "stopped", notice: reason });
  }
}
