// The live committee page: one cohort fed by the socket, with live-progress as its slow second way.

import { get, may } from "../api.js";
import { byId, chip, fill, h, setText } from "../dom.js";
import { guarded, showProblem } from "../dialogs.js";
import { actOn, actOnDelivery, DELIVERY_ACTIONS } from "../actions.js";
import { drawClient, ENDED } from "../client_card.js";
import { Cohort } from "../cohort.js";
import { drawHead } from "../delivery_head.js";
import { ago, clock, SOURCES } from "../format.js";
import { LiveSocket } from "../live.js";
import { Participants } from "../participants.js";
import { deliveryId, everySecond, learnTime, now } from "../shell.js";
import { drawStates, drawTiles, summary } from "../tiles.js";
import { Pace } from "../pace.js";
import { Ticker } from "../ticker.js";

const id = deliveryId();
const DELIVERY_REFRESH_SECONDS = 10;
// Connections change without an event; with very many rows the reply is large, so ask less often.
const progressRefreshSeconds = () => (cohort.size > 1000 ? 10 : 5);

const cohort = new Cohort();
const figures = { source: null, asOf: null, reason: null, stats: null };
let delivery = null;
let changed = true;
let seconds = 0;

const participants = new Participants(cohort, { act: (kind, rows) => act(kind, rows), permitted: (permission) => may(permission, delivery?.exam_id) });
const ticker = new Ticker(byId("ticker"), (participantId) => cohort.get(participantId));
const pace = new Pace(byId("pace"));

const socket = new LiveSocket(id, {
  onMessage: heard,
  onState: connectionChanged,
  resumeFrom: () => cohort.stream,
});

await guarded(loadDelivery);
await guarded(refreshProgress);
socket.start();
everySecond(tick);
requestAnimationFrame(frame);

function heard(message) {
  learnTime(message.server_time);
  switch (message.type) {
    case "snapshot":
      cohort.replace(message.live, message.stream);
      tookFrom(message.live);
      break;
    case "events":
      for (const event of message.events) took(event);
      figures.asOf = new Date(now()).toISOString();
      break;
    case "health":
      healthChanged(message);
      break;
    case "problem":
      showProblem(message.problem);
      break;
  }
  changed = true;
}

function took(streamEvent) {
  cohort.apply(streamEvent);
  ticker.add(streamEvent.event);
  pace.count(streamEvent.event);
}

function tookFrom(live) {
  Object.assign(figures, { source: live.source, asOf: live.as_of, reason: live.reason, stats: live.stats });
}

function healthChanged(message) {
  if (delivery) delivery.client = { ...delivery.client, ...message };
  if (message.phase && delivery) delivery.phase = message.phase;
  if (message.reachable !== (figures.source !== "last_known")) void guarded(refreshProgress);
  void guarded(loadDelivery);
}

async function loadDelivery() {
  delivery = await get(`/api/deliveries/${id}`);
  learnTime(delivery.server_time);
  drawHead(delivery, "live");
  drawClient(byId("client"), delivery, now(), may("adjudicate", delivery.exam_id) ? () => steer("restart") : null);
  drawDeliveryButtons();
  participants.drawActions();
}

async function refreshProgress() {
  const live = await get(`/api/deliveries/${id}/live-progress`);
  cohort.merge(live);
  tookFrom(live);
  changed = true;
}

/** Draws at most once per frame, and rows in their order at most once per second. */
function frame() {
  if (changed && !document.hidden) {
    changed = false;
    const stats = cohort.stats();
    drawTiles(byId("tiles"), stats);
    drawStates(byId("states"), stats);
    participants.redraw(now());
    drawSource();
  }
  requestAnimationFrame(frame);
}

function tick() {
  seconds += 1;
  setText(byId("server-time"), clock(new Date(now()).toISOString()));
  participants.reorder(now());
  pace.draw(now());
  drawSource();
  if (delivery) drawClient(byId("client"), delivery, now(), may("adjudicate", delivery.exam_id) ? () => steer("restart") : null);
  if (seconds % 15 === 1) setText(byId("summary"), summary(cohort.stats()));
  if (document.hidden) return;
  if (seconds % progressRefreshSeconds() === 0) void refreshProgress().then(() => showProblem(null), showProblem);
  if (seconds % DELIVERY_REFRESH_SECONDS === 0) void loadDelivery().catch(() => {});
}

function drawSource() {
  const [words, tone, meaning] = SOURCES[figures.source] ?? ["No figures yet", "", ""];
  const badge = byId("source");
  if (badge.textContent !== words) fill(badge, Object.assign(chip(words, tone), { title: meaning }));
  setText(byId("as-of"), figures.asOf ? `as of ${clock(figures.asOf)} (${ago(figures.asOf, now())})` : "nothing heard yet");
  const stale = figures.source === "last_known";
  const historical = figures.source === "historical";
  const notice = byId("stale");
  notice.hidden = !stale && !historical;
  notice.className = `notice ${stale ? "warn" : ""}`;
  if (stale) setText(notice, `These figures are not live: the last ones known, as of ${clock(figures.asOf)}. ${figures.reason ?? meaning}`);
  if (historical) setText(notice, "The exam is over. These are the stored results.");
}

function connectionChanged(state, waitSeconds) {
  const words = {
    connecting: ["Connecting", ""],
    connected: ["Updates on", "good"],
    waiting: [`Reconnecting in ${Math.ceil(waitSeconds ?? 0)} s`, "warn"],
    signed_out: ["Signed out", "bad"],
    forbidden: ["Not permitted", "bad"],
  }[state];
  const element = byId("socket");
  element.className = `chip ${words[1]}`;
  setText(element, words[0]);
  if (state === "signed_out") location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
}

function drawDeliveryButtons() {
  // Nobody can be acted on any more once the results are stored.
  const over = ENDED.has(delivery.phase) || delivery.phase === "Validated";
  byId("pace").hidden = over;
  byId("action-bar").hidden = over;
  const offered = Object.entries(DELIVERY_ACTIONS).filter(([verb, action]) => verb !== "restart" && action.phases.includes(delivery.phase));
  const permitted = may("adjudicate", delivery.exam_id) && offered.length > 0;
  byId("delivery-actions").hidden = !permitted;
  const key = offered.map(([verb]) => verb).join();
  if (byId("delivery-buttons").dataset.offered === key) return;
  byId("delivery-buttons").dataset.offered = key;
  fill(
    byId("delivery-buttons"),
    offered.map(([verb, action]) => h("button", { type: "button", class: action.danger ? "danger" : "", onclick: () => steer(verb) }, action.label)),
  );
}

async function act(kind, rows) {
  const done = (await actOn(id, kind, rows)) !== null;
  if (done) await guarded(refreshProgress);
  return done;
}

async function steer(verb) {
  if (await actOnDelivery(delivery, verb)) await guarded(loadDelivery);
}
