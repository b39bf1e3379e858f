// Conversations of the API as the views draw them.

import { seconds } from "./api.js";
import { chip, clock, h } from "./draw.js";
import { t } from "./words.js";

// A ConversationMoment with its offsets in seconds; null where something is not known.
export function momentOf(message) {
  return {
    number: message.number,
    role: message.role === "ROLE_UNSPECIFIED" ? "UNKNOWN" : message.role,
    start_s: seconds(message.start_offset),
    end_s: seconds(message.end_offset),
    score: message.score ?? null,
    emotion: message.emotion,
    text: message.text ?? "",
    advice: message.advice ?? [],
  };
}

// By their start, where all have one: they come as they end.
export function byStart(moments) {
  const timed = moments.every((moment) => moment.start_s !== null);
  return timed ? [...moments].sort((one, other) => one.start_s - other.start_s) : moments;
}

// How a conversation is called: by its caller's id, or the request's.
export function titleOf(conversation) {
  return conversation.conversation_id || conversation.request_id;
}

export function tagsOf(conversation) {
  return [conversation.channel, ...conversation.tags].filter(Boolean)
    .map((tag) => h("span", { class: "tag" }, tag));
}

export function adviceOf(advice) {
  return h("div", { class: `advice ${advice.priority >= 80 ? "urgent" : ""}` },
    h("span", { class: "advice-rule" }, advice.rule), h("span", {}, advice.text));
}

// One line of a timeline's list.
export function lineOf(moment) {
  const at = moment.start_s === null ? `#${moment.number}` : clock(moment.start_s);
  return h("li", { class: `line ${moment.role.toLowerCase()}` },
    h("span", { class: "at" }, at),
    h("span", { class: "who" }, t(moment.role.toLowerCase())),
    h("div", { class: "said" },
      moment.text ? h("p", {}, moment.text) : null,
      moment.advice.map(adviceOf)),
    moment.emotion ? h("span", { class: "muted emotion" }, t(moment.emotion)) : null,
    chip(moment.score));
}

export function when(timestamp) {
  return new Date(timestamp).toLocaleString([], {
    month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
}
