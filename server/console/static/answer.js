// An AnalyzeEmotionResponse for people.

import { seconds } from "./api.js";
import { bar, chip, clock, h, overlay, percent, signed } from "./draw.js";
import { adviceOf } from "./moments.js";
import { t } from "./words.js";

const KINDS = { positive: "good", happy: "good", neutral: "even", surprise: "even" };

// `pictures` are the files that were sent; `signal` ends what is held of them.
export function answer(response, pictures, signal) {
  const fused = response.fused ?? {};
  const emotions = [...(fused.emotions ?? [])].sort((one, other) => other.probability - one.probability);
  return h("div", { class: "answer" },
    h("section", { class: "card" },
      h("div", { class: "row start wrap" },
        h("span", { class: "big" }, chip(fused.score)),
        h("div", {}, h("strong", {}, emotions.length ? t(emotions[0].label) : "–"),
          h("div", { class: "muted" }, `${t("confidence")} ${percent(fused.confidence ?? 0)}`,
            fused.abstained ? ` · ${t("abstained")}` : ""))),
      (response.advice ?? []).map(adviceOf),
      response.explanation ? h("p", { class: "reason" }, response.explanation.reason) : null),
    h("div", { class: "columns" },
      h("section", { class: "card" }, h("h2", {}, t("emotions")),
        Object.entries(fused.sentiment ?? {}).map(([name, share]) => bar(t(name), share, KINDS[name] ?? "bad")),
        h("hr", {}), emotions.map((one) => bar(t(one.label), one.probability, KINDS[one.label] ?? "bad"))),
      h("section", { class: "card" }, h("h2", {}, t("shares")),
        response.sources.map((one) => bar(said(one), one.share, one.contribution < 0 ? "bad" : "good")),
        response.modalities.filter((one) => one.reason).map((one) =>
          h("p", { class: "muted" }, `${t(one.modality)}: ${one.reason}${one.remedy ? `; ${one.remedy}` : ""}`)))),
    response.explanation?.texts.length ? h("section", { class: "card" }, h("h2", {}, t("why")), response.explanation.texts.map(words)) : null,
    response.transcript?.segments.length ? h("section", { class: "card" }, h("h2", {}, t("transcript")), transcript(response.transcript)) : null,
    response.pictures?.length ? h("section", { class: "card" }, h("h2", {}, t("read")), read(response, pictures, signal)) : null);
}

// What a source says by itself, and what of its evidence makes it count less.
function said(one) {
  return `${t(one.source)} ${signed(one.estimate.score)}${one.weakness ? ` (${t(one.weakness)})` : ""}`;
}

function transcript(found) {
  return [
    found.text ? null : h("p", { class: "muted" }, [found.reason, found.remedy].filter(Boolean).join("; ")),
    h("ol", { class: "lines" }, found.segments.map((one) => h("li", { class: "line" },
      h("span", { class: "at" }, `${clock(seconds(one.start_offset))} – ${clock(seconds(one.end_offset))}`),
      h("span", { class: "said" }, one.text), chip(one.estimate?.score)))),
  ];
}

function read(response, files, signal) {
  return response.pictures.map((picture, page) => {
    const lines = response.messages.filter((one) => one.page === page);
    const scored = lines.filter((one) => one.estimate?.score !== undefined);
    const url = URL.createObjectURL(files[page]);
    signal.addEventListener("abort", () => URL.revokeObjectURL(url));
    return h("div", { class: "columns picture" },
      h("figure", {}, h("img", { src: url, alt: files[page].name }),
        overlay(picture, scored.map((one) => ({ box: one.box, score: one.estimate.score })))),
      h("ol", { class: "lines" }, lines.filter((one) => one.kind === "MESSAGE" || one.kind === "TEXT").map((one) =>
        h("li", { class: `line ${one.role.toLowerCase()}` },
          h("span", { class: "who" }, one.role === "ROLE_UNSPECIFIED" ? "" : t(one.role.toLowerCase())),
          h("span", { class: "said" }, one.text), chip(one.estimate?.score)))));
  });
}

// A text with each word's push towards positive or negative as its colour.
function words(text) {
  const most = Math.max(1e-6, ...text.words.map((one) => Math.abs(one.contribution)));
  let end = 0;
  return h("p", { class: "words" }, text.words.map((one) => {
    const gap = one.start > end ? " " : "";
    end = one.end;
    return [gap, h("span", {
      class: one.contribution < 0 ? "bad" : "good", title: one.contribution.toFixed(3),
      vars: { "--strength": `${Math.round(60 * Math.abs(one.contribution) / most)}%` },
    }, one.text)];
  }));
}
