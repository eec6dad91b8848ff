// The numbers above the map, each with a chart of the last ten minutes.

import { h, setText, svg } from "./dom.js";
import { number, t } from "./text.js";

const CARDS = ["rate", "p99", "waiting", "kept", "dead_letters"];
const WIDTH = 240;
const HEIGHT = 40;
const MOST_POINTS = 120;

export function makeNumbers(feed) {
  const cards = Object.fromEntries(CARDS.map((name) => [name, new Card(name)]));
  let order = CARDS;
  let points = [];
  const draw = () => {
    for (const name of CARDS) cards[name].draw(points.map((point) => point[order.indexOf(name)]));
  };

  feed.addEventListener("history", ({ detail }) => {
    ({ of: order, points } = detail);
    draw();
  });
  feed.addEventListener("point", ({ detail }) => {
    points = [...points, detail].slice(-MOST_POINTS);
    draw();
  });
  feed.addEventListener("state", ({ detail }) => {
    for (const name of ["waiting", "kept", "dead_letters"]) cards[name].show(detail[name]);
  });
  const elements = CARDS.map((name) => cards[name].element);
  return h("dl", { class: "numbers", "aria-label": t("numbers.title") }, elements);
}

class Card {
  constructor(name) {
    this.isLive = ["waiting", "kept", "dead_letters"].includes(name);
    this.unit = name === "p99" ? "ms" : "";
    this.value = h("dd", { class: "value", "data-number": name }, "–");
    this.highest = h("dd", { class: "highest" });
    this.area = svg("path", { class: "area" });
    this.line = svg("path", { class: "line" });
    const chart = svg("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true", class: "chart",
    }, this.area, this.line);
    this.element = h("div", { class: `card ${name}` },
      h("dt", {}, t(`numbers.${name}`)), this.value, this.highest, h("dd", { class: "picture" }, chart));
  }

  show(value) {
    setText(this.value, this.unit && value !== null ? `${number(value)} ${this.unit}` : number(value));
    this.element.classList.toggle("some", value > 0);
  }

  draw(values) {
    const known = values.filter((value) => value !== null);
    if (!this.isLive) this.show(known.length ? values.at(-1) : null);
    const highest = Math.max(0, ...known);
    setText(this.highest, known.length ? t("numbers.highest", { value: number(highest) }) : "");
    const scale = Math.max(1, highest * 1.1);
    const x = (index) => ((index + MOST_POINTS - values.length) / (MOST_POINTS - 1)) * WIDTH;
    const y = (value) => (HEIGHT - 2 - ((value ?? 0) / scale) * (HEIGHT - 6)).toFixed(1);
    const corners = values.map((value, index) => `${x(index).toFixed(1)} ${y(value)}`).join("L");
    const ends = [`M${x(0).toFixed(1)} ${HEIGHT}L`, `L${WIDTH} ${HEIGHT}z`];
    this.line.setAttribute("d", values.length ? `M${corners}` : "");
    this.area.setAttribute("d", values.length ? ends.join(corners) : "");
  }
}
