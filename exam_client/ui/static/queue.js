/**
 * Answers on their way to the server, in order. An answer leaves the queue only when the server has
 * decided about it; one whose outcome is unknown goes again with the same command id.
 */

const MOST = 100;
const MOST_CHARACTERS = 200_000;

/** 32 random hex digits: a command id or a device id. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Queue {
  #vault;
  #entries;
  #last;

  /** `records`: what the vault holds; entries have numbers as ids. */
  constructor(vault, records = []) {
    this.#vault = vault;
    this.#entries = records.filter(([id]) => typeof id === "number").map(([, entry]) => entry);
    this.#last = this.#entries.at(-1)?.seq ?? 0;
  }

  get entries() {
    return [...this.#entries];
  }

  get size() {
    return this.#entries.length;
  }

  /** Question ids with something on the way. */
  waiting() {
    return new Set(this.#entries.map((entry) => entry.question_id));
  }

  /**
   * Takes an edit. It replaces an unsent edit of the same question; behind a sent one its base is
   * that one's outcome, otherwise the revision that the participant saw.
   */
  async add(questionId, answer, revision) {
    const earlier = this.#entries.findLast((entry) => entry.question_id === questionId);
    if (earlier && !earlier.sent) {
      earlier.answer = answer;
      return this.#keep(earlier);
    }
    const entry = {
      seq: ++this.#last,
      question_id: questionId,
      answer,
      command_id: randomId(),
      base_revision: earlier ? null : revision,
      sent: false,
    };
    this.#entries.push(entry);
    return this.#keep(entry);
  }

  /** The oldest entries that may go together: one per question, so that each base is known. */
  async next() {
    const batch = [];
    const questions = new Set();
    let characters = 0;
    for (const entry of this.#entries) {
      characters += JSON.stringify(entry.answer).length;
      if (questions.has(entry.question_id) || batch.length === MOST) break;
      if (batch.length && characters > MOST_CHARACTERS) break;
      questions.add(entry.question_id);
      batch.push(entry);
    }
    const fresh = batch.filter((entry) => !entry.sent);
    for (const entry of fresh) entry.sent = true;
    await Promise.all(fresh.map((entry) => this.#keep(entry)));
    return batch;
  }

  /** The server decided; the question's next edit builds on `revision`. */
  async settle(entry, revision = entry.base_revision) {
    this.#entries = this.#entries.filter((other) => other !== entry);
    const later = this.#entries.find((other) => other.question_id === entry.question_id);
    if (later && later.base_revision === null) {
      later.base_revision = revision;
      await this.#keep(later);
    }
    await this.#vault.remove(entry.seq);
  }

  async #keep(entry) {
    await this.#vault.put(entry.seq, entry);
  }
}
