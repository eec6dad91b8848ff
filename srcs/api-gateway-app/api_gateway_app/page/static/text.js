// The page's language: the one chosen here before, else the browser's, else English.

export const LANGUAGES = { en: "English", fr: "Français" };
const KEY = "language";

function choose() {
  const wanted = [localStorage.getItem(KEY), ...navigator.languages];
  return wanted.map((tag) => tag?.slice(0, 2).toLowerCase()).find((tag) => tag in LANGUAGES) ?? "en";
}

export const language = choose();
const words = (await import(`./text/${language}.js`)).default;

export function setLanguage(tag) {
  localStorage.setItem(KEY, tag);
  location.reload();
}

// t("shop.deleted", { title }): the text with its {title} filled in.
export function t(key, values = {}) {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export const has = (key) => key in words;

const plain = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
export const number = (value) => (value === null || value === undefined ? "–" : plain.format(value));

const clock = new Intl.DateTimeFormat(language, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false,
});
export const time = (seconds) => clock.format(new Date(seconds * 1000));

// A span of time: "+38 ms", "+4.2 s".
export function span(seconds) {
  const unit = Math.abs(seconds) < 1 ? "millisecond" : "second";
  const value = unit === "second" ? seconds : Math.round(seconds * 1000);
  const options = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 1, signDisplay: "always" };
  return new Intl.NumberFormat(language, options).format(value);
}
