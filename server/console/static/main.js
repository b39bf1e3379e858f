// The page's frame: which view is shown, in which language, and what goes wrong.

import { ApiError, askForToken } from "./api.js";
import { h } from "./draw.js";
import { problem } from "./page.js";
import { language, t } from "./words.js";
import * as conversations from "./conversations.js";
import * as live from "./live.js";
import * as models from "./models.js";
import * as review from "./review.js";
import * as trends from "./trends.js";
import * as tryIt from "./try.js";

const VIEWS = { live, conversations, try: tryIt, review, trends, models };
const main = document.getElementById("main");
let shown = null; // the AbortController of the view that is shown

async function show() {
  const [name, ...rest] = location.hash.replace(/^#\//, "").split("/");
  const view = Object.hasOwn(VIEWS, name) ? name : "live";
  shown?.abort();
  shown = new AbortController();
  const { signal } = shown;
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${t(view)} – ${t("title")}`;
  const root = h("div", { class: `view ${view}` }, h("p", { class: "muted loading" }, t("loading")));
  main.replaceChildren(root);
  try {
    await VIEWS[view].show(root, rest.join("/"), signal);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof ApiError)) console.error(error);
    root.replaceChildren(h("h1", {}, t(view)), problem(error, show));
  }
}

document.documentElement.lang = language;
for (const element of document.querySelectorAll("[data-words]")) element.textContent = t(element.dataset.words);
document.getElementById("nav").append(...Object.keys(VIEWS).map((name) =>
  h("a", { href: `#/${name}`, "data-view": name }, t(name))));
document.getElementById("token-button").addEventListener("click", () => askForToken().then((given) => given && show()));
window.addEventListener("hashchange", () => show().then(() => main.focus({ preventScroll: true })));
show();
