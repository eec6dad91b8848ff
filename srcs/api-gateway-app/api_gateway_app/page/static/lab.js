// The lab: experiments with the commands to copy. Each step is checked off when the page sees it happen.

import { h } from "./dom.js";
import { language, number, t } from "./text.js";

const down = (name) => ({ services }) => services[name]?.status === "down";
const up = (name) => ({ services }) => services[name]?.status === "up";
const vagrant = (command) => `vagrant ssh -c 'sudo docker ${command}'`;
const ORDER = `curl -X POST ${location.origin}/api/billing -H 'Content-Type: application/json'`
  + ` -d '{"user_id": "20", "number_of_items": "1", "total_amount": "10"}'`;
const BAD_MESSAGE = "curl -u admin http://localhost:15672/api/exchanges/%2F/billing_orders/publish"
  + ` -d '{"properties": {}, "routing_key": "order", "payload": "no order", "payload_encoding": "string"}'`;
const replicas = ({ services }) => services["inventory-app"]?.replicas.filter(Boolean).length;

// For each step the command, and what must be seen; `start` is the state when the step before was done.
const EXPERIMENTS = [
  { name: "consumer", steps: [
    { command: vagrant("stop billing-app"), sees: down("billing-app") },
    { command: ORDER, sees: ({ waiting }, start) => waiting > (start.waiting ?? 0) },
    { command: vagrant("start billing-app"), sees: (state) => up("billing-app")(state) && state.waiting === 0 },
  ] },
  { name: "broker", steps: [
    { command: vagrant("pause rabbitmq"), sees: down("rabbitmq") },
    { command: ORDER, sees: ({ kept }, start) => kept > (start.kept ?? 0) },
    { command: vagrant("unpause rabbitmq"), sees: (state) => up("rabbitmq")(state) && state.kept === 0 },
  ] },
  { name: "database", steps: [
    { command: vagrant("kill inventory-database"), sees: down("inventory-app") },
    { command: vagrant("start inventory-database"), sees: up("inventory-database") },
  ] },
  { name: "scale", steps: [
    { command: "make scale SERVICE=inventory-app REPLICAS=3", sees: (state) => replicas(state) >= 3 },
    { command: "make scale SERVICE=inventory-app REPLICAS=1", sees: (state) => replicas(state) === 1 },
  ] },
  { name: "message", steps: [
    { command: BAD_MESSAGE, sees: (state, start) => state.dead_letters > (start.dead_letters ?? 0) },
    { command: "make dead-letters", sees: null },
  ] },
];

export function makeLab(feed) {
  const experiments = EXPERIMENTS.map((experiment) => new Experiment(experiment));
  feed.addEventListener("state", ({ detail }) => experiments.forEach((experiment) => experiment.see(detail)));
  return h("section", { "aria-labelledby": "lab-title" },
    h("h2", { id: "lab-title" }, t("lab.title")), h("p", { class: "soft" }, t("lab.how")),
    h("div", { class: "experiments" }, experiments.map(({ element }) => element)));
}

class Experiment {
  #steps;
  #done = 0;
  #start = null;

  constructor({ name, steps }) {
    this.#steps = steps.map((step, index) => ({ ...step, element: makeStep(name, step, index) }));
    this.element = h("article", { class: "experiment", id: `experiment-${name}` },
      h("h3", {}, t(`lab.${name}`)), h("p", { class: "soft" }, t(`lab.${name}.what`)),
      h("ol", {}, this.#steps.map(({ element }) => element)));
  }

  see(state) {
    this.#start ??= state;
    const step = this.#steps[this.#done];
    if (!step?.sees?.(state, this.#start)) return;
    step.element.classList.add("done");
    step.element.querySelector(".seen").textContent = t("lab.seen");
    this.#start = state;
    this.#done += 1;
  }
}

function makeStep(name, { command, sees }, index) {
  const copy = h("button", { type: "button", onclick: async () => {
    await navigator.clipboard?.writeText(command);
    copy.textContent = t("lab.copied");
  } }, t("lab.copy"));
  return h("li", { class: sees ? "" : "free" }, h("p", {}, t(`lab.${name}.${number(index + 1)}`)),
    h("div", { class: "command" }, h("code", { lang: "en" }, command), navigator.clipboard ? copy : null),
    sees ? h("p", { class: "seen", role: "status", lang: language }) : null);
}
