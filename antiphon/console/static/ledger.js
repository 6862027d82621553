// The commands that were seen, newest first: recorded, applied region by region, answered or held.
// Opened, an entry is one Event A on its way through the regions.

import { count, dress, make, put, shortId, span, words } from "./page.js";
import { floorMs, onChange, system, waitsFor } from "./system.js";
import { traceInto } from "./way.js";

const ROWS = 30;
const HELD_AFTER_MS = 1500;

export function showLedger(list) {
  const rows = new Map();
  const open = new Set();
  const show = () => {
    const shown = pick();
    const wanted = new Set(shown.map((commit) => commit.commit));
    for (const [id, row] of rows) {
      if (!wanted.has(id)) { row.element.remove(); rows.delete(id); }
    }
    shown.forEach((commit, place) => {
      let row = rows.get(commit.commit);
      if (!row) {
        row = newRow(commit, open, show);
        rows.set(commit.commit, row);
      }
      if (list.children[place] !== row.element) list.insertBefore(row.element, list.children[place] ?? null);
      fill(row, commit, open.has(commit.commit));
    });
    document.getElementById("ledger-empty").hidden = shown.length > 0;
    const unshown = system.unshown ? `${count(system.unshown, "more")} counted and not shown` : "";
    put(document.getElementById("tally"), unshown);
  };
  let last = 0;
  onChange(() => {
    // Five times a second is as much as anybody reads.
    const now = performance.now();
    if (now - last < 200) return;
    last = now;
    show();
  });
  setInterval(show, 1000);
}

/** What is held first, oldest first; then the newest. */
function pick() {
  const all = [...system.commits.values()];
  const held = all.filter((one) => one.answeredMs === null && isHeld(one)).slice(0, ROWS / 2);
  const rest = all.filter((one) => !held.includes(one)).reverse().slice(0, ROWS - held.length);
  return [...held, ...rest];
}

function isHeld(commit) {
  return commit.atMs === null || Date.now() - commit.atMs > HELD_AFTER_MS;
}

function newRow(commit, open, show) {
  const what = make("b");
  const where = make("span");
  const steps = make("span", { class: "steps" });
  const end = make("span", { class: "end" });
  const button = make("button", {
    class: "entry", type: "button", "aria-expanded": "false", title: commit.commit,
    click: () => { if (!open.delete(commit.commit)) open.add(commit.commit); show(); },
  }, make("span", { class: "what" }, what, where), steps, end);
  const lanes = make("div", { class: "lanes" });
  const way = make("div", {});
  const trace = make("button", { type: "button", class: "small", click: () => traceInto(way, trace, "trace", { commit: commit.commit }) }, "Trace it through every region");
  const more = make("div", { hidden: true }, lanes, system.operates ? make("div", { class: "traced" }, make("div", { class: "row" }, trace), way) : null);
  return { element: make("li", {}, button, more), button, what, where, steps, end, lanes, more, marks: new Map() };
}

function fill(row, commit, isOpen) {
  put(row.what, commit.type ? words(commit.type) : `Commit ${shortId(commit.commit)}`);
  const told = commit.outcome && commit.outcome !== "accepted" ? `${commit.outcome} in` : "in";
  put(row.where, `${told} ${commit.origin} · ${shortId(commit.commit)}`);
  const held = commit.answeredMs === null && isHeld(commit);
  for (const region of system.regions) {
    let mark = row.marks.get(region);
    if (!mark) {
      mark = make("span", { class: "step" }, region);
      row.marks.set(region, mark);
      row.steps.append(mark);
    }
    const done = region in commit.applied || region in commit.acknowledged;
    dress(mark, "step", done ? "done" : held ? "missing" : "");
    mark.title = done ? `${region} has applied it` : `${region} has not applied it`;
  }
  fillEnd(row.end, commit, held);
  row.button.setAttribute("aria-expanded", isOpen);
  row.more.hidden = !isOpen;
  if (isOpen) fillLanes(row.lanes, commit);
}

function fillEnd(end, commit, held) {
  const age = commit.atMs === null ? null : Date.now() - commit.atMs;
  let kind = "quiet";
  let text = "on its way";
  if (commit.answeredMs !== null) {
    kind = "answered";
    text = commit.atMs === null ? "answered" : `answered after ${span(Math.max(0, commit.answeredMs - commit.atMs))}`;
  } else if (held) {
    kind = "held";
    const missing = waitsFor(commit);
    const who = missing.length ? `waits for ${missing.join(", ")}` : "about to be answered";
    text = `held${age === null ? "" : ` ${span(age)}`} · ${who}`;
  }
  const old = end.firstChild;
  if (!old || old.className !== kind) end.replaceChildren(make("span", { class: kind }, text));
  else put(old, text);
}

/** One Event A: what happened to it in each region, along one line of time, beside the floor. */
function fillLanes(box, commit) {
  if (commit.atMs === null) {
    box.replaceChildren(make("p", { class: "quiet" }, "It was recorded before this page was opened."));
    return;
  }
  const floor = floorMs(commit.origin);
  const ends = [commit.answeredMs ?? Date.now(), ...Object.values(commit.acknowledged), ...Object.values(commit.arrived)];
  const whole = Math.max(...ends.map((atMs) => atMs - commit.atMs), floor ?? 0, 1) * 1.04;
  const lanes = system.regions.map((region) => {
    const track = make("div", { class: "track" });
    const told = [];
    const tick = (kind, name, atMs) => {
      if (atMs === null || atMs === undefined) return;
      const mark = make("span", { class: `tick ${kind}`, title: `${name} after ${span(atMs - commit.atMs)}` });
      mark.style.left = `${Math.min(99, Math.max(0, ((atMs - commit.atMs) / whole) * 100))}%`;
      track.append(mark);
      told.push(`${name} ${span(Math.max(0, atMs - commit.atMs))}`);
    };
    if (region === commit.origin) tick("committed", "recorded", commit.atMs);
    else tick("arrived", "arrived", commit.arrived[region]);
    tick("applied", "applied", commit.applied[region]);
    if (region !== commit.origin) tick("acknowledged", "acknowledged", commit.acknowledged[region]);
    if (region === commit.origin) tick("answered", "answered", commit.answeredMs);
    if (floor !== null && region === commit.origin) {
      const mark = make("span", { class: "floor", title: `the floor: ${span(floor)}` });
      mark.style.left = `${(floor / whole) * 100}%`;
      track.append(mark);
    }
    track.setAttribute("role", "img");
    track.setAttribute("aria-label", `${region}: ${told.join(", ") || "nothing yet"}`);
    return make("div", { class: "lane" }, make("span", {}, region), make("div", {}, track,
      make("span", { class: "quiet" }, told.join(" · ") || "nothing yet")));
  });
  const note = floor === null ? null : make("p", { class: "quiet" },
    `The dotted line is the floor, ${span(floor)}: the append's round trip to the nearest region and that to the farthest.`);
  box.replaceChildren(...lanes, ...(note ? [note] : []), make("p", { class: "quiet mono" }, commit.commit));
}
