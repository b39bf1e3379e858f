// What the server has installed, and how much it takes.

import { call } from "./api.js";
import { h } from "./draw.js";
import { t } from "./words.js";

export async function show(root, _, signal) {
  const [{ models }, limits] = await Promise.all([
    call("ModelService/ListModels", {}, signal), call("ModelService/GetServiceLimits", {}, signal)]);
  const heads = ["model", "state", "reads", "revision", "device"];
  root.replaceChildren(h("h1", {}, t("models")),
    h("div", { class: "card scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, t(name))))),
      h("tbody", {}, models.map(row)))),
    h("section", { class: "card" }, h("h2", {}, t("limits")),
      h("dl", { class: "limits" }, Object.entries(limits).map(([name, value]) =>
        [h("dt", {}, name), h("dd", {}, Number(value) ? Number(value).toLocaleString() : String(value))]))));
}

function row(model) {
  return h("tr", {},
    h("td", {}, h("strong", {}, model.name.replace("models/", ""))),
    h("td", {}, h("span", { class: `tag ${model.state === "READY" ? "ok" : "off"}` }, t(model.state))),
    h("td", {}, h("div", {}, model.description),
      model.reason ? h("div", { class: "muted" }, `${model.reason}; ${model.remedy}`) : null),
    h("td", {}, h("code", {}, model.revision || "–")),
    h("td", {}, model.device || "–"));
}
