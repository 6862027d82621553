// Four steps that show what all of this is for. Each does the real thing and says what came of it.

import * as ask from "./ask.js";
import { activation, commandOf, last, nextProfile, remember } from "./examples.js";
import { announce, dress, make, put, span } from "./page.js";
import { isIsolated, onChange, system, waitsFor } from "./system.js";

const HELD_ENOUGH_MS = 2000;
const SEND_TRIES = 5;
const SEND_AGAIN_MS = 1000;
// As many answers on their way are of a feed.
const BUSY = 20;

export function showGuide(box) {
  const near = system.regions[0];
  const far = system.regions.at(-1);
  const run = { first: null, second: null, healedMs: null, cut: false };
  const steps = [
    step(`Send a command to ${near}`, "Send", () => sendFirst(near, run, steps)),
    step(`Cut ${far} off from all others`, "Cut", () => cutOff(far, run, steps)),
    step("Change the same subscriber", "Change", () => sendSecond(near, run, steps)),
    step(`Let ${far} come back`, "Heal", () => heal(far, run, steps)),
  ];
  const busy = make("p", { class: "quiet", hidden: true });
  box.replaceChildren(...steps.map((one) => one.element));
  box.after(busy);
  allow(steps, run);
  onChange(() => { watch(steps, run, far); sayBusy(busy); });
}

/** While a feed is played each step takes its time, and nothing is wrong. */
function sayBusy(line) {
  const pending = Object.values(system.status).reduce((sum, one) => sum + (one.pending ?? 0), 0);
  line.hidden = pending < BUSY;
  if (!line.hidden) put(line, `${pending} answers are on their way: a feed is being played. Each step takes longer until that ends.`);
}

function step(text, action, act) {
  const seen = make("p", { class: "seen", hidden: true });
  const button = make("button", {
    type: "button", class: "small", "aria-label": `${action}: ${text}`,
    click: async () => { button.disabled = true; await act(); },
  }, action);
  return { element: make("li", {}, make("p", {}, text), button, seen), seen, button, done: false };
}

function tell(one, text, kind = "") {
  one.seen.hidden = false;
  if (one.seen.textContent !== text && kind) announce(text);
  put(one.seen, text);
  dress(one.seen, "seen", kind);
}

function done(one, text, kind = "good") {
  one.done = true;
  one.element.className = "done";
  tell(one, text, kind);
}

/** The next step that is to be done is the one that can be. */
function allow(steps, run) {
  steps[0].button.disabled = false;
  steps[1].button.disabled = !steps[0].done;
  steps[2].button.disabled = !steps[1].done || run.second !== null;
  steps[3].button.disabled = !run.second || steps[3].done;
  const next = steps.find((one) => !one.done && !one.button.disabled);
  for (const one of steps) dress(one.button, "small", one === next ? "main" : "");
}

async function send(region, command, one) {
  let answer = await ask.command(region, command);
  // Whatever became of it, the same command is safe to send again.
  for (let tries = 1; answer.status === 503 && tries < SEND_TRIES; tries += 1) {
    tell(one, "Not taken yet; sending the same command again.");
    await new Promise((over) => { setTimeout(over, SEND_AGAIN_MS); });
    answer = await ask.command(region, command);
  }
  if (answer.status !== 202 && answer.status !== 200) {
    tell(one, `It was not taken: ${ask.reason(answer)}`, "warn");
    return null;
  }
  remember(command, answer, region);
  return answer.body.commit;
}

async function sendFirst(near, run, steps) {
  Object.assign(run, { first: null, second: null, healedMs: null, cut: false });
  for (const one of steps) { one.done = false; one.element.className = ""; one.seen.hidden = true; }
  tell(steps[0], "Sent. It is recorded once another region has it, too.");
  run.first = await send(near, activation(), steps[0]);
  allow(steps, run);
}

async function cutOff(far, run, steps) {
  const answer = await ask.order("cut", { a: far });
  run.cut = answer.ok;
  if (!answer.ok) tell(steps[1], ask.reason(answer), "warn");
  allow(steps, run);
}

async function sendSecond(near, run, steps) {
  tell(steps[2], "Sent.");
  run.second = await send(near, commandOf("ChangeServiceProfile", { imsi: last.imsi, service_profile: nextProfile() }), steps[2]);
  allow(steps, run);
}

async function heal(far, run, steps) {
  const answer = await ask.order("heal", { a: far });
  if (answer.ok) run.healedMs = Date.now();
  else tell(steps[3], ask.reason(answer), "warn");
  allow(steps, run);
}

function watch(steps, run, far) {
  const first = system.commits.get(run.first);
  const second = system.commits.get(run.second);
  let moved = false;
  if (!steps[0].done && first?.answeredMs) {
    done(steps[0], `Answered after ${span(first.answeredMs - first.atMs)}: every region had applied it.`);
    moved = true;
  }
  if (run.cut && !steps[1].done && isIsolated(far)) {
    done(steps[1], `${far} hears nobody, and nobody hears ${far}.`);
    moved = true;
  }
  if (second && !second.answeredMs && Date.now() - second.atMs > HELD_ENOUGH_MS) {
    const text = `Recorded, and its answer is held: ${waitsFor(second).join(", ")} could still show the old state.`;
    if (!steps[2].done) { done(steps[2], text, "warn"); moved = true; }
  }
  if (run.healedMs && second?.answeredMs && !steps[3].done) {
    done(steps[3], `Released: answered ${span(Math.max(0, second.answeredMs - run.healedMs))} after healing, ${span(second.answeredMs - second.atMs)} after it was sent. Not late by mistake, and never wrong.`);
    moved = true;
  }
  if (moved) allow(steps, run);
}
