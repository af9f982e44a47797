// The forms of pages for people who are not signed in yet.

import { byId } from "./dom.js";
import { guarded, showProblem } from "./dialogs.js";

/** Runs `submit(values)` on the form's submission; a problem stands above the button. */
export function onSubmit(submit) {
  const form = byId("form");
  // Until here a submission would have been the browser's own, which nobody answers.
  form.querySelector("[type=submit]").disabled = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    if (button.getAttribute("aria-busy") === "true") return;
    const empty = [...form.elements].find((input) => input.required && input.value.trim() === "");
    if (empty) {
      showProblem({ title: `${empty.labels[0].textContent} is missing`, detail: "Please fill it in." });
      empty.focus();
      return;
    }
    button.setAttribute("aria-busy", "true");
    await guarded(() => submit(Object.fromEntries(new FormData(form))));
    button.removeAttribute("aria-busy");
  });
}
