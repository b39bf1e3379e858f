// The API as the page asks for it. The token lies in this tab's sessionStorage and nowhere else.

const TOKEN = "token";

// An answer of the console or the server that is an error.
export class ApiError extends Error {
  constructor({ code, message, reason, violations, retry_after_s }) {
    super(message);
    Object.assign(this, { code, reason, violations: violations ?? [], retry_after_s });
  }
}

export function token() {
  return sessionStorage.getItem(TOKEN) ?? "";
}

export function authorization() {
  return token() ? `Bearer ${token()}` : "";
}

let asking = null;

// Ask for a token; whether one was given. Whoever asks meanwhile waits for the same answer.
export function askForToken() {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("token-dialog");
    const input = document.getElementById("token-input");
    input.value = "";
    dialog.returnValue = "";
    dialog.showModal();
    dialog.addEventListener("close", () => {
      asking = null;
      const given = dialog.returnValue === "ok" ? input.value.trim() : "";
      input.value = "";
      if (given) sessionStorage.setItem(TOKEN, given);
      resolve(Boolean(given));
    }, { once: true });
  });
  return asking;
}

async function post(method, body, signal) {
  for (;;) {
    const used = token();
    const headers = { "Content-Type": "application/json" };
    if (used) headers.Authorization = `Bearer ${used}`;
    let response;
    try {
      response = await fetch(`/api/${method}`, {
        method: "POST", headers, body: JSON.stringify(body), signal,
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError({ code: "UNAVAILABLE", message: "the console does not answer" });
    }
    if (response.ok) return response;
    const { error } = await response.json();
    if (response.status === 401 && (token() !== used || await askForToken())) continue;
    throw new ApiError(error);
  }
}

// The response of a method such as "ModelService/ListModels"; throws ApiError.
export async function call(method, body = {}, signal = undefined) {
  return (await post(method, body, signal)).json();
}

// The responses of a server-streaming method as they come; throws ApiError.
export async function* stream(method, body, signal) {
  const response = await post(method, body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line) continue;
      const message = JSON.parse(line);
      if (message.error) throw new ApiError(message.error);
      yield message;
    }
  }
}

// Seconds of a Duration, such as "3.5s"; null where there is none.
export function seconds(duration) {
  return duration === undefined || duration === null ? null : Number.parseFloat(duration);
}
