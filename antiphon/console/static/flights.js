// The marks on the map. Each follows one real commit: out to every other region, and the
// acknowledgement back; slower than it was, so that it can be seen, and never ahead of what has
// really happened: a mark that has not arrived waits before its region, or where the link is cut.

import { draw, shortId } from "./page.js";
import { linkOf, onMark, system } from "./system.js";

const FLIGHT_MS = 700;
const MOST_COMMITS = 40;
const MOST_NAMED = 6;
const BEFORE_CUT = 0.4;
const BEFORE_REGION = 0.9;
const RIPPLE_MS = 900;
// A commit whose end is never told is not drawn for ever.
const LONGEST_MS = 15 * 60_000;

export class Flights {
  constructor(layer, pathOf, placeOf) {
    this.layer = layer;
    this.pathOf = pathOf;
    this.placeOf = placeOf;
    this.commits = new Map();
    this.last = 0;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    onMark((mark) => this.take(mark));
  }

  take(mark) {
    if (this.still.matches || document.hidden) return;
    const flying = this.commits.get(mark.commit);
    if (mark.kind === "committed") {
      if (this.commits.size < MOST_COMMITS) this.begin(mark);
      return;
    }
    if (!flying) return;
    const leg = flying.legs.get(mark.region);
    if (mark.kind === "answered") flying.answered = true;
    if (!leg) return;
    if (mark.kind === "arrived" || mark.kind === "applied") leg.arrived = true;
    if (mark.kind === "acknowledging") leg.leaving = leg.arrived = true;
    if (mark.kind === "acknowledged") leg.leaving = leg.arrived = leg.back = true;
  }

  begin(mark) {
    const legs = new Map();
    for (const region of system.regions) {
      if (region === mark.region) continue;
      const group = draw("g");
      const shape = draw("circle", { r: 5, class: "mark-out" });
      const name = draw("text", { class: "mark-id", x: 9, y: -7 });
      const title = draw("title");
      title.textContent = `commit ${mark.commit}, ${mark.type}`;
      group.append(title, shape, name);
      this.layer.append(group);
      legs.set(region, { region, phase: "out", at: 0, arrived: false, leaving: false, back: false, group, shape, name });
    }
    this.commits.set(mark.commit, { commit: mark.commit, origin: mark.region, legs, answered: false, sinceMs: performance.now(), ripple: null });
    this.wake();
  }

  wake() {
    if (this.last) return;
    this.last = performance.now();
    requestAnimationFrame((now) => this.frame(now));
  }

  frame(now) {
    const step = Math.min(now - this.last, 100) / FLIGHT_MS;
    this.last = now;
    const named = this.commits.size <= MOST_NAMED;
    for (const flying of this.commits.values()) {
      for (const leg of flying.legs.values()) this.move(flying, leg, step, named);
      const home = [...flying.legs.values()].every((leg) => leg.phase === "done");
      if (flying.answered && home && flying.ripple === null) this.answer(flying, now);
      if ((flying.ripple !== null && this.rippled(flying, now)) || now - flying.sinceMs > LONGEST_MS) this.end(flying);
    }
    if (this.commits.size) requestAnimationFrame((next) => this.frame(next));
    else this.last = 0;
  }

  move(flying, leg, step, named) {
    if (leg.phase === "done") return;
    // Once it is answered whatever had to arrive has: the rest need not be told.
    const there = leg.phase === "out" ? leg.arrived || flying.answered : leg.back || flying.answered;
    const most = there ? 1 : linkOf(flying.origin, leg.region)?.cut ? BEFORE_CUT : BEFORE_REGION;
    if (leg.at < most) leg.at = Math.min(most, leg.at + step);
    if (leg.phase === "out" && leg.at >= 1) {
      leg.phase = "there";
      leg.shape.setAttribute("class", "mark-back");
    }
    if (leg.phase === "there") {
      if (!leg.leaving && !flying.answered) return this.place(flying, leg, 1, named);
      leg.phase = "back";
      leg.at = 0;
    }
    if (leg.phase === "back" && leg.at >= 1) {
      leg.phase = "done";
      leg.group.remove();
      return;
    }
    this.place(flying, leg, leg.phase === "out" ? leg.at : 1 - leg.at, named);
  }

  place(flying, leg, along, named) {
    const point = this.pathOf(flying.origin, leg.region, along);
    leg.group.setAttribute("transform", `translate(${point.x.toFixed(1)} ${point.y.toFixed(1)})`);
    const text = named ? shortId(flying.commit) : "";
    if (leg.name.textContent !== text) leg.name.textContent = text;
  }

  answer(flying, now) {
    const place = this.placeOf(flying.origin);
    const group = draw("g", { transform: `translate(${place.x} ${place.y})` });
    const ring = draw("circle", { class: "ripple", r: 14 });
    const diamond = draw("path", { class: "mark-answer", d: "M0 -8L8 0L0 8L-8 0Z" });
    group.append(ring, diamond);
    this.layer.append(group);
    flying.ripple = { group, ring, begunMs: now };
  }

  rippled(flying, now) {
    const { group, ring, begunMs } = flying.ripple;
    const part = (now - begunMs) / RIPPLE_MS;
    if (part >= 1) return true;
    ring.setAttribute("r", 14 + 26 * part);
    group.setAttribute("opacity", 1 - part);
    return false;
  }

  end(flying) {
    for (const leg of flying.legs.values()) leg.group.remove();
    flying.ripple?.group.remove();
    this.commits.delete(flying.commit);
  }
}
