// Dots that move along the lines of the map. One is one request or order, or stands for several if there are many.

import { prefersStillness, svg } from "./dom.js";

const MOST_DOTS = 80;
const PIXELS_PER_SECOND = 420;

export class Dots {
  #layer;
  #moving = [];
  #spare = [];
  #isRunning = false;

  constructor(layer) {
    this.#layer = layer;
  }

  // Sends `count` dots of a kind through `paths` (SVG paths, one after the other), spread over `seconds`.
  send(kind, count, paths, seconds = 0.25) {
    if (prefersStillness.matches || document.hidden || !paths.length) return;
    const now = performance.now();
    const shown = Math.min(count, 8, MOST_DOTS - this.#moving.length);
    for (let each = 0; each < shown; each += 1) {
      const dot = this.#spare.pop() ?? svg("circle", { r: 4 });
      dot.setAttribute("class", `dot ${kind}`);
      this.#layer.append(dot);
      const lengths = paths.map((path) => path.getTotalLength());
      this.#moving.push({ dot, paths, lengths, startsAt: now + (each / shown) * seconds * 1000 });
    }
    if (!this.#isRunning && this.#moving.length) {
      this.#isRunning = true;
      requestAnimationFrame((time) => this.#move(time));
    }
  }

  #move(now) {
    this.#moving = this.#moving.filter((each) => this.#place(each, now));
    this.#isRunning = this.#moving.length > 0;
    if (this.#isRunning) requestAnimationFrame((time) => this.#move(time));
  }

  #place({ dot, paths, lengths, startsAt }, now) {
    let way = Math.max(0, ((now - startsAt) / 1000) * PIXELS_PER_SECOND);
    let index = 0;
    while (index < paths.length && way > lengths[index]) {
      way -= lengths[index];
      index += 1;
    }
    if (index === paths.length) {
      dot.remove();
      this.#spare.push(dot);
      return false;
    }
    const point = paths[index].getPointAtLength(way);
    dot.setAttribute("cx", point.x);
    dot.setAttribute("cy", point.y);
    dot.setAttribute("visibility", now < startsAt ? "hidden" : "visible");
    return true;
  }
}
