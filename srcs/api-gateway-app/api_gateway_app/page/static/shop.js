// The shop: the movies in pages, searched as one types; each can be changed, deleted and ordered.

import { Trouble, call } from "./api.js";
import { h, setText } from "./dom.js";
import { confirmDeletion, editMovie, orderMovie } from "./forms.js";
import { t } from "./text.js";

const PAGE_SIZE = 20;
const TYPING_MS = 250;

export class Shop {
  #follow;
  #list = h("ul", { class: "catalogue" });
  #news = h("p", { class: "news", role: "status" });
  #search = h("input", {
    type: "search", id: "search", placeholder: t("shop.search"), autocomplete: "off", maxlength: "255",
  });
  #previous = h("button", { type: "button", onclick: () => this.#go(-1) }, t("shop.previous"));
  #next = h("button", { type: "button", onclick: () => this.#go(1) }, t("shop.next"));
  // The addresses of the pages on the way to the one that is shown, and that of the next one.
  #pages = [];
  #nextPage = null;
  #asking = null;

  // `follow` is called with the id of an order that was placed here.
  constructor(follow) {
    this.#follow = follow;
    let typing;
    this.#search.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.#show([this.#first()]), TYPING_MS);
    });
    const add = h("button", { type: "button", class: "main", onclick: () => this.#change({}) }, t("shop.add"));
    this.element = h("section", { "aria-labelledby": "shop-title" },
      h("h2", { id: "shop-title" }, t("shop.title")),
      h("div", { class: "tools" },
        h("label", { for: "search", class: "hidden" }, t("shop.search")), this.#search, add),
      this.#news, this.#list,
      h("p", { class: "paging" }, this.#previous, this.#next));
  }

  open() {
    this.#show(this.#pages.length ? this.#pages : [this.#first()]);
  }

  #first() {
    const query = new URLSearchParams({ limit: PAGE_SIZE });
    if (this.#search.value) query.set("title", this.#search.value);
    return `/api/movies?${query}`;
  }

  #go(step) {
    this.#show(step > 0 ? [...this.#pages, this.#nextPage] : this.#pages.slice(0, -1));
  }

  async #show(pages) {
    // What was asked before is no longer of interest.
    this.#asking?.abort();
    this.#asking = new AbortController();
    this.element.setAttribute("aria-busy", "true");
    try {
      const { answer } = await call("GET", pages.at(-1), undefined, this.#asking);
      this.#pages = pages;
      this.#nextPage = answer.next ?? null;
      this.#list.replaceChildren(...answer.movies.map((movie) => this.#row(movie)));
      if (answer.movies.length) this.#say();
      else this.#say(t(this.#search.value ? "shop.nothing_found" : "shop.empty"));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#tell(error);
    }
    this.element.removeAttribute("aria-busy");
    this.#previous.disabled = this.#pages.length < 2;
    this.#next.disabled = !this.#nextPage;
  }

  #row(movie) {
    const button = (name, act) => h("button",
      { type: "button", "aria-label": t(`shop.${name}_it`, movie), onclick: act }, t(`shop.${name}`));
    return h("li", {},
      h("div", {}, h("h3", {}, movie.title), h("p", {}, movie.description)),
      h("p", { class: "buttons" },
        button("order", () => this.#order(movie)),
        button("edit", () => this.#change(movie)),
        button("delete", () => this.#delete(movie))));
  }

  async #change(movie) {
    const changed = await editMovie(movie);
    if (!changed) return;
    await this.#show(this.#pages.length ? this.#pages : [this.#first()]);
    this.#say(t(movie.id ? "shop.changed" : "shop.added", changed));
  }

  async #delete(movie) {
    if (!(await confirmDeletion(movie))) return;
    await this.#show(this.#pages);
    this.#say(t("shop.deleted", movie));
  }

  async #order(movie) {
    const placed = await orderMovie(movie);
    if (!placed) return;
    const follow = h("a", { href: "#map", onclick: () => this.#follow(placed.order_id) }, t("shop.follow"));
    this.#say(t("shop.ordered", { title: movie.title, id: placed.order_id.slice(0, 8) }), " ", follow);
  }

  #tell(error) {
    this.#news.classList.add("bad");
    this.#news.replaceChildren(...(error instanceof Trouble ? error.elements() : [t("error.other")]));
  }

  #say(...parts) {
    this.#news.classList.remove("bad");
    if (parts.length === 1) setText(this.#news, parts[0]);
    else this.#news.replaceChildren(...parts);
  }
}
