// Elements from JavaScript. Text is always set as text, so what a user wrote never becomes markup.

const SVG = "http://www.w3.org/2000/svg";

// h("button", { type: "button", onclick: act }, "Add"): attributes, and a listener for each property on….
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// Writes only what differs: a screen reader reads what is written.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const prefersStillness = matchMedia("(prefers-reduced-motion: reduce)");
