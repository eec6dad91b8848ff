// The recent orders, and the way of one of them, step by step.

import { h, setText } from "./dom.js";
import { span, t, time } from "./text.js";

const SHOWN = 8;
const SHORT_ID = 8;
const FIT_ID = /^[0-9a-f-]{8,36}$/;

export class OrderViews {
  #feed;
  #orders = new Map();
  #followed = "";
  #rows = h("tbody");
  #none = h("p", { class: "soft" }, t("orders.none"));
  #way = h("div", { class: "way", role: "region", "aria-live": "polite", "aria-label": t("follow.title") });
  #input = h("input", {
    id: "order-id", placeholder: "3f2a9c1e-…", autocomplete: "off", spellcheck: "false", size: "36",
  });

  constructor(feed) {
    this.#feed = feed;
    feed.addEventListener("order", ({ detail }) => this.#take(detail));
    const columns = ["order", "request", "where"].map((name) => h("th", { scope: "col" }, t(`orders.${name}`)));
    const form = h("form", { class: "inline", onsubmit: (event) => this.#submit(event) },
      h("label", { for: "order-id" }, t("follow.label")), this.#input, h("button", {}, t("follow.button")));
    this.element = h("div", { class: "two" },
      h("section", { "aria-labelledby": "follow-title" },
        h("h2", { id: "follow-title" }, t("follow.title")), form, this.#way),
      h("section", { "aria-labelledby": "orders-title" },
        h("h2", { id: "orders-title" }, t("orders.title")), this.#none,
        h("table", {}, h("thead", {}, h("tr", {}, columns)), this.#rows)));
    this.#drawWay();
    this.#drawRows();
  }

  // Follows an order by its id, or by the first 8 digits of it.
  follow(id) {
    this.#followed = id;
    this.#input.value = id;
    this.#feed.follow(id);
    this.#drawWay();
    this.#drawRows();
  }

  #submit(event) {
    event.preventDefault();
    const id = this.#input.value.trim().toLowerCase();
    this.#input.setCustomValidity(FIT_ID.test(id) ? "" : t("follow.unfit"));
    if (this.#input.reportValidity()) this.follow(id);
    this.#input.oninput = () => this.#input.setCustomValidity("");
  }

  #take(order) {
    this.#orders.delete(order.id);
    this.#orders.set(order.id, order);
    // More than the rows, so that the one that is followed stays.
    for (const id of this.#orders.keys()) {
      if (this.#orders.size <= 3 * SHOWN) break;
      if (!this.#followed.startsWith(id)) this.#orders.delete(id);
    }
    this.#drawRows();
    if (this.#followed.startsWith(order.id)) this.#drawWay();
  }

  #drawRows() {
    const accepted = [...this.#orders.values()].filter((order) => order.accepted);
    const newest = accepted.sort((one, other) => other.accepted - one.accepted).slice(0, SHOWN);
    this.#none.hidden = newest.length > 0;
    this.#rows.parentElement?.toggleAttribute("hidden", newest.length === 0);
    this.#rows.replaceChildren(...newest.map((order) => {
      const isFollowed = this.#followed.startsWith(order.id) && this.#followed !== "";
      const state = { class: "link", "aria-pressed": String(isFollowed) };
      const button = h("button", { type: "button", onclick: () => this.follow(order.id), ...state }, order.id);
      return h("tr", { class: isFollowed ? "followed" : "" }, h("td", {}, button),
        h("td", { class: "request" }, order.request_id), h("td", {}, whereIs(order)));
    }));
  }

  #drawWay() {
    if (!this.#followed) {
      this.#way.replaceChildren(h("p", { class: "soft" }, t("follow.how")));
      return;
    }
    const order = this.#orders.get(this.#followed.slice(0, SHORT_ID));
    if (!order) {
      this.#way.replaceChildren(h("p", { class: "soft" }, t("follow.unknown")));
      return;
    }
    const steps = stepsOf(order).map(({ name, at, isDone }) => h("li",
      { class: isDone ? "done" : "", "data-step": name },
      h("b", {}, t(`step.${name}`)), h("span", { class: "what" }, t(`step.${name}.what`)),
      h("span", { class: "when" }, isDone ? whenIs(at, order.accepted) : t("step.open"))));
    const request = h("p", { class: "soft" });
    setText(request, order.request_id ? t("follow.request", { id: order.request_id }) : "");
    this.#way.replaceChildren(request, h("ol", { class: "steps" }, steps));
  }
}

function whereIs(order) {
  return t(`step.${stepsOf(order).findLast(({ isDone }) => isDone)?.name ?? "accepted"}`);
}

// What was stored has passed every step before, even if nobody saw when.
function stepsOf(order) {
  const isStored = Boolean(order.stored);
  const step = (name) => ({ name, at: order[name], isDone: Boolean(order[name]) || isStored });
  const middle = order.kept ? [step("kept"), step("handed_over")] : [step("confirmed")];
  return [step("accepted"), ...middle, step("left_queue"), step("stored")];
}

function whenIs(at, since) {
  if (!at) return t("step.unseen");
  return since && at !== since ? `${time(at)} (${span(at - since)})` : time(at);
}
