// Everything staff can do to participants and to a delivery; each asks for a reason first.

import { h } from "./dom.js";
import { post } from "./api.js";
import { ask, show, toast } from "./dialogs.js";
import { plural } from "./format.js";

const REASON = {
  name: "reason", label: "Reason", required: true, maxlength: "500", autocomplete: "off",
  hint: "Kept in the audit trail. No names, please.",
};
const MINUTES = { name: "minutes", label: "Minutes", type: "number", min: "1", max: "1440", step: "1", value: "10", required: true, inputmode: "numeric" };

/** Per kind: button, permission, what it says, its fields, and the members it sends. */
export const PARTICIPANT_ACTIONS = {
  grant_time: {
    label: "Extra time", permission: "invigilate", fields: [MINUTES],
    text: "Moves the deadline, past the close of the window if need be. Participants see it within two seconds.",
    body: ({ minutes }) => ({ seconds: Number(minutes) * 60 }),
    done: (count, { minutes }) => `${minutes} min given to ${plural(count, "participant")}.`,
  },
  pause: {
    label: "Pause", permission: "invigilate",
    text: "Stops the clock and hides the questions until you resume.",
    done: (count) => `${plural(count, "participant")} paused.`,
  },
  resume: {
    label: "Resume", permission: "invigilate",
    text: "The clock runs on with what was left.",
    done: (count) => `${plural(count, "participant")} resumed.`,
  },
  announce: {
    label: "Announce", permission: "invigilate",
    fields: [{ name: "text", label: "Announcement", type: "textarea", required: true, maxlength: "2000" }],
    body: ({ text }) => ({ text }),
    done: (count) => `Announced to ${plural(count, "participant")}.`,
  },
  takeover_code: {
    label: "Takeover code", permission: "invigilate", single: true,
    text: "Lets the participant continue on another device. The code is shown once.",
  },
  force_submit: {
    label: "Force submit", permission: "adjudicate", danger: true,
    text: "Closes the attempt as it stands. It can be reopened while the delivery runs.",
    done: (count) => `${plural(count, "attempt")} closed.`,
  },
  reopen: {
    label: "Reopen", permission: "adjudicate", fields: [{ ...MINUTES, hint: "At least this long; more where more was left." }],
    text: "A closed attempt runs again; its former score is kept on record.",
    body: ({ minutes }) => ({ seconds: Number(minutes) * 60 }),
    done: (count) => `${plural(count, "attempt")} reopened.`,
  },
};

/** Asks, sends and tells the outcome. `rows` absent: everybody in the delivery. */
export function actOn(deliveryId, kind, rows) {
  const action = PARTICIPANT_ACTIONS[kind];
  return ask({
    title: `${action.label}: ${whom(rows)}`,
    text: action.text,
    fields: [...(action.fields ?? []), REASON],
    submit: action.label,
    danger: action.danger,
    run: (values) => send(deliveryId, kind, rows, values),
  });
}

const CLOSES_AT = { name: "closes_at", label: "New close (your local time)", type: "datetime-local", required: true, step: "60" };

/** Per verb: button, what it says, when it is offered (by phase) and its extra fields. */
export const DELIVERY_ACTIONS = {
  extend: {
    label: "Extend window", phases: ["Assigned", "Preparing", "Prepared", "Running", "Recovering"],
    text: "Moves the close of the window for everybody who has not used up the time limit.",
    fields: (delivery) => [{ ...CLOSES_AT, value: localInput(delivery.closes_at), min: localInput(delivery.closes_at) }],
    body: ({ closes_at }) => ({ closes_at: new Date(closes_at).toISOString() }),
    done: "The window was extended.",
  },
  finalise: {
    label: "Finalise now", phases: ["Prepared", "Running", "Recovering"], danger: true,
    text: "Closes every attempt that is still open and transfers the results. You can roll back until they are validated.",
    done: "Finalising has begun.",
  },
  rollback: {
    label: "Roll back", phases: ["Finalising", "Transferring", "Recovering"],
    text: "Returns the delivery to running, as long as the results are not validated.",
    done: "The delivery is rolled back.",
  },
  abort: {
    label: "Abort", phases: ["Assigned", "Preparing", "Prepared", "Running", "Recovering"], danger: true, confirm: true,
    text: "Ends the delivery for good. What exists is transferred and marked as aborted.",
    done: "The delivery is being aborted.",
  },
  restart: {
    label: "Restart exam-client", phases: ["Preparing", "Prepared", "Running", "Finalising", "Transferring", "Recovering"],
    text: "Participants keep every saved answer and continue by themselves within seconds; the outage is credited.",
    done: "The restart was asked for.",
  },
};

export function actOnDelivery(delivery, verb) {
  const action = DELIVERY_ACTIONS[verb];
  const confirm = { name: "confirm", label: `Type ${delivery.name} to confirm`, required: true, expected: delivery.name, autocomplete: "off" };
  return ask({
    title: action.label,
    text: action.text,
    fields: [...(action.fields?.(delivery) ?? []), ...(action.confirm ? [confirm] : []), REASON],
    submit: action.label,
    danger: action.danger,
    run: async (values) => {
      const body = { reason: values.reason, ...action.body?.(values) };
      await post(`/api/deliveries/${delivery.id}/${verb}`, body);
      toast(action.done);
    },
  });
}

async function send(deliveryId, kind, rows, values) {
  const action = PARTICIPANT_ACTIONS[kind];
  const body = { kind, action_id: actionId(), reason: values.reason, ...action.body?.(values) };
  if (rows) body.participant_ids = rows.map((row) => row.participant_id);
  const outcome = await post(`/api/deliveries/${deliveryId}/actions`, body);
  // The form closes first; what must be read stands in a dialog of its own.
  queueMicrotask(() => tell(action, kind, rows, values, outcome));
  return outcome;
}

function tell(action, kind, rows, values, outcome) {
  if (kind === "takeover_code" && outcome.code) return showCode(rows[0], outcome.code);
  toast(action.done(outcome.applied.length, values));
  const skipped = Object.entries(outcome.skipped ?? {});
  if (skipped.length === 0) return undefined;
  const names = new Map((rows ?? []).map((row) => [String(row.participant_id), row.name ?? row.identifier]));
  const lines = skipped.map(([id, why]) => h("li", {}, `${names.get(id) ?? `Participant ${id}`}: ${why}`));
  return show({ title: `${plural(skipped.length, "participant")} left as they were`, content: [h("ul", {}, lines)] });
}

function showCode(row, code) {
  return show({
    title: `Takeover code for ${row.name ?? row.identifier}`,
    content: [
      h("p", {}, "Shown once. The participant enters it on the new device, which ends the session on the old one."),
      h("output", { class: "code" }, code),
    ],
  });
}

function whom(rows) {
  if (!rows) return "everybody";
  return rows.length === 1 ? (rows[0].name ?? rows[0].identifier ?? `participant ${rows[0].participant_id}`) : plural(rows.length, "participant");
}

/** Sent again after a lost reply, the same id has the same outcome. */
function actionId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function localInput(time) {
  const date = new Date(time);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
