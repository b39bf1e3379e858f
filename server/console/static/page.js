// What any view may have to say: what went wrong, and what was done.

import { askForToken } from "./api.js";
import { h } from "./draw.js";
import { t } from "./words.js";

// What went wrong, with what to do about it.
export function problem(error, retry) {
  const access = error.code === "UNAUTHENTICATED" || error.code === "PERMISSION_DENIED";
  const again = () => askForToken().then((given) => given && retry?.());
  return h("div", { class: "problem", role: "alert" },
    h("strong", {}, error.reason ?? error.name),
    h("p", {}, error.message),
    (error.violations ?? []).map((one) => h("p", { class: "muted" }, `${one.field}: ${one.description}`)),
    h("div", { class: "row" },
      retry && h("button", { type: "button", onclick: retry }, t("retry")),
      access && h("button", { type: "button", class: "quiet", onclick: again }, t("token"))));
}

// A line at the page's foot, for a few seconds; screen readers say it.
export function notice(text) {
  const line = document.getElementById("notice");
  line.textContent = text;
  line.classList.add("shown");
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => line.classList.remove("shown"), 4000);
}
