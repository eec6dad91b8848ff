// The lines between the boxes of the map, and the dots that move along them.

import { Dots } from "./dots.js";
import { svg } from "./dom.js";
import { has, t } from "./text.js";

// From, to; "beside" passes the boxes between by their left side where the map is one column wide.
const LINES = {
  call: ["clients", "api-gateway-app"],
  movies: ["api-gateway-app", "inventory-app"],
  rows: ["inventory-app", "inventory-database"],
  lookup: ["api-gateway-app", "billing-app", "wide"],
  publish: ["api-gateway-app", "rabbitmq", "beside"],
  consume: ["rabbitmq", "billing-app"],
  store: ["billing-app", "billing-database"],
};
// A label needs so many pixels between two boxes.
const ROOM = 72;

export class Lines {
  constructor(boxes) {
    this.boxes = boxes;
    const layer = svg("g");
    const label = (name) => (has(`line.${name}`) ? t(`line.${name}`) : "");
    this.paths = forEachLine(() => svg("path", { class: "line", "marker-end": "url(#arrow)" }));
    this.labels = forEachLine((name) => svg("text", { class: "line-label" }, label(name)));
    this.element = svg("svg", { class: "lines", "aria-hidden": "true" },
      svg("defs", {}, makeArrow()), Object.values(this.paths), Object.values(this.labels), layer);
    this.dots = new Dots(layer);
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  // Sends as many dots of a kind through the lines of these names, one after the other.
  send(kind, count, names) {
    if (!(count > 0)) return;
    const paths = names.map((name) => this.paths[name]);
    // Nothing goes into what is down, or along a line that is not drawn.
    const blocked = paths.findIndex((path) => !path.getAttribute("d") || path.classList.contains("cut"));
    this.dots.send(kind, count, blocked < 0 ? paths : paths.slice(0, blocked));
  }

  // Cuts the lines to what is down.
  mark(services) {
    for (const [name, ends] of Object.entries(LINES)) {
      const isCut = ends.some((end) => services[end]?.status === "down");
      this.paths[name].classList.toggle("cut", isCut);
    }
  }

  draw() {
    const origin = this.element.getBoundingClientRect();
    this.element.setAttribute("viewBox", `0 0 ${origin.width} ${origin.height}`);
    const place = (name) => {
      const { left, top, width, height } = this.boxes[name].element.getBoundingClientRect();
      const [x, y] = [left - origin.left, top - origin.top];
      return { left: x, right: x + width, top: y, bottom: y + height, x: x + width / 2, y: y + height / 2 };
    };
    for (const [name, [from, to, how]] of Object.entries(LINES)) {
      const [start, end] = [place(from), place(to)];
      this.paths[name].setAttribute("d", way(start, end, how));
      const room = end.left - start.right;
      const label = this.labels[name];
      label.toggleAttribute("hidden", room < ROOM);
      label.setAttribute("x", start.right + room / 2 - 3);
      label.setAttribute("y", Math.min(Math.max(end.y, start.top), start.bottom) - 7);
    }
  }
}

function forEachLine(make) {
  return Object.fromEntries(Object.keys(LINES).map((name) => [name, make(name)]));
}

function makeArrow() {
  const size = { viewBox: "0 0 8 8", markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse" };
  return svg("marker", { id: "arrow", refX: 7, refY: 4, orient: "auto", ...size },
    svg("path", { d: "M0 0.5L7.5 4L0 7.5z", class: "arrow" }));
}

// A line from one box to another: straight where they face each other, around the others where they do not.
function way(from, to, how) {
  if (to.left > from.right) {
    const y = Math.min(Math.max(to.y, from.top + 10), from.bottom - 10);
    const middle = (from.right + to.left) / 2;
    return `M${from.right} ${y}C${middle} ${y} ${middle} ${to.y} ${to.left} ${to.y}`;
  }
  if (how === "wide") return "";
  if (how === "beside") {
    const lane = from.left - 9;
    const y = from.bottom - 24;
    return `M${from.left} ${y}Q${lane} ${y} ${lane} ${y + 9}V${to.y - 9}Q${lane} ${to.y} ${to.left} ${to.y}`;
  }
  const x = to.right - to.left < from.right - from.left ? to.x : from.x;
  return to.top >= from.bottom ? `M${x} ${from.bottom}V${to.top}` : `M${x} ${from.top}V${to.bottom}`;
}
