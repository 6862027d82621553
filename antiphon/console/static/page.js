// Making elements, and words for what they say. No state.

/** Make an element: tag, attributes (a function listens, null is left out), children. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Make an element of a drawing. */
export function draw(tag, attributes = {}) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** Set a text only where it changes, so that nothing is laid out anew for nothing. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set the one of `classes` that holds. */
export function dress(element, base, extra = "") {
  const wanted = extra ? `${base} ${extra}` : base;
  if (element.className !== wanted) element.className = wanted;
}

/** A field with its label; `control` is an input, select or textarea. */
export function field(title, control, hint = null) {
  return make("label", { class: "field" }, make("span", {}, title), control,
    hint ? make("span", { class: "hint" }, hint) : null);
}

/** A select of [value, text] pairs. */
export function choice(options, attributes = {}) {
  const select = make("select", attributes);
  for (const [value, text] of options) select.append(make("option", { value }, text));
  return select;
}

/** Say something to whoever listens to the page instead of seeing it. */
export function announce(text) {
  document.getElementById("said").textContent = text;
}

export function span(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`;
  return ms < 172_800_000 ? `${Math.floor(ms / 3_600_000)} h` : `${Math.floor(ms / 86_400_000)} days`;
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

export function list(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** A commit's id as people compare them: the end of its hash, and its sequence. */
export function shortId(commit) {
  const [, hash, position] = commit.split(".");
  return `${(hash ?? commit).slice(-4)}·${position ?? ""}`;
}

const ACRONYMS = /\b(imsi|msisdn|iccid|plmn|id)\b/g;

/** Words of a command's type or of a field: "Change service profile", "IMSI". */
export function words(type) {
  const spaced = type.replaceAll("_", " ").replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase()
    .replace(ACRONYMS, (word) => word.toUpperCase());
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
