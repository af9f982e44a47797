// How the exam-client of a delivery is seen: reachable, since when, restarts, last heartbeat.

import { chip, fill, h } from "./dom.js";
import { ago, NOTHING, number } from "./format.js";
import { DELIVERY_ACTIONS } from "./actions.js";

export const ENDED = new Set(["CleanedUp", "Aborted", "Failed"]);

/** `restart`: what the button does; null hides it. Focus survives, since only changes are drawn. */
export function drawClient(card, delivery, nowMs, restart) {
  const client = delivery.client ?? {};
  const facts = [
    ["Last heartbeat", ago(client.last_heartbeat, nowMs)],
    ["Restarts", number(client.restarts ?? 0)],
    ["Epoch, incarnation", `${client.epoch ?? NOTHING}, ${client.incarnation ?? NOTHING}`],
    ["Events on the way", number(client.events_pending)],
  ];
  const restartable = restart !== null && DELIVERY_ACTIONS.restart.phases.includes(delivery.phase);
  const [words, tone] = verdict(delivery, client);
  const key = JSON.stringify([facts, restartable, words, client.reason]);
  if (card.dataset.drawn === key) return;
  card.dataset.drawn = key;
  const focused = card.contains(document.activeElement);
  fill(
    card,
    h("div", { class: "card-head" }, h("h2", {}, "Exam-client"), chip(words, tone)),
    client.reachable === false && client.reason ? h("p", { class: "hint reason" }, client.reason) : null,
    h("dl", { class: "facts" }, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    restartable ? h("div", { class: "row" }, h("button", { type: "button", onclick: restart }, "Restart exam-client")) : null,
  );
  if (focused) card.querySelector("button")?.focus();
}

/** [words, tone] */
export function verdict(delivery, client) {
  if (ENDED.has(delivery.phase)) return ["Ended with the delivery", ""];
  if (client.reachable) return ["● Reachable", "good"];
  if (client.reachable === false) return ["✕ Not reachable", "bad"];
  return ["Not started", ""];
}
