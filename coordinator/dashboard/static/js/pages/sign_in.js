// Staff sign-in; leads back to where the person wanted to go on this site.

import { post } from "../api.js";
import { byId } from "../dom.js";
import { onSubmit } from "../forms.js";

onSubmit(async ({ username, password }) => {
  await post("/api/sign-in", { username: username.trim(), password }, { signInOn401: false });
  location.assign(destination());
});
byId("username").focus();

/** Only a path of this site: a link to the sign-in page must not lead anywhere else. */
function destination() {
  const next = new URL(new URLSearchParams(location.search).get("next") ?? "/", location.origin);
  return next.origin === location.origin ? next.pathname + next.search : "/";
}
