// The microphone as a live call: what is said is scored while it is said.

import { authorization, seconds } from "./api.js";
import { chip, courseChart, h } from "./draw.js";
import { adviceOf, lineOf } from "./moments.js";
import { problem } from "./page.js";
import { language, t } from "./words.js";

const RATE_HZ = 16_000;
const MAX_WAITING_BYTES = 1_000_000; // that the network has not taken

// The card with its button; leaving the view (`signal`) ends the call.
export function microphone(signal) {
  const button = h("button", { type: "button", id: "mic", "aria-pressed": "false" }, t("mic_start"));
  const heard = h("div", { id: "heard", "aria-live": "polite" });
  let stop = null;
  button.addEventListener("click", async () => {
    if (stop) {
      stop();
      return;
    }
    button.disabled = true;
    try {
      stop = await listen(heard, signal, () => {
        stop = null;
        button.textContent = t("mic_start");
        button.setAttribute("aria-pressed", "false");
      });
      button.textContent = t("mic_stop");
      button.setAttribute("aria-pressed", "true");
    } catch (error) {
      heard.replaceChildren(h("p", { class: "muted" }, `${t("mic_none")} ${error.message}`));
    }
    button.disabled = false;
  });
  return h("section", { class: "card" }, h("h2", {}, t("microphone")), h("div", { class: "row start" }, button), heard);
}

// Begin; gives what stops it. `ended` is called once the call is over.
async function listen(heard, signal, ended) {
  const media = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  const audio = new AudioContext({ sampleRate: RATE_HZ });
  let socket;
  let released = false;
  const release = () => {
    if (released) return;
    released = true;
    for (const track of media.getTracks()) track.stop();
    audio.close();
  };
  try {
    await audio.audioWorklet.addModule("/static/recorder.js");
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/microphone`);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error("the console does not answer"));
    });
  } catch (error) {
    release();
    throw error;
  }
  const call = { moments: [], interim: null, state: null, summary: null };
  const draw = () => drawCall(heard, call);
  socket.send(JSON.stringify({
    authorization: authorization(),
    config: {
      context: { conversation_id: "console", channel: "microphone", language },
      encoding: "LINEAR16", sample_rate_hz: RATE_HZ, channel_roles: ["CUSTOMER"],
      interim_results: true, state_interval: "1s",
    },
  }));
  const recorder = new AudioWorkletNode(audio, "recorder", { numberOfOutputs: 0 });
  recorder.port.onmessage = ({ data }) => {
    if (!released && socket.readyState === WebSocket.OPEN && socket.bufferedAmount < MAX_WAITING_BYTES) socket.send(data);
  };
  audio.createMediaStreamSource(media).connect(recorder);
  socket.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.error) call.error = event.error;
    else take(call, event);
    draw();
  };
  socket.onerror = null;
  socket.onclose = () => {
    release();
    draw();
    ended();
  };
  signal.addEventListener("abort", () => socket.close());
  draw();
  return () => {
    release();
    socket.send("end");
  };
}

function take(call, event) {
  if (event.utterance) {
    const said = momentOf(event.utterance);
    call.interim = event.utterance.is_final ? null : said;
    if (event.utterance.is_final) call.moments.push(said);
  } else if (event.advice) {
    call.moments.find((one) => one.number === event.advice.index)?.advice.push(event.advice);
  } else if (event.state) call.state = event.state;
  else if (event.summary) call.summary = event.summary;
}

function momentOf(utterance) {
  const estimate = utterance.estimate;
  const likeliest = estimate?.emotions.reduce((best, one) => (one.probability > best.probability ? one : best));
  return {
    number: utterance.index, role: "CUSTOMER", text: utterance.text, advice: [],
    start_s: seconds(utterance.start_offset), end_s: seconds(utterance.end_offset),
    score: estimate?.score ?? null, emotion: likeliest?.label ?? "",
  };
}

function drawCall(heard, call) {
  const moments = call.interim ? [...call.moments, call.interim] : call.moments;
  const advice = call.moments.flatMap((one) => one.advice);
  const score = call.summary?.customer?.score ?? call.state?.score;
  heard.replaceChildren(...[
    call.error ? problem(call.error, null) : null,
    call.summary || call.error ? null : h("p", { class: "muted" }, t("mic_on")),
    h("div", { class: "row start" }, h("span", { class: "big" }, chip(score)), advice.length ? adviceOf(advice.at(-1)) : null),
    courseChart(moments),
    h("ol", { class: `lines ${call.interim ? "interim" : ""}` }, moments.slice(-30).map(lineOf)),
  ].filter(Boolean));
}
