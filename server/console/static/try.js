// Try it: a text, a recording, pictures or the microphone, and what the service says of it.

import { call } from "./api.js";
import { answer } from "./answer.js";
import { h } from "./draw.js";
import { microphone } from "./microphone.js";
import { notice, problem } from "./page.js";
import { language, t } from "./words.js";

export async function show(root, _, signal) {
  const given = { audio: null, images: [] };
  const text = h("textarea", { id: "text", rows: 4, "aria-label": t("try_text"), placeholder: t("try_text") });
  const input = h("input", { id: "files", type: "file", accept: "audio/*,image/*,video/webm", multiple: true, class: "hidden-input" });
  const chosen = h("ul", { class: "chosen" });
  const explain = h("input", { type: "checkbox", id: "explain" });
  const go = h("button", { type: "submit", id: "analyse", class: "primary" }, t("analyse"));
  const result = h("div", { id: "result", "aria-live": "polite" });

  function drawChosen() {
    const all = [given.audio, ...given.images].filter(Boolean);
    chosen.replaceChildren(...all.map((file) => h("li", { class: "tag" }, file.name, h("button", {
      type: "button", class: "quiet", "aria-label": `${t("remove")} ${file.name}`,
      onclick: () => {
        if (given.audio === file) given.audio = null;
        given.images = given.images.filter((one) => one !== file);
        drawChosen();
      },
    }, "×"))));
  }
  function add(files) {
    for (const file of files) {
      if (file.type.startsWith("image/")) given.images.push(file);
      else given.audio = file;
    }
    drawChosen();
  }
  input.addEventListener("change", () => {
    add(input.files);
    input.value = "";
  });
  const drop = h("div", { class: "drop" }, h("span", { class: "muted" }, t("try_files")), " ",
    h("label", { class: "button", for: "files" }, t("choose")), input, chosen);
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    add(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) {
      event.preventDefault();
      add(event.clipboardData.files);
    }
  }, { signal });

  async function analyse() {
    if (!text.value.trim() && !given.audio && !given.images.length) {
      notice(t("try_hint"));
      return;
    }
    const pictures = [...given.images];
    go.disabled = true;
    go.textContent = t("analysing");
    try {
      const request = {
        context: { conversation_id: "console", channel: "console", language },
        text: text.value.trim() ? { content: text.value } : undefined,
        audio: given.audio ? { content: await base64(given.audio) } : undefined,
        images: await Promise.all(pictures.map(async (file) => ({ content: await base64(file) }))),
        config: { explain: explain.checked },
      };
      result.replaceChildren(answer(await call("EmotionService/AnalyzeEmotion", request, signal), pictures, signal));
    } catch (error) {
      if (signal.aborted) return;
      result.replaceChildren(problem(error, null));
    }
    go.disabled = false;
    go.textContent = t("analyse");
  }
  const form = h("form", { class: "card", onsubmit: (event) => {
    event.preventDefault();
    analyse();
  } }, text, drop, h("div", { class: "row" },
    h("label", { class: "row start", for: "explain" }, explain, t("explain")), go));
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  root.replaceChildren(h("h1", {}, t("try")), h("p", { class: "muted" }, t("try_hint")), form, result, microphone(signal));
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
