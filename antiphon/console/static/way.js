// One Event A: its way through all regions as `antiphon trace` tells it, step by step, each bar
// from the step's cause to the step, and what is missing of it.

import * as ask from "./ask.js";
import { count, make, span } from "./page.js";
import { floorMs } from "./system.js";

/** Trace a commit, or whatever an id names, and show what comes of it in `box`. */
export async function traceInto(box, button, kind, given) {
  button.disabled = true;
  box.replaceChildren(make("p", { class: "quiet", role: "status" }, "Asking every region"));
  const { text } = await ask.operate(kind, given);
  button.disabled = false;
  let told = null;
  try { told = JSON.parse(text); } catch { /* it says why instead */ }
  if (Array.isArray(told)) showFound(box, told);
  else if (told?.stages) box.replaceChildren(...wayOf(told));
  else box.replaceChildren(make("p", { class: "verdict warn", role: "status" }, text.split("\n").at(-1)));
}

function showFound(box, commits) {
  const way = make("div", { class: "way" });
  const one = (commit) => {
    const button = make("button", { type: "button", class: "small", click: () => traceInto(way, button, "trace", { commit: commit.commit }) }, `${commit.type}, ${commit.recorded_at}`);
    return button;
  };
  box.replaceChildren(make("p", { class: "quiet", role: "status" }, `${count(commits.length, "command")} with this id:`),
    make("div", { class: "row" }, ...commits.map(one)), way);
}

function wayOf(told) {
  const floor = floorMs(told.origin);
  const longest = Math.max(1, floor ?? 0, ...told.stages.map((stage) => stage.after_ms));
  const part = (ms) => `${(Math.min(Math.max(ms, 0), longest) / longest) * 100}%`;
  let before = null;
  const steps = told.stages.map((stage) => {
    const region = stage.region === before ? "" : stage.region;
    before = stage.region;
    const bar = make("span", { class: `bar ${stage.step.replaceAll(" ", "-")}` });
    const [from, to] = [Math.min(stage.since_ms, stage.after_ms), Math.max(stage.since_ms, stage.after_ms)];
    bar.style.left = part(from);
    bar.style.width = `max(4px, calc(${part(to)} - ${part(from)}))`;
    const scale = make("span", { class: "track" }, bar);
    if (floor !== null) {
      const mark = make("span", { class: "floor", title: `the floor: ${span(floor)}` });
      mark.style.left = part(floor);
      scale.append(mark);
    }
    const wrong = stage.clock_wrong ? make("span", { class: "verdict bad" }, "before its cause: a clock is wrong") : null;
    return make("li", {}, make("b", {}, region), make("span", {}, stage.projection ? `${stage.step} ${stage.projection}` : stage.step, wrong),
      make("span", { class: "when" }, signed(stage.after_ms)), scale);
  });
  const took = told.published_at_ms === null ? null : told.published_at_ms - told.came_in_at_ms;
  const sentence = took === null ? "not answered as far as is known" : `answered after ${span(Math.max(0, took))}`;
  const beside = floor === null ? "" : ` The dotted line is the floor, ${span(floor)}.`;
  return [
    make("p", { class: "quiet", role: "status" }, `${told.type} in ${told.origin}: ${told.outcome}, ${sentence}.${beside} Times are by the clock of the region named.`),
    make("ol", { class: "way" }, ...steps),
    ...told.missing.map((one) => make("p", { class: "verdict warn" }, one)),
    ...told.dead_letters.map((one) => make("p", { class: "verdict bad" }, `A dead letter is about it: ${one.letter} in ${one.region}`)),
    make("p", { class: "quiet mono" }, told.commit),
  ];
}

function signed(ms) {
  return ms < 0 ? `−${span(-ms)}` : span(ms);
}
