/**
 * Ways into the exam: a delivery token, a session that still holds, offline sign-in, take-over. What
 * proves who somebody is stays in memory, and only until they are in.
 */

import { Problem } from "./api.js";
import { insist, pause } from "./patience.js";
import { randomId } from "./queue.js";

const LOOK_MS = 3000;

export class Door {
  #api;
  #store;
  #token;
  #admit;
  #person = null; // identifier and access code of an offline sign-in, for a take-over

  /** `admit(startReply, {steal})` goes on with whoever got in. */
  constructor(api, store, token, admit) {
    this.#api = api;
    this.#store = store;
    this.#token = token;
    this.#admit = admit;
  }

  /**
   * From a bare page to the exam, or to the form that leads there. `steal` takes the exam from
   * another tab of this browser.
   */
  async open({ steal = false } = {}) {
    this.#store.dispatch({ type: "entry", name: "connecting" });
    await this.#inform();
    try {
      await this.#enter(await insist(() => this.#ask()), { steal });
    } catch (error) {
      this.#turnAway(error);
    }
  }

  /** Sign-in by identifier and code, for when the coordinator can't be reached. */
  signIn = (identifier, accessCode) =>
    this.#tryToEnter(() => {
      this.#token = null;
      this.#person = { identifier, access_code: accessCode };
      return this.#api.signIn({ ...this.#person, device_id: this.#deviceId() });
    });

  takeover = (code) =>
    this.#tryToEnter(() =>
      this.#api.takeover({ ...this.#person, code, device_id: this.#deviceId() }, this.#token),
    );

  /** The session that is there, once more: what it may do may have changed. */
  enterAgain = () => this.#api.enter(this.#deviceId());

  async #enter(start, how = {}) {
    this.#token = this.#person = null;
    await this.#admit(start, how);
  }

  async #ask() {
    try {
      return await this.#api.enter(this.#deviceId(), this.#token);
    } catch (error) {
      const spent = this.#token && ["token_expired", "token_invalid"].includes(error.code);
      if (!spent) throw error;
      this.#token = null; // an earlier session of this browser may still hold
      return this.enterAgain().catch(() => Promise.reject(error));
    }
  }

  async #tryToEnter(call) {
    try {
      await this.#enter(await call());
    } catch (error) {
      if (error.code === "device_conflict") return this.#turnAway(error);
      if (error.code !== "sign_in_at_coordinator") throw error;
      const { sign_in_url } = error.body;
      const back = { coordinator_reachable: true, sent_back: true };
      this.#store.dispatch({ type: "informed", info: { ...this.#store.state().info, ...back, sign_in_url } });
    }
  }

  #turnAway(error) {
    if (!(error instanceof Problem)) throw error;
    const name = error.code === "device_conflict" ? "takeover" : "sign_in";
    const expected = error.code === "unauthenticated" || name === "takeover";
    this.#store.dispatch({ type: "entry", name, notice: expected ? null : error.message });
    if (name === "sign_in") this.#watch();
  }

  // Which way in is open changes while somebody waits at the door.
  async #watch() {
    while (this.#store.state().entry === "sign_in") {
      await pause(LOOK_MS);
      await this.#inform();
    }
  }

  async #inform() {
    this.#store.dispatch({ type: "informed", info: await insist(() => this.#api.info()) });
  }

  #deviceId() {
    const name = `medxamion-device-${this.#store.state().info.delivery_uid}`;
    const known = localStorage.getItem(name) ?? randomId();
    localStorage.setItem(name, known);
    return known;
  }
}
