// The audit trail, newest first, and the check of its chain.

import { get, withQuery } from "../api.js";
import { byId, fill, h } from "../dom.js";
import { guarded } from "../dialogs.js";
import { dayAndClock, number } from "../format.js";
import { paged } from "../table.js";

const COLUMNS = [
  { title: "No.", num: true, cell: (entry) => number(entry.id) },
  { title: "When", cell: (entry) => h("span", { class: "nowrap" }, dayAndClock(entry.at)) },
  { title: "Who", cell: (entry) => shortened(entry.actor) },
  { title: "What", head: true, cell: (entry) => h("span", { class: "nowrap" }, entry.action.replaceAll("_", " ")) },
  { title: "On", cell: (entry) => entry.target },
  { title: "Detail", cell: (entry) => h("code", { class: "wrap" }, entry.detail === "{}" ? "" : entry.detail) },
  { title: "Hash", cell: (entry) => h("code", { title: entry.hash }, `${entry.hash.slice(7, 17)}…`) },
];
/** "exam-client:6a535c48-1949-…" in a word; the whole of it shows on hover. */
const shortened = (actor) => h("span", { class: "nowrap", title: actor }, actor.length > 24 ? `${actor.slice(0, 20)}…` : actor);
const FROM_THE_END = 2 ** 53 - 1;

byId("verify").disabled = false;
byId("verify").addEventListener("click", () => guarded(verify));
await guarded(() =>
  paged(byId("list"), byId("pager"), COLUMNS, { caption: "Audit entries" }, (before) =>
    get(withQuery("/api/audit", { limit: 100, before: before ?? FROM_THE_END })),
  ),
);

async function verify() {
  fill(byId("verdict"), h("p", { class: "notice" }, "Walking the whole chain …"));
  const { verified, entries, first_bad: firstBad, head, reason } = await get("/api/audit/verify");
  const words = verified
    ? `All ${number(entries)} entries are as they were written. The chain ends in ${head.slice(0, 26)}…`
    : `The chain breaks at entry ${number(firstBad)}. ${reason ?? "Someone changed or removed entries behind the coordinator's back."}`;
  fill(byId("verdict"), h("p", { class: `notice ${verified ? "good" : "bad"}` }, h("strong", {}, verified ? "✓ The chain is whole" : "✕ The chain is broken"), words));
}
