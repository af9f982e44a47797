// Staff accounts and their roles, for one exam or for all.

import { all, patch, post, put } from "../api.js";
import { byId, chip, fill, h } from "../dom.js";
import { ask, guarded, toast } from "../dialogs.js";
import { NOTHING } from "../format.js";
import { table } from "../table.js";

const ROLES = {
  admin: "everything",
  committee: "watch, act, results",
  invigilator: "watch, time, pause, takeover, announce",
  scorer: "manual queue",
  auditor: "audit, receipts, read only",
};

const COLUMNS = [
  { title: "Account", head: true, cell: (account) => [account.display_name, h("span", { class: "sub" }, account.username)] },
  { title: "State", cell: (account) => (account.active ? chip("Active", "good") : chip("Inactive")) },
  { title: "Roles", cell: (account) => (account.grants.length ? h("span", { class: "row" }, account.grants.map((grant) => chip(grant.exam_id ? `${grant.role}: ${grant.exam_id}` : `${grant.role}: all exams`, grant.role === "admin" ? "accent" : ""))) : NOTHING) },
  { title: "Actions", cell: (account) => h("span", { class: "row" }, button("Roles", account, editRoles), button("Password", account, setPassword), button(account.active ? "Deactivate" : "Activate", account, toggle)) },
];

byId("create").disabled = false;
byId("create").addEventListener("click", create);
await guarded(refresh);

async function refresh() {
  fill(byId("list"), table(COLUMNS, await all("/api/staff"), { caption: "Accounts" }));
}

function button(words, account, work) {
  return h("button", { type: "button", "aria-label": `${words}: ${account.display_name}`, onclick: () => work(account) }, words);
}

async function create() {
  const made = await ask({
    title: "New account",
    fields: [
      { name: "username", label: "User name", required: true, pattern: "[A-Za-z0-9._@\\-]{1,64}", autocapitalize: "none", autocomplete: "off" },
      { name: "display_name", label: "Name shown", required: true, maxlength: "100", autocomplete: "off" },
      { name: "password", label: "First password", type: "password", required: true, minlength: "12", autocomplete: "new-password", hint: "At least 12 characters. The person should change it." },
      { name: "role", label: "Role", type: "select", options: roleOptions(), value: "committee" },
      { name: "exam_id", label: "For", type: "select", options: await examOptions() },
    ],
    submit: "Create account",
    run: ({ role, exam_id: examId, ...account }) => post("/api/staff", { ...account, grants: [{ role, exam_id: examId || null }] }),
  });
  if (made) await guarded(refresh);
}

async function editRoles(account) {
  const exams = await examOptions();
  const held = account.grants.map((grant) => `${grant.role} ${grant.exam_id ?? "*"}`).join("\n");
  const changed = await ask({
    title: `Roles of ${account.display_name}`,
    text: ["One role per line: the role, then an exam id or * for all exams.", `Roles: ${Object.entries(ROLES).map(([role, what]) => `${role} (${what})`).join("; ")}.`],
    fields: [{ name: "roles", label: "Roles", type: "textarea", value: held, rows: "5", hint: `Exams: ${exams.slice(1).map(([id]) => id).join(", ") || "none yet"}` }],
    submit: "Save roles",
    run: ({ roles }) => put(`/api/staff/${account.id}/roles`, parseRoles(roles)),
  });
  if (changed) await saved("Roles saved. The person's pages close and open with them.");
}

function parseRoles(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const [role, exam = "*"] = line.split(/\s+/);
    return { role, exam_id: exam === "*" ? null : exam };
  });
}

async function setPassword(account) {
  const done = await ask({
    title: `New password for ${account.display_name}`,
    text: "Ends all sessions of the account.",
    fields: [{ name: "password", label: "Password", type: "password", required: true, minlength: "12", autocomplete: "new-password", hint: "At least 12 characters." }],
    submit: "Set password",
    run: ({ password }) => patch(`/api/staff/${account.id}`, { password }),
  });
  if (done) await saved("The password was set.");
}

async function toggle(account) {
  const done = await ask({
    title: `${account.active ? "Deactivate" : "Activate"} ${account.display_name}?`,
    text: account.active ? "The account can't sign in any more and its sessions end." : "The account can sign in again.",
    submit: account.active ? "Deactivate" : "Activate",
    danger: account.active,
    run: () => patch(`/api/staff/${account.id}`, { active: !account.active }),
  });
  if (done) await guarded(refresh);
}

async function saved(words) {
  toast(words);
  await guarded(refresh);
}

async function examOptions() {
  const exams = (await guarded(() => all("/api/exams"))) ?? [];
  return [["", "All exams"], ...exams.map((exam) => [exam.exam_id, exam.title])];
}

// A declaration: it is called while the module still waits for its first list.
function roleOptions() {
  return Object.entries(ROLES).map(([role, what]) => [role, `${role} (${what})`]);
}
