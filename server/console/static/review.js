// What is worth a label, and one click to give it.

import { call } from "./api.js";
import { bar, chip, h } from "./draw.js";
import { notice } from "./page.js";
import { when } from "./moments.js";
import { t } from "./words.js";

const PAGE = 20;
const SENTIMENTS = ["positive", "neutral", "negative"];
const EMOTIONS = ["happy", "angry", "sad", "fear", "disgust", "surprise"];

export async function show(root, _, signal) {
  const queue = h("ol", { class: "queue", id: "queue" });
  const labels = h("ul", { class: "lines", id: "labels" });
  async function refill() {
    const { items } = await call("FeedbackService/ListReviewItems", { page_size: PAGE }, signal);
    queue.replaceChildren(...(items.length ? items.map(card) : [h("li", { class: "empty" }, t("review_none"))]));
  }
  async function recent() {
    const { feedback } = await call("FeedbackService/ListFeedback", { page_size: 10 }, signal);
    labels.replaceChildren(...(feedback.length ? feedback.map(kept) : [h("li", { class: "empty" }, t("nothing"))]));
  }

  function card(item) {
    const request_id = crypto.randomUUID(); // the same for a second click: kept once
    const item_ = h("li", { class: "card item", "data-analysis": item.analysis_request_id });
    const give = async (kind, label) => {
      for (const button of item_.querySelectorAll("button")) button.disabled = true;
      const feedback = { analysis_request_id: item.analysis_request_id, number: item.number, [kind]: label };
      try {
        await call("FeedbackService/CreateFeedback", { request_id, feedback }, signal);
      } catch (error) {
        for (const button of item_.querySelectorAll("button")) button.disabled = false;
        notice(error.message);
        return;
      }
      notice(`${t("review_kept")} ${t(label)}`);
      const next = item_.nextElementSibling;
      item_.remove();
      next?.querySelector("button")?.focus();
      await (queue.children.length ? null : refill());
      await recent();
    };
    const button = (kind, label) => h("button", {
      type: "button", class: `label ${label}`, "data-label": label, onclick: () => give(kind, label),
    }, t(label));
    item_.append(
      h("div", { class: "row" },
        item.text ? h("p", { class: "quote" }, item.text) : h("p", { class: "muted" }, t("no_text")),
        chip(item.score)),
      h("div", { class: "row wrap" },
        h("div", { class: "meters" }, bar(t("uncertainty"), item.uncertainty), bar(t("disagreement"), item.disagreement)),
        h("span", { class: "muted nowrap" }, when(item.start_time))),
      h("div", { class: "row wrap start" },
        h("div", { class: "buttons" }, SENTIMENTS.map((label) => button("sentiment", label))),
        h("div", { class: "buttons" }, EMOTIONS.map((label) => button("emotion", label)))));
    return item_;
  }

  await Promise.all([refill(), recent()]);
  root.replaceChildren(h("h1", {}, t("review")), h("p", { class: "muted" }, t("review_hint")), queue,
    h("section", { class: "card" }, h("h2", {}, t("recent")), labels));
}

function kept(feedback) {
  const label = feedback.emotion ?? feedback.sentiment;
  return h("li", { class: "line" },
    h("span", { class: "at" }, when(feedback.create_time)),
    h("span", { class: "said muted" }, `${feedback.analysis_request_id} #${feedback.number}`),
    label === undefined ? chip(feedback.score) : h("span", { class: `tag ${label}` }, t(label)));
}
