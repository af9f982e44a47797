/**
 * Fetches questions: the one on the screen, and some before they are asked for, so that an outage
 * hides none of them.
 */

const AHEAD = 3;

export class Reader {
  #api;
  #store;
  #insist;
  #fetching = new Set();
  #images = new Map(); // path -> address in this document

  constructor(api, store, insist) {
    this.#api = api;
    this.#store = store;
    this.#insist = insist;
  }

  /** The question on the screen is asked for even when it is known: the server learns who is where. */
  async fetchAround({ order, notes }) {
    const here = order.indexOf(notes.current);
    for (const id of order.slice(here, here + 1 + AHEAD)) {
      const ahead = id !== notes.current;
      if (this.#fetching.has(id) || (ahead && this.#store.state().questions[id])) continue;
      this.#fetching.add(id);
      await this.#fetch(id, ahead).finally(() => this.#fetching.delete(id));
    }
  }

  async #fetch(id, ahead) {
    try {
      const question = await this.#insist(() => this.#api.question(id, ahead));
      for (const stimulus of question.stimuli.filter(({ media_url: url }) => url)) {
        stimulus.media_url = await this.#image(stimulus.media_url);
      }
      this.#store.dispatch({ type: "question", question });
    } catch (error) {
      const isLate = ["attempt_paused", "attempt_closed", "attempt_not_started"].includes(error.code);
      if (!isLate) this.#store.dispatch({ type: "refused", id, why: error.message });
    }
  }

  async #image(url) {
    const known = this.#images.get(url) ?? (await this.#insist(() => this.#api.image(url)));
    this.#images.set(url, known);
    return known;
  }
}
