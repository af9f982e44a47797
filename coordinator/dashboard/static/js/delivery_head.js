// The head of a delivery's pages: name, phase, window, and tabs to what the viewer may open.

import { h, fill, chip, byId } from "./dom.js";
import { may } from "./api.js";
import { phase, span, plural } from "./format.js";

const TABS = [
  ["live", "Live", "", "watch"],
  ["results", "Results", "/results", "results"],
  ["scoring", "Scoring", "/scoring", "score"],
];

/** Draws into #delivery-head and #tabs. */
export function drawHead(delivery, current) {
  const [words, tone] = phase(delivery.phase);
  document.title = `${delivery.name} · ${TABS.find(([id]) => id === current)[1]} · MedXamion`;
  const limit = `${Math.round(delivery.time_limit_seconds / 60)} min each`;
  fill(
    byId("delivery-head"),
    h("p", { class: "crumbs" }, h("a", { href: "/" }, "Deliveries"), " / ", delivery.name),
    h("div", { class: "row" }, h("h1", {}, delivery.exam_title ?? delivery.exam_id), chip(words, tone)),
    h("p", { class: "muted" }, [span(delivery.opens_at, delivery.closes_at), limit, enrolled(delivery)].filter(Boolean).join(" · ")),
  );
  const tabs = TABS.filter(([, , , permission]) => may(permission, delivery.exam_id));
  fill(
    byId("tabs"),
    tabs.map(([id, title, path]) =>
      h("a", { href: `/deliveries/${delivery.id}${path}`, "aria-current": id === current ? "page" : null }, title),
    ),
  );
}

function enrolled(delivery) {
  const count = delivery.counts?.enrolled;
  return count ? `${plural(count, "participant")} enrolled` : "";
}
