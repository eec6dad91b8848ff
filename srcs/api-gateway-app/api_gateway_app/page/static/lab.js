// The lab: experiments with the commands to copy. Each step is checked off when the page sees it happen.

import { Trouble, call } from "./api.js";
import { h } from "./dom.js";
import { language, number, t } from "./text.js";

const down = (name) => ({ services }) => services[name]?.status === "down";
const up = (name) => ({ services }) => services[name]?.status === "up";
const vagrant = (command) => `vagrant ssh -c 'sudo docker ${command}'`;
const ORDER = `curl -X POST ${location.origin}/api/billing -H 'Content-Type: application/json'`
  + ` -d '{"user_id": "20", "number_of_items": "1", "total_amount": "10"}'`;
const BAD_MESSAGE = "curl -u admin http://localhost:15672/api/exchanges/%2F/billing_orders/publish"
  + ` -d '{"properties": {}, "routing_key": "order", "payload": "no order", "payload_encoding": "string"}'`;
const TITLE = "Filmed after the backup";
const MOVIE = `curl -X POST ${location.origin}/api/movies -H 'Content-Type: application/json'`
  + ` -d '{"title": "${TITLE}"}'`;
const BROKEN = "srcs/inventory-app/inventory_app/wsgi.py";
const BREAK = `echo 'app.before_request(lambda: ("broken on purpose", 500))' >> ${BROKEN}`;
const LOOK_MS = 2000;
// A new version that is good has taken the place of the old one by then.
const CALM_MS = 15000;
const replicas = ({ services }) => services["inventory-app"]?.replicas.filter(Boolean).length;

// A new version of an app was tried and is gone, and all the time the same replicas served: it was refused.
function refuses(app) {
  let serving = null;
  let goneAt = null;
  return ({ candidates, services }) => {
    const { status, replicas: states } = services[app];
    const isTried = candidates.includes(app);
    if (isTried) goneAt = null;
    else goneAt ??= Date.now();
    if (isTried) serving ??= String(states);
    if (status !== "up" || String(states) !== serving) serving = null;
    return serving !== null && !isTried && Date.now() - goneAt > CALM_MS;
  };
}

// For each step the command, and what must be seen, given the state, that when the step before was done, and that when
// the one before it was. Where `sees` is null, nothing can be seen. An experiment that `looks` also needs `movie`: the id
// of the newest movie with TITLE, 0 where there is none. The feed does not tell it.
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
  { name: "update", steps: [
    { command: BREAK, sees: null },
    { command: "make converge SERVICE=inventory-app", sees: refuses("inventory-app") },
    { command: `git checkout ${BROKEN}`, sees: null },
  ] },
  { name: "restore", looks: true, steps: [
    { command: "make backup", sees: null },
    { command: MOVIE, sees: ({ movie }, start) => movie > start.movie },
    {
      command: "make restore FROM=backups/play-with-containers/DATE DATABASE=movies",
      sees: ({ movie }, start) => movie < start.movie,
    },
    { command: "make restore-undo DATABASE=movies", sees: ({ movie }, _, before) => movie === before.movie },
    { command: "make restore-discard", sees: null },
  ] },
];

export function makeLab(feed) {
  const experiments = EXPERIMENTS.map((experiment) => new Experiment(experiment));
  const element = h("section", { "aria-labelledby": "lab-title" },
    h("h2", { id: "lab-title" }, t("lab.title")), h("p", { class: "soft" }, t("lab.how")),
    h("div", { class: "experiments" }, experiments.map((experiment) => experiment.element)));
  let seen = null;
  const see = (news) => {
    seen = { ...seen, ...news };
    if (seen.services) experiments.forEach((experiment) => experiment.see(seen));
  };
  feed.addEventListener("state", ({ detail }) => see(detail));
  setInterval(async () => {
    // Only while somebody sees the lab.
    if (element.checkVisibility() && !document.hidden) see(await findMovie());
  }, LOOK_MS);
  return element;
}

// Returns nothing where inventory-app does not say.
async function findMovie() {
  try {
    const query = new URLSearchParams({ title: TITLE, limit: 1000 });
    const { answer } = await call("GET", `/api/movies?${query}`, undefined, { id: "the-lab" });
    return { movie: answer.movies.at(-1)?.id ?? 0 };
  } catch (error) {
    if (error instanceof Trouble) return {};
    throw error;
  }
}

class Experiment {
  #steps;
  #looks;
  #done = 0;
  // The states when steps were done, the newest first.
  #past = [];

  constructor({ name, steps, looks = false }) {
    this.#looks = looks;
    this.#steps = steps.map((step, index) => ({ ...step, element: makeStep(name, step, index) }));
    this.element = h("article", { class: "experiment", id: `experiment-${name}` },
      h("h3", {}, t(`lab.${name}`)), h("p", { class: "soft" }, t(`lab.${name}.what`)),
      h("ol", {}, this.#steps.map(({ element }) => element)));
  }

  see(state) {
    if (this.#looks && state.movie === undefined) return;
    if (!this.#past.length) this.#past.unshift(state);
    while (this.#steps[this.#done]?.sees === null) this.#done += 1;
    const step = this.#steps[this.#done];
    if (!step?.sees(state, ...this.#past)) return;
    step.element.classList.add("done");
    step.element.querySelector(".seen").textContent = t("lab.seen");
    this.#past.unshift(state);
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
