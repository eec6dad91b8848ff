// The page's start: its views, its language, and the feed that all of them listen to.

import { h, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { makeLab } from "./lab.js";
import { makeMap } from "./map.js";
import { makeNumbers } from "./numbers.js";
import { OrderViews } from "./orders.js";
import { Shop } from "./shop.js";
import { LANGUAGES, language, setLanguage, t } from "./text.js";

const main = document.getElementById("main");
const feed = new Feed();
const orders = new OrderViews(feed);
const shop = new Shop((id) => orders.follow(id));
const views = {
  map: h("div", { class: "view" }, makeNumbers(feed), makeMap(feed), orders.element),
  shop: h("div", { class: "view" }, shop.element),
  lab: h("div", { class: "view" }, makeLab(feed)),
};

function show() {
  const name = location.hash.slice(1) in views ? location.hash.slice(1) : "map";
  for (const [each, view] of Object.entries(views)) view.hidden = each !== name;
  for (const link of document.querySelectorAll("#views a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${t(`view.${name}`)} · Play with Containers`;
  if (name === "shop") shop.open();
}

document.documentElement.lang = language;
const skip = document.getElementById("skip");
setText(skip, t("skip"));
skip.addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
const navigation = document.getElementById("views");
navigation.setAttribute("aria-label", t("views"));
navigation.append(
  ...Object.keys(views).map((name) => h("a", { href: `#${name}` }, t(`view.${name}`))),
  h("a", { href: "/docs" }, t("view.docs")));
document.getElementById("language").append(...Object.entries(LANGUAGES).map(([tag, name]) => {
  const state = { lang: tag, "aria-pressed": String(tag === language) };
  return h("button", { type: "button", onclick: () => setLanguage(tag), ...state }, name);
}));
main.replaceChildren(...Object.values(views));
addEventListener("hashchange", show);
show();

const connection = document.getElementById("connection");
feed.addEventListener("connection", ({ detail }) => {
  setText(connection, detail);
  connection.classList.toggle("shown", Boolean(detail));
});
feed.run();
