// A participant's way in: identifier and access code, then off to the exam-client with a token.

import { get, post } from "../api.js";
import { byId, setText } from "../dom.js";
import { span } from "../format.js";
import { onSubmit } from "../forms.js";
import { deliveryId } from "../shell.js";
import { showProblem } from "../dialogs.js";

const id = deliveryId();

onSubmit(async ({ identifier, access_code: code }) => {
  const body = { delivery_id: id, identifier: identifier.trim(), access_code: code.trim() };
  const { exam_url: examUrl, token } = await post("/api/participant/sign-in", body, { signInOn401: false });
  // The fragment never reaches a server or its log.
  location.assign(`${examUrl}/#token=${token}`);
});
byId("identifier").focus();

try {
  const info = await get(`/api/deliveries/${id}/info`, { signInOn401: false });
  setText(byId("exam-title"), info.exam_title);
  setText(byId("exam-window"), span(info.opens_at, info.closes_at));
  document.title = `${info.exam_title} · Sign in`;
} catch (problem) {
  showProblem(problem.status === 404 ? { title: "There is no such exam", detail: "Check the link that you were given." } : problem);
}
