// Elements and charts. Text only ever becomes text nodes, so nothing of it is read as markup.

import { t } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, to] of Object.entries(value)) element.style.setProperty(key, to);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// An element: h("p", { class: "muted" }, "words", child, …).
export function h(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function s(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

export function signed(score, digits = 2) {
  return `${score < 0 ? "−" : "+"}${Math.abs(score).toFixed(digits)}`;
}

export function percent(share) {
  return `${(100 * share).toFixed(share > 0 && share < 0.0995 ? 1 : 0)} %`;
}

export function clock(offset) {
  const whole = Math.max(0, Math.floor(offset));
  const [hours, minutes, left] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(left)}` : `${minutes}:${two(left)}`;
}

export function mood(score) {
  if (score === null || score === undefined) return "none";
  return score < -0.2 ? "bad" : score > 0.2 ? "good" : "even";
}

// A score as a chip, its colour and its words saying the same.
export function chip(score) {
  if (score === null || score === undefined) return h("span", { class: "chip none" }, "–");
  return h("span", { class: `chip ${mood(score)}`, title: t("score") }, signed(score));
}

// A labelled bar of a share in [0, 1].
export function bar(label, share, kind = "") {
  return h("div", { class: "bar" },
    h("span", { class: "bar-label" }, label),
    h("span", { class: "bar-track" }, h("span", { class: `bar-fill ${kind}`, vars: { "--share": `${100 * share}%` } })),
    h("span", { class: "bar-value" }, percent(share)));
}

// Points of moments: { x, score, role, advice, title }. Where an offset is not known x is the number.
function points(moments) {
  const at = (moment) => moment.end_s ?? moment.start_s;
  const timed = moments.every((moment) => at(moment) !== null);
  return {
    timed,
    list: moments.map((moment) => ({
      x: timed ? at(moment) : moment.number,
      score: moment.score,
      role: moment.role,
      advice: moment.advice.map((one) => one.rule),
      title: `${timed ? clock(at(moment)) : `#${moment.number}`} ${t(moment.role.toLowerCase())}`
        + (moment.score === null ? "" : ` ${signed(moment.score)} ${t(moment.emotion)}`),
    })),
  };
}

// The course of a conversation. Small ones have neither axes nor advice.
export function courseChart(moments, { width = 1160, height = 260, small = false } = {}) {
  const { timed, list } = points(moments);
  const [left, right, top, bottom] = small ? [4, 6, 5, 5] : [40, 14, 14, 40];
  const last = Math.max(timed ? 10 : 1, ...list.map((point) => point.x));
  const x = (value) => left + (width - left - right) * value / last;
  const y = (score) => top + (height - top - bottom) * (1 - score) / 2;
  const scored = list.filter((point) => point.score !== null);
  const mine = scored.filter((point) => point.role !== "AGENT");
  const chart = s("svg", {
    viewBox: `0 0 ${width} ${height}`, class: small ? "chart small" : "chart", role: "img",
    "aria-label": `${t("timeline")}: ${scored.map((point) => signed(point.score, 1)).join(", ")}`,
  });
  chart.append(s("rect", { class: "zone bad", x: left, y: y(-0.2), width: width - left - right, height: y(-1) - y(-0.2) }));
  for (const score of small ? [0] : [-1, -0.5, 0, 0.5, 1]) {
    chart.append(s("line", { class: score ? "grid" : "grid zero", x1: left, x2: width - right, y1: y(score), y2: y(score) }));
    if (!small) chart.append(s("text", { class: "tick", x: left - 6, y: y(score) + 4, "text-anchor": "end" }, score ? signed(score, 1) : "0"));
  }
  if (!small) {
    for (const value of ticks(last, timed)) {
      chart.append(s("text", { class: "tick", x: x(value), y: height - bottom + 30, "text-anchor": "middle" }, timed ? clock(value) : `#${value}`));
    }
  }
  if (mine.length > 1) {
    chart.append(s("polyline", { class: "course", points: mine.map((point) => `${x(point.x)},${y(point.score)}`).join(" ") }));
  }
  for (const point of scored) {
    chart.append(s("circle", {
      class: `point ${mood(point.score)} ${point.role === "AGENT" ? "agent" : ""}`,
      cx: x(point.x), cy: y(point.score), r: small ? 3 : 5,
    }, s("title", {}, point.title)));
  }
  if (!small) {
    for (const point of list.filter((one) => one.advice.length)) {
      const [at, foot] = [x(point.x), height - bottom + 4];
      chart.append(s("path", { class: "advice-mark", d: `M${at} ${foot}l5 9h-10z` }, s("title", {}, point.advice.join(", "))));
    }
  }
  return chart;
}

function ticks(last, timed) {
  const steps = timed ? [5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600] : [1, 2, 5, 10, 20, 50, 100, 200];
  const step = steps.find((one) => last / one <= 8) ?? last;
  return Array.from({ length: Math.floor(last / step) + 1 }, (_, index) => index * step);
}

// Negative shares with their intervals over bars of how many conversations.
export function trendChart(trends, { width = 1160, height = 300 } = {}) {
  const [left, right, top, bottom] = [46, 52, 16, 30];
  const inner = (width - left - right) / trends.length;
  const most = Math.max(1, ...trends.map((trend) => trend.conversation_count));
  const highest = Math.max(0.1, ...trends.map((trend) => trend.negative_share_high ?? 0));
  const ceiling = Math.min(1, Math.ceil(highest * 10) / 10);
  const x = (index) => left + inner * (index + 0.5);
  const y = (share) => top + (height - top - bottom) * (1 - share / ceiling);
  const tall = (count) => (height - top - bottom) * count / most;
  const chart = s("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": t("negative_share") });
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    chart.append(s("line", { class: "grid", x1: left, x2: width - right, y1: y(part * ceiling), y2: y(part * ceiling) }));
    chart.append(s("text", { class: "tick", x: left - 6, y: y(part * ceiling) + 4, "text-anchor": "end" }, `${+(100 * part * ceiling).toFixed(1)} %`));
  }
  chart.append(s("text", { class: "tick", x: width - right + 6, y: top + 4 }, most.toLocaleString()));
  const every = Math.ceil(trends.length / Math.max(1, Math.floor((width - left - right) / 86)));
  const wide = Math.min(64, inner * 0.72);
  const path = [];
  trends.forEach((trend, index) => {
    const [count, share] = [trend.conversation_count, trend.negative_share];
    chart.append(s("rect", { class: "count", x: x(index) - wide / 2, width: wide, y: height - bottom - tall(count), height: tall(count), rx: 2 },
      s("title", {}, `${trend.group}: ${count.toLocaleString()}`)));
    if (index % every === 0) {
      chart.append(s("text", { class: "tick", x: x(index), y: height - bottom + 20, "text-anchor": "middle" }, short(trend.group)));
    }
    if (share === undefined) return;
    path.push([x(index), y(share)]);
    chart.append(s("line", { class: "whisker", x1: x(index), x2: x(index), y1: y(trend.negative_share_low), y2: y(Math.min(ceiling, trend.negative_share_high)) }));
  });
  const timed = trends.some((trend) => /^\d{4}-/.test(trend.group));
  if (timed) chart.append(s("polyline", { class: "share", points: path.map((at) => at.join(",")).join(" ") }));
  for (const [cx, cy] of path) chart.append(s("circle", { class: "point bad", cx, cy, r: 4 }));
  return chart;
}

function short(group) {
  const hour = /^\d{4}-(\d\d-\d\d)T(\d\d:\d\d)Z$/.exec(group);
  if (hour) return `${hour[1]} ${hour[2]}`;
  return group.length > 14 ? `${group.slice(0, 13)}…` : group;
}

// Boxes over a picture, each with its score.
export function overlay(picture, boxes) {
  const drawn = s("svg", { viewBox: `0 0 ${picture.width} ${picture.height}`, class: "overlay", "aria-hidden": "true" });
  for (const { box, score } of boxes) {
    drawn.append(s("rect", {
      class: `box ${mood(score)}`, x: box.left, y: box.top, rx: 8,
      width: box.right - box.left, height: box.bottom - box.top, "vector-effect": "non-scaling-stroke",
    }));
  }
  return drawn;
}
