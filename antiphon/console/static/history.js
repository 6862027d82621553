// History: an aggregate as it was at any sequence, from the log, and what each change changed.

import * as ask from "./ask.js";
import { choice, field, make, put, words } from "./page.js";
import { maskedCopy, onReveal } from "./personal.js";
import { idField, kindChoice } from "./reading.js";
import { system } from "./system.js";

const MOST_EVENTS = 200;
const PAUSE_MS = 120;

export function showHistory(box) {
  const kind = kindChoice();
  const id = idField(box, kind);
  const region = choice(system.regions.map((one) => [one, one]), { name: "region" });
  const result = make("div", { class: "result" });
  const form = make("form", { class: "form" },
    make("div", { class: "pair" }, field("What", kind), field("Its number or id", id)),
    make("div", { class: "pair" }, field("Region", region), make("div", { class: "row" }, make("button", { class: "main", type: "submit" }, "Open"))),
    result);
  box.replaceChildren(form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const path = `${kind.value}/${encodeURIComponent(id.value.trim())}/history`;
    const answer = await ask.get(region.value, `${path}?limit=${MOST_EVENTS}`);
    if (!answer.ok) {
      result.replaceChildren(make("p", { class: "verdict warn", role: "status" }, ask.reason(answer)));
      return;
    }
    open(result, region.value, path, answer.body);
  });
}

function open(result, region, path, whole) {
  const head = whole.as_of_sequence;
  const slider = make("input", { type: "range", min: "0", max: String(head), value: String(head), "aria-label": "Sequence" });
  const title = make("h3", { role: "status" });
  const state = make("ul", { class: "diff" });
  const event = make("pre", { class: "told", tabindex: "0", "aria-label": "The event at this sequence" });
  result.replaceChildren(title, slider, state, event);
  const known = new Map([[head, whole.state]]);
  const at = async (sequence) => {
    if (sequence <= 0) return null;
    if (!known.has(sequence)) {
      const answer = await ask.get(region, `${path}?at_sequence=${sequence}&limit=1`);
      if (!answer.ok) throw new Error(ask.reason(answer));
      known.set(sequence, answer.body.state);
    }
    return known.get(sequence);
  };
  let timer = null;
  const show = async () => {
    const sequence = Number(slider.value);
    put(title, `Sequence ${sequence} of ${head}, from the log as ${region} reads it`);
    try {
      const [now, before] = await Promise.all([at(sequence), at(sequence - 1)]);
      if (Number(slider.value) !== sequence) return;
      state.replaceChildren(...difference(maskedCopy(now ?? {}), maskedCopy(before ?? {}), now ?? {}, before ?? {}));
      const happened = whole.events.filter((one) => one.sequence === sequence);
      event.textContent = happened.length ? JSON.stringify(maskedCopy(happened), null, 1) : sequence ? "A refusal or a command that changed nothing, or too long ago to be listed." : "Before anything.";
    } catch (error) {
      put(title, error.message);
    }
  };
  slider.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(show, PAUSE_MS); });
  onReveal(show);
  show();
}

function difference(now, before, rawNow, rawBefore) {
  const names = [...new Set([...Object.keys(now), ...Object.keys(before)])];
  if (!names.length) return [make("li", {}, make("span", { class: "quiet" }, "nothing yet"))];
  return names.map((name) => {
    const changed = JSON.stringify(rawNow[name]) !== JSON.stringify(rawBefore[name]);
    const text = (value) => (value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value));
    const shown = changed && before[name] !== undefined ? `${text(before[name])} → ${text(now[name])}` : text(now[name]);
    return make("li", { class: changed ? "changed" : null }, make("span", { class: "quiet" }, words(name)), make("span", {}, shown));
  });
}
