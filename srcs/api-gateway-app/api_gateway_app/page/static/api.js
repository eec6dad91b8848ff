// Calls of the API: the token where one is asked for, and every error as a sentence.

import { h } from "./dom.js";
import { has, t } from "./text.js";

// Kept for this tab only.
const TOKEN_KEY = "token";

// What went wrong, for the user. `detail` is what the API says, in English.
export class Trouble extends Error {
  constructor(status, detail, requestId) {
    super(t(has(`error.${status}`) ? `error.${status}` : "error.other"));
    this.status = status;
    this.detail = detail;
    this.requestId = requestId;
  }

  // As text for one line: the sentence of the page, and what the API says more.
  get whole() {
    return this.detail ? `${this.message} ${this.detail}` : this.message;
  }

  elements() {
    const parts = [h("span", {}, this.message)];
    if (this.detail) parts.push(" ", h("span", { lang: "en", class: "said" }, this.detail));
    return parts;
  }
}

export async function problemText(response) {
  return (await troubleOf(response)).whole;
}

async function troubleOf(response) {
  let document = {};
  try {
    document = await response.json();
  } catch {
    // A bare page of the proxy: the status says enough.
  }
  return new Trouble(response.status, document.detail ?? "", document.request_id);
}

// Returns the JSON answer. Throws Trouble, or an AbortError where `signal` says so.
export async function call(method, path, body, { signal, id } = {}) {
  for (;;) {
    const response = await send(method, path, body, signal, id);
    if (response.status === 401 && (await askForToken(sessionStorage.getItem(TOKEN_KEY) !== null))) continue;
    if (!response.ok) throw await troubleOf(response);
    return { answer: await response.json(), requestId: response.headers.get("X-Request-ID") };
  }
}

async function send(method, path, body, signal, id) {
  const headers = id ? { "X-Request-ID": id } : {};
  const token = sessionStorage.getItem(TOKEN_KEY);
  if (token && method !== "GET") headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const text = body && JSON.stringify(body);
    return await fetch(path, { method, headers, body: text, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble(0, "", "");
  }
}

// Asks the user; returns whether there is a token now.
function askForToken(wasWrong) {
  sessionStorage.removeItem(TOKEN_KEY);
  return new Promise((resolve) => {
    const input = h("input", { type: "password", id: "token", required: true, autocomplete: "off" });
    const close = (token) => {
      if (token) sessionStorage.setItem(TOKEN_KEY, token);
      dialog.close();
      dialog.remove();
      resolve(Boolean(token));
    };
    const submit = (event) => {
      event.preventDefault();
      close(input.value.trim());
    };
    const form = h("form", { method: "dialog", onsubmit: submit },
      h("h2", {}, t("token.title")),
      h("p", {}, t(wasWrong ? "token.wrong" : "token.why")),
      h("label", { for: "token" }, t("token.label")), input,
      h("p", { class: "buttons" },
        h("button", { type: "button", onclick: () => close("") }, t("cancel")),
        h("button", { class: "main" }, t("token.use"))));
    const dialog = h("dialog", { "aria-label": t("token.title"), oncancel: () => close("") }, form);
    document.body.append(dialog);
    dialog.showModal();
  });
}
