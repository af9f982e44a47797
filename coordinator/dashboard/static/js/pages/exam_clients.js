// The health of every exam-client, asked again every few seconds.

import { all, may } from "../api.js";
import { verdict } from "../client_card.js";
import { byId, chip, fill, h, setText } from "../dom.js";
import { guarded } from "../dialogs.js";
import { ago, clock, NOTHING, number, phase } from "../format.js";
import { now } from "../shell.js";
import { table } from "../table.js";

const REFRESH_MS = 5000;

const COLUMNS = [
  { title: "Delivery", head: true, cell: (client) => (may("watch") ? h("a", { href: `/deliveries/${client.delivery_id}` }, client.name) : client.name) },
  { title: "Phase", cell: (client) => chip(...phase(client.phase)) },
  { title: "Health", cell: (client) => [chip(...verdict(client, client)), client.reachable === false && client.reason ? h("span", { class: "sub" }, client.reason) : null] },
  { title: "Since", cell: (client) => ago(client.since, now()) },
  { title: "Last heartbeat", cell: (client) => ago(client.last_heartbeat, now()) },
  { title: "Restarts", num: true, cell: (client) => number(client.restarts) },
  { title: "Epoch", num: true, cell: (client) => number(client.epoch) },
  { title: "Events on the way", num: true, cell: (client) => number(client.events_pending) },
  { title: "Address", cell: (client) => h("code", {}, client.endpoint_public ?? NOTHING) },
];

await refresh();
setInterval(() => document.hidden || refresh(), REFRESH_MS);

async function refresh() {
  await guarded(async () => {
    const clients = await all("/api/exam-clients");
    fill(byId("list"), table(COLUMNS, clients, { caption: "Exam-clients", empty: "No delivery has an exam-client now." }));
    const lost = clients.filter((client) => client.reachable === false).length;
    setText(byId("refreshed"), lost ? `${lost} not reachable.` : "All reachable.");
    byId("refreshed").title = `as of ${clock(new Date(now()).toISOString())}`;
  });
}
