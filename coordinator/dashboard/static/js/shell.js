// What every staff page does: signing out, and a clock that follows the coordinator's.

import { byId } from "./dom.js";
import { post } from "./api.js";
import { guarded } from "./dialogs.js";

let offsetMs = 0;

/** The time at the coordinator; this machine's clock may be wrong. */
export const now = () => Date.now() + offsetMs;

/** Learns the coordinator's time from anything that carries it. */
export function learnTime(serverTime) {
  if (serverTime) offsetMs = Date.parse(serverTime) - Date.now();
}

/** Calls `tick` now and each second, on the second of the coordinator's clock. */
export function everySecond(tick) {
  tick();
  setTimeout(() => everySecond(tick), 1000 - (now() % 1000));
}

export const deliveryId = () => Number(document.body.dataset.deliveryId);

const signOut = byId("sign-out");
if (signOut) {
  signOut.disabled = false;
  signOut.addEventListener("click", () =>
    guarded(async () => {
      await post("/api/sign-out");
      location.assign("/sign-in");
    }),
  );
}
