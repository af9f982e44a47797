/**
 * Carries the queue to the server, one request at a time and in order, until the server has decided
 * about each answer. Nothing that happens on the way loses an answer.
 */

import { backoff, isAway, isPassing, Problem, sentence } from "./api.js";
import { revisionOf } from "./state.js";

const LARGE = 40_000; // a single answer beyond this goes as a batch of one, whose body may be larger

/** What a reply or problem body means for the answer it is about. */
export function verdict(outcome) {
  if (!outcome.code) return "saved";
  switch (outcome.code) {
    case "revision_conflict":
      return "conflict";
    case "deadline_passed":
    case "attempt_closed":
      return "late";
    case "attempt_paused":
    case "delivery_frozen":
      return "again";
    case "unauthenticated":
    case "session_ended":
    case "token_invalid":
    case "token_expired":
      return "session";
    default:
      return isAway(outcome) || [408, 429].includes(outcome.status) ? "again" : "refused";
  }
}

/** How a failure to save is named to the participant. */
export function linkOf(problem) {
  if (problem.code === "storage_full" || problem.status === 507) return "full";
  return problem.code === "storage_lost" ? "lost" : "offline";
}

export class Sender {
  #api;
  #queue;
  #page;
  #wake = () => {};
  #tries = 0;

  /** `page` offers `dispatch(event)`, `state()`, `onQueue()` and `onSessionLost(problem)`. */
  constructor(api, queue, page) {
    this.#api = api;
    this.#queue = queue;
    this.#page = page;
  }

  /** Resolves once the edit is kept on this device. */
  async edit(id, answer) {
    await this.#queue.add(id, answer, revisionOf(this.#page.state(), id));
    this.kick();
  }

  /** Something has changed: try at once. */
  kick() {
    this.#tries = 0;
    this.#wake();
  }

  /** Runs until the signal aborts. */
  async run(signal) {
    signal.addEventListener("abort", () => this.#wake());
    while (!signal.aborted) {
      const again = this.#queue.size > 0 && !(await this.#sendNext());
      if (!again && this.#queue.size > 0) continue;
      await this.#sleep(again ? backoff(this.#tries++) + 50 : null);
    }
  }

  #sleep(milliseconds) {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (milliseconds !== null) setTimeout(resolve, milliseconds);
    });
  }

  /** Whether the server has decided about everything that was sent. */
  async #sendNext() {
    const batch = await this.#queue.next();
    try {
      const outcomes = await this.#send(batch);
      const decided = await this.#take(batch, outcomes);
      if (decided) this.#tries = 0;
      return decided;
    } catch (error) {
      if (!isPassing(error)) throw error;
      this.#page.dispatch({ type: "link", link: linkOf(error) });
      return false;
    } finally {
      this.#page.onQueue();
    }
  }

  async #send(batch) {
    const commands = batch.map(({ question_id, answer, command_id, base_revision }) => ({
      question_id,
      answer,
      command_id,
      base_revision,
    }));
    if (commands.length > 1 || JSON.stringify(commands[0]).length > LARGE) {
      return this.#refusable(() => this.#api.answers(commands), commands.length);
    }
    return this.#refusable(() => this.#api.answer(commands[0]), 1);
  }

  // A refusal of the whole request is the outcome of each command in it.
  async #refusable(call, count) {
    try {
      const reply = await call();
      return reply.outcomes ?? [reply];
    } catch (error) {
      if (!(error instanceof Problem) || error.passing) throw error;
      return Array(count).fill({ ...error.body, code: error.code, status: error.status });
    }
  }

  async #take(batch, outcomes) {
    let decided = true;
    for (const [place, entry] of batch.entries()) {
      decided = (await this.#takeOne(entry, outcomes[place])) && decided;
    }
    return decided;
  }

  async #takeOne(entry, outcome) {
    const { dispatch, onSessionLost } = this.#page;
    const id = entry.question_id;
    switch (verdict(outcome)) {
      case "saved":
        dispatch({ type: "link", link: "online" });
        dispatch({ type: "saved", reply: outcome });
        await this.#queue.settle(entry, outcome.revision);
        return true;
      case "conflict":
        dispatch({ type: "conflicted", id, stored: outcome, mine: entry.answer });
        break;
      case "late":
        dispatch({ type: "late", kept: outcome.quarantined === true });
        break;
      case "refused":
        dispatch({ type: "refused", id, why: sentence(outcome.detail ?? outcome.title) });
        break;
      case "session":
        onSessionLost(outcome);
        return false;
      default:
        dispatch({ type: "link", link: isAway(outcome) ? linkOf(outcome) : "online" });
        return false;
    }
    await this.#queue.settle(entry);
    return true;
  }

}
