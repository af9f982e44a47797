// Makes the first administrator with the one-time token of the link.

import { post, Problem } from "../api.js";
import { byId } from "../dom.js";
import { onSubmit } from "../forms.js";

const token = new URLSearchParams(location.search).get("token") ?? "";
// The token leaves the address bar, so that no screenshot or history keeps it.
history.replaceState(null, "", "/first-admin");

onSubmit(async ({ username, password, again }) => {
  if (password !== again) throw new Problem({ title: "The two passwords differ", detail: "Type the same one twice." });
  await post("/api/first-admin", { token, username: username.trim(), password }, { signInOn401: false });
  location.assign("/");
});
byId("username").focus();
