// The store's conversations, and one of them in time.

import { call } from "./api.js";
import { chip, courseChart, h, signed } from "./draw.js";
import { byStart, lineOf, momentOf, tagsOf, titleOf, when } from "./moments.js";
import { language, t } from "./words.js";

const PAGE = 50;

export async function show(root, id, signal) {
  if (id) await showOne(root, `conversations/${id}`, signal);
  else await showAll(root, signal);
}

async function showAll(root, signal) {
  const rows = h("tbody", {});
  const more = h("button", { type: "button", class: "quiet" }, t("more"));
  let page_token = "";
  async function next() {
    const page = await call("ConversationService/ListConversations", { page_size: PAGE, page_token }, signal);
    page_token = page.next_page_token;
    more.hidden = !page_token;
    rows.append(...page.conversations.map(row));
  }
  await next();
  more.addEventListener("click", next);
  const heads = ["time", "conversation", "messages", "score", "course", "satisfaction"];
  root.replaceChildren(h("h1", {}, t("conversations")),
    rows.children.length
      ? h("div", { class: "card scroll" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, t(name))))), rows))
      : h("p", { class: "empty" }, t("nothing")),
    more);
}

function row(conversation) {
  const customer = conversation.customer;
  return h("tr", {},
    h("td", { class: "nowrap muted" }, when(conversation.start_time)),
    h("td", {}, h("a", { href: `#/${conversation.name}` }, titleOf(conversation)), " ", tagsOf(conversation)),
    h("td", { class: "number" }, customer ? String(customer.message_count) : "–"),
    h("td", {}, chip(customer?.score)),
    h("td", { class: "nowrap" }, customer ? [chip(customer.start), " → ", chip(customer.end)] : null),
    h("td", {}, chip(customer?.satisfaction)));
}

async function showOne(root, name, signal) {
  const found = await call("ConversationService/GetConversation", { name, language }, signal);
  const moments = found.moments.map(momentOf);
  const customer = found.customer ?? {};
  const figures = ["score", "lowest", "shift", "satisfaction"].filter((one) => customer[one] !== undefined);
  const words = moments.some((moment) => moment.text);
  root.replaceChildren(
    h("p", {}, h("a", { href: "#/conversations" }, `← ${t("back")}`)),
    h("h1", {}, titleOf(found)),
    h("div", { class: "row wrap start" }, h("span", { class: "muted" }, when(found.start_time)),
      h("span", { class: "muted" }, found.method), tagsOf(found),
      found.end_time ? null : h("span", { class: "tag live" }, t("ongoing"))),
    h("div", { class: "figures" }, figures.map((one) =>
      h("div", { class: "figure" }, h("b", {}, signed(customer[one])), h("span", {}, t(one))))),
    h("section", { class: "card" }, h("h2", {}, t("timeline")), courseChart(moments)),
    h("section", { class: "card" },
      words ? null : h("p", { class: "muted" }, t("no_text")),
      h("ol", { class: "lines" }, byStart(moments).map(lineOf))));
}
