/** Waiting for a server that is away: it comes back, and the exam goes on. */

import { backoff, isPassing } from "./api.js";

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Calls until the server has decided; throws only its decision. `onAway(error)` hears of each miss. */
export async function insist(call, onAway = () => {}) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (!isPassing(error)) throw error;
      onAway(error);
      await pause(backoff(attempt) + 100);
    }
  }
}
