// Calls while they are held, and what else is being scored.

import { stream } from "./api.js";
import { chip, clock, courseChart, h, mood } from "./draw.js";
import { problem } from "./page.js";
import { adviceOf, momentOf, tagsOf, titleOf } from "./moments.js";
import { t } from "./words.js";

const KEPT_MS = 60_000; // that a call that is over stays
const OTHERS = 12; // scored requests that are listed
const CHARTED = 120; // moments of a call's small chart
const AGAIN_MS = 2000;

export async function show(root, _, signal) {
  const calls = new Map();
  const state = { others: [], scored: [] };
  const figures = h("div", { class: "figures" });
  const grid = h("div", { class: "grid-cards", id: "calls" });
  const others = h("ul", { class: "lines", id: "others" });
  const trouble = h("div", {});
  root.replaceChildren(h("h1", {}, t("live_calls")), figures, trouble, grid,
    h("section", { class: "card" }, h("h2", {}, t("live_other")), others));

  const draw = () => drawAll(calls, state, { figures, grid, others });
  const timer = setInterval(draw, 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  draw();
  while (!signal.aborted) {
    try {
      calls.clear(); // all that goes on is told first
      for await (const { conversation, lost_count } of stream("ConversationService/StreamConversations", {}, signal)) {
        trouble.replaceChildren();
        if (lost_count) break;
        take(calls, state, conversation);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.code !== "UNAVAILABLE" && error.code !== "RESOURCE_EXHAUSTED") throw error;
      trouble.replaceChildren(problem(error, null), h("p", { class: "muted" }, t("live_lost")));
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

function take(calls, state, conversation) {
  const moments = conversation.moments.map(momentOf);
  const now = Date.now();
  state.scored.push(...moments.filter((one) => one.score !== null).map(() => now));
  if (conversation.method !== "StreamCall") {
    state.others = [...moments.map((moment) => ({ conversation, moment })).reverse(), ...state.others].slice(0, OTHERS);
    return;
  }
  const call = calls.get(conversation.name) ?? { moments: [], card: null, over_ms: null };
  call.conversation = conversation;
  call.moments.push(...moments);
  call.changed = true;
  if (conversation.end_time) call.over_ms = now;
  calls.set(conversation.name, call);
}

function drawAll(calls, state, { figures, grid, others }) {
  const now = Date.now();
  for (const [name, call] of calls) {
    if (call.over_ms !== null && now - call.over_ms > KEPT_MS) calls.delete(name);
  }
  state.scored = state.scored.filter((at) => now - at < 60_000);
  const held = [...calls.values()].filter((call) => call.over_ms === null);
  const figure = (value, name, kind = "") => h("div", { class: `figure ${kind}` }, h("b", {}, String(value)), h("span", {}, t(name)));
  const bad = held.filter((call) => mood(latest(call)) === "bad").length;
  figures.replaceChildren(
    figure(held.length, "calls_now"), figure(bad, "negative_now", bad ? "bad" : ""),
    figure(held.filter((call) => call.moments.some((one) => one.advice.length)).length, "advice_now"),
    figure(state.scored.length, "scored_minute"));

  const order = [...calls.values()].sort((one, other) =>
    (one.over_ms !== null) - (other.over_ms !== null)
    || other.conversation.start_time.localeCompare(one.conversation.start_time));
  for (const call of order) {
    if (call.changed || call.card === null) {
      const fresh = card(call);
      if (call.card?.contains(document.activeElement)) queueMicrotask(() => fresh.focus());
      call.card?.replaceWith(fresh);
      [call.card, call.changed] = [fresh, false];
    }
    if (call.over_ms === null) {
      const since = (now - Date.parse(call.conversation.start_time)) / 1000;
      call.card.querySelector(".elapsed").textContent = clock(since);
    }
  }
  const cards = order.map((call) => call.card);
  if (!cards.length) grid.replaceChildren(h("p", { class: "empty" }, t("live_none")));
  else if (cards.length !== grid.children.length || cards.some((one, index) => grid.children[index] !== one)) {
    grid.replaceChildren(...cards);
  }
  const drawn = state.others.map((one) => one.conversation.name + one.moment.number).join();
  if (others.dataset.drawn !== drawn || !others.children.length) {
    others.dataset.drawn = drawn;
    others.replaceChildren(...(state.others.length ? state.others.map(other) : [h("li", { class: "empty" }, t("nothing"))]));
  }
}

function customers(call) {
  return call.moments.filter((one) => one.score !== null && one.role !== "AGENT");
}

function latest(call) {
  return customers(call).at(-1)?.score ?? null;
}

function card(call) {
  const { conversation, moments } = call;
  const scores = customers(call).map((one) => one.score);
  const mean = scores.length ? scores.reduce((sum, one) => sum + one, 0) / scores.length : null;
  const advised = moments.findLast((one) => one.advice.length);
  const over = call.over_ms !== null;
  return h("a", {
    class: `card call ${mood(latest(call))} ${over ? "over" : ""}`, "data-name": conversation.name,
    href: `#/${conversation.name}`,
  },
    h("div", { class: "row" },
      h("strong", { class: "title" }, titleOf(conversation)),
      h("span", { class: "muted elapsed" }, over ? t("ended") : "")),
    h("div", { class: "row wrap start" }, tagsOf(conversation)),
    h("div", { class: "row" },
      h("span", { class: `big ${mood(latest(call))}` }, chip(latest(call))),
      h("span", { class: "muted" }, t("mean"), " ", chip(mean))),
    courseChart(moments.slice(-CHARTED), { width: 320, height: 84, small: true }),
    advised ? adviceOf(advised.advice[0]) : null);
}

function other({ conversation, moment }) {
  return h("li", { class: "line" },
    h("span", { class: "at" }, new Date(conversation.start_time).toLocaleTimeString()),
    h("a", { class: "said", href: `#/${conversation.name}` }, titleOf(conversation)),
    tagsOf(conversation),
    moment.emotion ? h("span", { class: "muted emotion" }, t(moment.emotion)) : null,
    chip(moment.score));
}
