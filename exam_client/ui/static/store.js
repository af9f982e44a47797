/** Holds the state and tells whoever watches; changes go through the reducer only. */

import { INITIAL, reduce } from "./state.js";

export class Store {
  #state = INITIAL;
  #watchers = new Set();

  state = () => this.#state;

  dispatch = (event) => {
    const before = this.#state;
    this.#state = reduce(before, event);
    for (const watcher of [...this.#watchers]) watcher(this.#state, before);
  };

  /** Calls `watcher(now, before)` after each change until the signal aborts. */
  watch(watcher, signal) {
    this.#watchers.add(watcher);
    signal?.addEventListener("abort", () => this.#watchers.delete(watcher));
  }

  /** Resolves once the condition holds. */
  when(condition) {
    if (condition(this.#state)) return Promise.resolve();
    return new Promise((resolve) => {
      const done = new AbortController();
      const check = (now) => {
        if (!condition(now)) return;
        done.abort();
        resolve();
      };
      this.watch(check, done.signal);
    });
  }
}
