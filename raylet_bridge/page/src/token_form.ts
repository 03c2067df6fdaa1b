// Asks for the cluster's token.

import { make } from "base/web/dom.ts";

export function tokenForm(wrong: boolean, give: (token: string) => void): HTMLElement {
  const input = make("input", { type: "password", id: "token", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "token-where" });
  const form = make(
    "form",
    { class: "token" },
    make("h2", { role: "alert" }, wrong ? "That is not the cluster's token" : "This cluster has a token"),
    make("label", { for: "token" }, "Token"),
    input,
    make("button", {}, "Show the cluster"),
    make(
      "div",
      { id: "token-where", class: "quiet" },
      make("p", {}, "Where it is:"),
      make(
        "ul",
        {},
        make("li", {}, "A Ray cluster with a token of its own: that one, from RAY_AUTH_TOKEN, the file RAY_AUTH_TOKEN_PATH, or ~/.ray/auth_token."),
        make("li", {}, "Started by python -m netsense_ray up: the file netsense/token in Ray's session directory, on every node."),
        make("li", {}, "Else: the file that was given to netsense-bridge run --token-file."),
      ),
      make("p", {}, "It is kept until this tab is closed, and sent only to the bridge that served this page."),
    ),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.value.trim() !== "") give(input.value.trim());
  });
  return form;
}
