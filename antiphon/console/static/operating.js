// Operate: dead letters, regions out of and into service, rebuilds. Each button runs the command
// of the command line that it names, and shows what that says.

import * as ask from "./ask.js";
import { choice, field, make, put } from "./page.js";
import { maskedCopy } from "./personal.js";
import { output, run } from "./running.js";
import { onChange, system } from "./system.js";
import { traceInto } from "./way.js";

const COMMIT = /^[a-z]{1,16}\.[a-z2-7]{26}\.[0-9]{1,18}$/;

export function showOperating(box) {
  if (!system.operates) {
    box.replaceChildren(commandsBlock());
    return;
  }
  const letters = lettersBlock();
  box.replaceChildren(wayBlock(), letters.element, regionsBlock(), rebuildBlock());
  box.addEventListener("shown", letters.look);
}

// What an operator types where the console has no right to do it, and why it has none.
const ON = "antiphon --on antiphon.yaml";
const TYPED = [
  ["List the dead letters", () => `${ON} dlq list`],
  ["Replay them", () => `${ON} dlq replay --all`],
  ["Take the region out of service", ({ region }) => `${ON} region drain ${region}`],
  ["Bring it back", ({ region }) => `${ON} region undrain ${region}`],
  ["Go on without it, if it is lost", ({ region }) => (hasHomes() ? `${ON} region evict ${region}` : `${ON} region drain ${region} --lost`)],
  ["Rebuild the read model", ({ projection, region }) => `${ON} rebuild ${projection} --region ${region}`],
  ["See how far that is", ({ projection }) => `${ON} rebuild ${projection} --status`],
];

const hasHomes = () => Object.values(system.status).some((one) => one.homes);

function commandsBlock() {
  const region = choice(system.regions.map((one) => [one, one]), { name: "region" });
  const projection = choice(system.projections.map((one) => [one, one]), { name: "projection" });
  const rows = TYPED.map(([what, command]) => {
    const shown = make("code", { tabindex: "0" });
    return { command, shown, element: make("div", {}, make("dt", {}, what), make("dd", {}, shown)) };
  });
  const fill = () => {
    const given = { region: region.value, projection: projection.value };
    for (const { command, shown } of rows) put(shown, command(given));
  };
  region.addEventListener("change", fill);
  projection.addEventListener("change", fill);
  onChange(fill);
  fill();
  return make("section", { class: "block", "aria-label": "What an operator types" },
    make("h3", {}, "What an operator types"),
    make("p", { class: "quiet" }, "These are calls of AWS, by an operator's own role, and no routes of the HTTP API: whoever may send commands must not be able to take a region out. This console was started with addresses only, so it cannot make them. Started as below, by somebody with that role, it has buttons for them."),
    make("p", {}, make("code", { tabindex: "0" }, `${ON} console`)),
    make("div", { class: "pair" }, field("Region", region), field("Read model", projection)),
    make("dl", { class: "typed" }, ...rows.map((one) => one.element)));
}

function wayBlock() {
  const id = make("input", { type: "text", name: "identifier", required: true, autocomplete: "off", spellcheck: "false" });
  const button = make("button", { type: "submit" }, "Trace");
  const way = make("div", { class: "block" });
  const form = make("form", { class: "form" }, field("Commit, command id or correlation id", id), make("div", { class: "row" }, button));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = id.value.trim();
    if (COMMIT.test(given)) traceInto(way, button, "trace", { commit: given });
    else traceInto(way, button, "find", { identifier: given });
  });
  return make("section", { class: "block", "aria-label": "The way of one command" }, make("h3", {}, "The way of one command"), form, way);
}

function lettersBlock() {
  const list = make("div", {});
  const state = make("p", { class: "quiet", role: "status" }, "Not looked yet.");
  const look = async () => {
    button.disabled = true;
    const { ended, text } = await ask.operate("letters", {});
    button.disabled = false;
    let letters = null;
    try { letters = JSON.parse(text); } catch { /* said below */ }
    if (ended !== 0 || !letters) return put(state, text.split("\n").at(-1));
    put(state, letters.length ? `${letters.length} wait.` : "No dead letters.");
    list.replaceChildren(...letters.map((one) => letterOf(one, look)));
  };
  const button = make("button", { type: "button", class: "small", click: look }, "Look again");
  const element = make("section", { class: "block", "aria-label": "Dead letters" },
    make("div", { class: "card-head" }, make("h3", {}, "Dead letters"), button), state, list);
  return { element, look };
}

function letterOf(letter, look) {
  const given = { letter: letter.letter, region: letter.region };
  const said = output();
  const reason = make("input", { type: "text", "aria-label": "Why it is dropped", placeholder: "why it may be dropped", maxlength: "200" });
  const replay = make("button", { type: "button", class: "small main", click: async () => { await run(replay, said, "replay", given); await look(); } }, "Replay");
  const drop = make("button", { type: "button", class: "small danger", click: async () => {
    if (!reason.value.trim()) { reason.focus(); return; }
    await run(drop, said, "drop", { ...given, reason: reason.value.trim() });
    await look();
  } }, "Drop");
  const shown = maskedCopy(letter);
  return make("article", { class: "letter", "aria-label": letter.letter },
    make("b", { class: "mono" }, letter.letter),
    make("span", { class: "quiet" }, `${letter.region} · ${letter.state} · ${letter.attempts} attempts · last ${letter.last_at}`),
    make("span", {}, shown.error), make("div", { class: "row" }, replay, drop), reason, said);
}

function regionsBlock() {
  const region = choice(system.regions.map((one) => [one, one]), { name: "region" });
  const said = output();
  const drain = make("button", { type: "button", click: () => run(drain, said, "drain", { region: region.value }) }, "Drain");
  const undrain = make("button", { type: "button", click: () => run(undrain, said, "undrain", { region: region.value }) }, "Undrain");
  return make("section", { class: "block", "aria-label": "Regions in and out of service" },
    make("h3", {}, "Take a region out of service"),
    make("p", { class: "quiet" }, "Drained, it is asked nothing and no answer waits for it. It says when it may be taken away."),
    field("Region", region), make("div", { class: "row" }, drain, undrain), said);
}

function rebuildBlock() {
  const region = choice(system.regions.map((one) => [one, one]), { name: "region" });
  const projection = choice(system.projections.map((one) => [one, one]), { name: "projection" });
  const said = output();
  const given = () => ({ projection: projection.value, region: region.value });
  const rebuild = make("button", { type: "button", click: () => run(rebuild, said, "rebuild", given()) }, "Rebuild");
  const abort = make("button", { type: "button", class: "danger", click: () => run(abort, said, "rebuild-abort", given()) }, "Give up");
  return make("section", { class: "block", "aria-label": "Rebuild a read model" },
    make("h3", {}, "Rebuild a read model"),
    make("p", { class: "quiet" }, "Built anew from the log while the old one serves; the old one is removed at the end."),
    make("div", { class: "pair" }, field("Read model", projection), field("Region", region)),
    make("div", { class: "row" }, rebuild, abort), said);
}
