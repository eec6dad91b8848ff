// The map: a box for each part, with its health, and lines along which requests and orders move.

import { h, setText, svg } from "./dom.js";
import { Lines } from "./lines.js";
import { number, t } from "./text.js";

const BOXES = [
  "clients", "api-gateway-app", "inventory-app", "inventory-database", "billing-app", "billing-database",
  "rabbitmq",
];
const PARTS = ["haproxy", "flask", "store"];
// As many messages as the strip of the queue can show one by one.
const CELLS = 40;

export function makeMap(feed) {
  const boxes = Object.fromEntries(BOXES.map((name) => [name, new Box(name)]));
  const lines = new Lines(boxes);
  const queue = new Strip("waiting");
  const dead = new Strip("dead_letters");
  const kept = new Strip("kept");
  const parts = PARTS.map((part) => h("div", { class: "part" },
    h("h4", {}, t(`part.${part}`)), h("p", { class: "role" }, t(`part.${part}.what`)),
    part === "store" ? kept.element : null));
  boxes["api-gateway-app"].element.append(h("div", { class: "parts" }, parts));
  boxes.rabbitmq.element.append(h("div", { class: "queues" }, queue.element, dead.element));
  const sentence = h("p", { class: "sentence", role: "status" });
  const element = h("div", { class: "map" }, lines.element, BOXES.map((name) => boxes[name].element));

  boxes.clients.show({ status: "none" });
  boxes["api-gateway-app"].show({ status: "up" });
  let before = {};

  feed.addEventListener("state", ({ detail: state }) => {
    for (const [name, service] of Object.entries(state.services)) boxes[name]?.show(service);
    for (const name of BOXES) boxes[name].mark(state.candidates.includes(name));
    queue.show(state.waiting);
    dead.show(state.dead_letters);
    kept.show(state.kept);
    setText(sentence, sayHowItIs(state));
    const isSomethingDown = Object.values(state.services).some(({ status }) => status === "down");
    sentence.dataset.status = isSomethingDown ? "down" : "up";
    lines.mark(state.services);
    // What left a queue moves on.
    if (state.consumers) lines.send("order", before.waiting - state.waiting, ["consume", "store"]);
    lines.send("order", before.kept - state.kept, ["publish"]);
    before = state;
  });
  feed.addEventListener("traffic", ({ detail }) => {
    const { movies = 0, lookups = 0, orders = 0, kept: keptNow = 0, others = 0 } = detail;
    lines.send("movies", movies, ["call", "movies", "rows"]);
    lines.send("lookup", lookups, ["call", "lookup", "store"]);
    lines.send("other", others, ["call"]);
    const isTaken = before.consumers && before.waiting === 0;
    const way = isTaken ? ["call", "publish", "consume", "store"] : ["call", "publish"];
    lines.send("order", orders - keptNow, way);
    lines.send("kept", keptNow, ["call"]);
  });
  feed.addEventListener("connection", ({ detail }) => {
    element.classList.toggle("blind", Boolean(detail));
    boxes["api-gateway-app"].show({ status: detail ? "unknown" : "up" });
  });
  return h("section", { "aria-labelledby": "map-title" },
    h("h2", { id: "map-title", class: "quiet" }, t("map.title")), sentence, element);
}

// One sentence for the whole platform.
function sayHowItIs({ services, waiting, kept }) {
  const down = Object.keys(services).filter((name) => services[name].status === "down");
  const sentences = [down.length ? t("state.down", { names: down.join(", ") }) : t("state.up")];
  if (kept) sentences.push(t("state.kept", { count: number(kept) }));
  if (waiting && down.includes("billing-app")) sentences.push(t("state.waiting", { count: number(waiting) }));
  return sentences.join(" ");
}

class Box {
  constructor(name) {
    this.status = h("p", { class: "status" });
    this.reason = h("p", { class: "reason", lang: "en" });
    this.trial = h("p", { class: "trial" });
    this.replicas = h("p", { class: "replicas" });
    const title = name === "clients" ? t("map.clients.name") : name;
    this.element = h("article", { class: "box", id: `box-${name}`, "data-status": "unknown" },
      h("h3", {}, title), h("p", { class: "role" }, t(`map.${name}`)), this.status, this.replicas, this.reason,
      this.trial);
  }

  show({ status, reason = "", replicas = [] }) {
    this.element.dataset.status = status;
    setText(this.status, status === "none" ? "" : t(`status.${status}`));
    setText(this.reason, reason);
    // One replica needs no counting.
    const shown = replicas.length > 1 ? replicas : [];
    const count = t("map.replicas", { up: replicas.filter(Boolean).length, all: replicas.length });
    this.replicas.replaceChildren(...shown.map((isUp) => h("span", { class: isUp ? "up" : "" })));
    if (shown.length) this.replicas.append(h("span", { class: "count" }, count));
  }

  mark(isTried) {
    setText(this.trial, isTried ? t("map.trial") : "");
  }
}

// Messages that wait, as small squares and as a number.
class Strip {
  constructor(name) {
    this.number = h("b", { "data-strip": name }, "–");
    this.cells = svg("svg", { viewBox: `0 0 ${CELLS * 6} 10`, "aria-hidden": "true" });
    for (let each = 0; each < CELLS; each += 1) {
      this.cells.append(svg("rect", { x: each * 6, y: 1, width: 4.4, height: 8, rx: 1 }));
    }
    const label = h("p", {}, t(`strip.${name}`), " ", this.number);
    this.element = h("div", { class: `strip ${name}` }, label, this.cells);
  }

  show(count) {
    setText(this.number, number(count));
    [...this.cells.children].forEach((cell, index) => cell.classList.toggle("full", index < count));
  }
}
