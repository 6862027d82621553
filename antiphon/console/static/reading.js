// Read: one thing in any region at any consistency; and a stale read, made to happen on purpose.

import * as ask from "./ask.js";
import { activation, commandOf, last, nextProfile, remember } from "./examples.js";
import { choice, field, make, span } from "./page.js";
import { maskedCopy, onReveal } from "./personal.js";
import { system } from "./system.js";

const SLOW_MS = 4000;
const TOKEN_WAIT_MS = 15_000;
const KINDS = [["subscribers", "Subscriber"], ["network-elements", "Network element"]];
const LEVELS = [
  ["eventual", "eventual: what this region has"],
  ["token", "token: at least as fresh as my last command"],
  ["strong", "strong: as of the head of the log"],
];

export function showReading(box) {
  box.replaceChildren(readForm(box), ...(system.isLocal ? [staleExperiment()] : []));
}

/** The id that is to be read, where it is not one that somebody typed. */
export function idField(box, kind) {
  const id = make("input", { type: "text", name: "id", required: true, autocomplete: "off", spellcheck: "false" });
  const suggest = () => { id.value = (kind.value === "subscribers" ? last.imsi : last.elementId) ?? id.value; };
  kind.addEventListener("change", suggest);
  box.addEventListener("shown", () => { if (!id.value) suggest(); });
  return id;
}

export function kindChoice() {
  return choice(KINDS, { name: "kind" });
}

function readForm(box) {
  const kind = kindChoice();
  const id = idField(box, kind);
  const region = choice(system.regions.map((one) => [one, one]), { name: "region" });
  const level = choice(LEVELS, { name: "level" });
  const result = make("div", { class: "result", role: "status" });
  const form = make("form", { class: "form block" },
    make("div", { class: "pair" }, field("What", kind), field("Its number or id", id)),
    make("div", { class: "pair" }, field("Region", region), field("Consistency", level)),
    make("div", { class: "row" }, make("button", { class: "main", type: "submit" }, "Read")), result);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const begunMs = performance.now();
    result.replaceChildren(make("p", { class: "quiet" }, "Reading"));
    const answer = await readOne(region.value, `${kind.value}/${encodeURIComponent(id.value.trim())}`, level.value);
    showAnswer(result, answer, performance.now() - begunMs);
  });
  return form;
}

async function readOne(region, path, level, token = last.token) {
  if (level === "strong") return ask.get(region, `${path}?consistency=strong`);
  if (level === "token" && token) return ask.get(region, `${path}?wait_ms=${TOKEN_WAIT_MS}`, { "Consistency-Token": token });
  if (level === "token") return { ok: false, status: 0, body: { message: "no command was sent from this page yet, so there is no token" } };
  return ask.get(region, path);
}

function showAnswer(result, answer, tookMs) {
  const told = make("pre", { class: "told", tabindex: "0", "aria-label": "What the region shows" });
  const show = () => { told.textContent = JSON.stringify(maskedCopy(answer.body), null, 1); };
  show();
  onReveal(show);
  const text = answer.ok ? `As of sequence ${answer.body.applied_sequence}, after ${span(tookMs)}` : ask.reason(answer);
  result.replaceChildren(make("p", { class: `verdict ${answer.ok ? "good" : "warn"}` }, text), told);
}

function staleExperiment() {
  const far = system.regions.at(-1);
  const steps = make("p", { class: "quiet", role: "status" });
  const compare = make("div", { class: "compare" });
  const button = make("button", { type: "button", click: () => run() }, "Make a stale read happen");
  async function run() {
    button.disabled = true;
    compare.replaceChildren();
    try { await experiment(far, steps, compare); }
    finally { button.disabled = false; }
  }
  return make("section", { class: "block", "aria-label": "A stale read" },
    make("h3", {}, "A stale read, on purpose"),
    make("p", { class: "quiet" }, `Slows every link of ${far} down to ${span(SLOW_MS)}, changes a subscriber elsewhere and reads it in ${far} at once: with eventual, and with the token that the change came back with.`),
    make("div", { class: "row" }, button), steps, compare);
}

async function experiment(far, steps, compare) {
  const near = system.regions[0];
  const say = (text) => { steps.textContent = text; };
  say("Activating a subscriber, and waiting until every region has it");
  const begun = activation();
  const path = `subscribers/${begun.data.imsi}`;
  const first = await ask.command(near, begun, { waitS: 15 });
  if (first.body?.status !== "answered") return say(`Not now: ${first.ok ? "its answer is held; heal the links first" : ask.reason(first)}`);
  const order = await ask.order("delay", { a: far, ms: SLOW_MS });
  if (!order.ok) return say(ask.reason(order));
  try {
    const change = commandOf("ChangeServiceProfile", { imsi: begun.data.imsi, service_profile: nextProfile() });
    say(`Links of ${far} are slow. Changing the profile to ${change.data.service_profile} in ${near}`);
    const changed = await ask.command(near, change);
    remember(change, changed, near);
    if (!changed.ok) return say(ask.reason(changed));
    say(`Changed. Reading in ${far} at once`);
    const stale = await readOne(far, path, "eventual");
    compare.append(card("eventual", stale, change.data.service_profile));
    say(`Reading in ${far} with the token: it waits for the change to arrive`);
    const begunMs = performance.now();
    const fresh = await readOne(far, path, "token", changed.body.consistency_token);
    compare.append(card(`with the token, after ${span(performance.now() - begunMs)}`, fresh, change.data.service_profile));
    const seen = stale.body.service_profile !== change.data.service_profile;
    say(seen ? "Eventual was stale; the token was not." : "Eventual happened to be fresh this time; try again.");
  } finally {
    await ask.order("undelay", { a: far });
  }
}

function card(title, answer, wanted) {
  const got = answer.ok ? answer.body.service_profile : ask.reason(answer);
  const fresh = got === wanted;
  return make("div", {}, make("span", { class: "quiet" }, title), make("b", {}, got),
    make("span", { class: `verdict ${fresh ? "good" : "warn"}` }, fresh ? "fresh" : answer.ok ? "stale" : "refused"));
}
