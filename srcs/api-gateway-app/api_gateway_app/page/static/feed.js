// The feed: server-sent events, read by fetch, because EventSource does not tell what a refusal says.

import { problemText } from "./api.js";
import { t } from "./text.js";

const SILENT_MS = 6000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;

export class Feed extends EventTarget {
  #order = "";
  #reading = null;
  #pause = FIRST_PAUSE_MS;
  #isReopening = false;

  // Reads for ever. Dispatches the events of the feed by their names, and "connection" with a sentence, or "".
  async run() {
    for (;;) {
      const trouble = await this.#read();
      if (!this.#isReopening) {
        this.#dispatch("connection", trouble || t("feed.gone"));
        await new Promise((resolve) => setTimeout(resolve, this.#pause));
        this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
      }
      this.#isReopening = false;
    }
  }

  // Has the feed tell every step of this order, too.
  follow(order) {
    if (order === this.#order) return;
    this.#order = order;
    this.#isReopening = this.#reading !== null;
    this.#reading?.abort();
  }

  // Returns what was wrong, as a sentence; "" where the gateway was only silent or went away.
  async #read() {
    const reading = new AbortController();
    this.#reading = reading;
    let silence = setTimeout(() => reading.abort(), SILENT_MS);
    try {
      const address = this.#order ? `/feed?order=${encodeURIComponent(this.#order)}` : "/feed";
      const response = await fetch(address, { signal: reading.signal, cache: "no-store" });
      if (!response.ok) return await problemText(response);
      const parts = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await parts.read();
        if (done) return "";
        clearTimeout(silence);
        silence = setTimeout(() => reading.abort(), SILENT_MS);
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        events.forEach((text) => this.#take(text));
        this.#pause = FIRST_PAUSE_MS;
        this.#dispatch("connection", "");
      }
    } catch {
      return "";
    } finally {
      clearTimeout(silence);
      this.#reading = null;
    }
  }

  #take(text) {
    const [, name, data] = text.match(/^event: (\w+)\ndata: (.*)$/) ?? [];
    if (name) this.#dispatch(name, JSON.parse(data));
  }

  #dispatch(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
