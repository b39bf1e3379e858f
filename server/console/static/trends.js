// How conversations go on the whole, and what was alerted.

import { call } from "./api.js";
import { chip, h, percent, trendChart } from "./draw.js";
import { when } from "./moments.js";
import { t } from "./words.js";

const GROUPS = ["hour", "day", "channel", "tag"];
const RANGES_H = { last_day: 24, last_week: 168, last_month: 720, all: null };
const MAX_PAGES = 8; // of 100 groups

export async function show(root, _, signal) {
  const chosen = { group: "day", range: "last_month" };
  const body = h("div", {});
  const choice = (name, options, key) => h("div", { class: "row start wrap", role: "group", "aria-label": t(name) },
    h("span", { class: "muted" }, t(name)),
    h("div", { class: "segments" }, options.map((option) => h("button", {
      type: "button", "aria-pressed": String(chosen[key] === option), "data-option": option,
      onclick: (event) => {
        chosen[key] = option;
        for (const other of event.target.parentElement.children) other.setAttribute("aria-pressed", String(other === event.target));
        load();
      },
    }, t(option)))));

  async function load() {
    const trends = await fetchTrends(chosen, signal);
    body.replaceChildren(trends.length
      ? h("div", {}, h("section", { class: "card" }, h("div", { class: "legend" },
        h("span", { class: "key share" }, t("negative_share")), h("span", { class: "key count" }, t("count"))), trendChart(trends)),
      h("div", { class: "card scroll" }, table(trends, chosen.group)))
      : h("p", { class: "empty" }, t("nothing")));
  }

  await load();
  root.replaceChildren(h("h1", {}, t("trends")),
    h("div", { class: "row wrap start choices" }, choice("by", GROUPS, "group"), choice("range", Object.keys(RANGES_H), "range")),
    body, h("section", { class: "card" }, h("h2", {}, t("alerts")), await alerts(signal)));
}

async function fetchTrends({ group, range }, signal) {
  const request = { group_by: group.toUpperCase(), page_size: 100 };
  if (RANGES_H[range] !== null) request.start_time = new Date(Date.now() - RANGES_H[range] * 3_600_000).toISOString();
  const trends = [];
  for (let pages = 0; pages < MAX_PAGES; pages += 1) {
    const page = await call("ConversationService/ListTrends", request, signal);
    trends.push(...page.trends);
    if (!page.next_page_token) break;
    request.page_token = page.next_page_token;
  }
  return trends;
}

function table(trends, group) {
  const heads = [group, "count", "unscored", "mean_score", "negative_share", "interval"];
  return h("table", { id: "trends" }, h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, t(name))))),
    h("tbody", {}, trends.map((trend) => h("tr", {},
      h("td", {}, trend.group),
      h("td", { class: "number" }, trend.conversation_count.toLocaleString()),
      h("td", { class: "number" }, trend.unscored_count.toLocaleString()),
      h("td", {}, chip(trend.score)),
      h("td", { class: "number" }, trend.negative_share === undefined ? "–" : percent(trend.negative_share)),
      h("td", { class: "muted nowrap" }, trend.negative_share === undefined ? "–"
        : `${percent(trend.negative_share_low)} – ${percent(trend.negative_share_high)}`)))));
}

async function alerts(signal) {
  try {
    const { alerts: found } = await call("AlertService/ListAlerts", { page_size: 20 }, signal);
    if (!found.length) return h("p", { class: "empty" }, t("nothing"));
    return h("ul", { class: "lines" }, found.map((alert) => h("li", { class: "line" },
      h("span", { class: "at" }, when(alert.create_time)),
      h("span", { class: `tag ${alert.kind === "SPIKE" ? "off" : "ok"}` }, t(alert.kind)),
      h("span", { class: "said" }, alert.name || t("overall")),
      h("span", { class: "muted" }, `${percent(alert.before?.share ?? 0)} → ${percent(alert.after?.share ?? 0)}`))));
  } catch (error) {
    if (signal.aborted) throw error;
    return h("p", { class: "muted" }, error.message);
  }
}
