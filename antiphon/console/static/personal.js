// Personal data is masked wherever the console shows it, until somebody asks to see it.

const PERSONAL = new Set(["imsi", "msisdn", "iccid"]);
const NUMBER = /(?<![\w.])\+?\d{10,20}(?![\w.])/g;
const KEPT = 3;

let revealed = false;
const listeners = [];

export function reveal(shown) {
  revealed = shown;
  for (const listener of listeners) listener();
}

export function onReveal(listener) {
  listeners.push(listener);
}

/** The last digits of a number, unless it is to be shown. */
export function masked(value) {
  if (revealed || typeof value !== "string") return value;
  return value.length <= KEPT ? "•".repeat(value.length) : "•".repeat(value.length - KEPT) + value.slice(-KEPT);
}

/** A sentence with every long number in it masked. */
export function maskedText(text) {
  return revealed ? text : text.replace(NUMBER, masked);
}

/** A copy of some JSON in which personal fields, and long numbers in sentences, are masked. */
export function maskedCopy(value, name = "") {
  if (typeof value === "string") return PERSONAL.has(name) ? masked(value) : maskedText(value);
  if (Array.isArray(value)) return value.map((one) => maskedCopy(one, name));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, maskedCopy(one, key)]));
  }
  return value;
}
