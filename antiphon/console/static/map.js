// The live map: regions at their places, links with what is wrong with them, marks that move.
// A link is a button: it is cut, or mended.

import * as ask from "./ask.js";
import { Flights } from "./flights.js";
import { announce, draw, dress, make, put, span } from "./page.js";
import { cityOf, placesIn } from "./places.js";
import { isKilled, isIsolated, linkOf, onChange, system } from "./system.js";

const usual = new Map();

export function showMap(box) {
  const net = draw("svg", { class: "net", "aria-hidden": "true" });
  const back = draw("g");
  const lines = draw("g");
  const dots = draw("g");
  const marks = draw("g");
  net.append(back, lines, marks, dots);
  box.append(net);
  const map = new MapView(box, { back, lines, dots });
  new Flights(marks, (a, b, along) => map.between(a, b, along), (region) => map.places.get(region));
  new ResizeObserver(() => map.lay()).observe(box);
  map.lay();
  onChange(() => map.show());
}

class MapView {
  constructor(box, layers) {
    Object.assign(this, { box, ...layers, places: new Map(), links: [], nodes: new Map() });
    for (const [n, a] of system.regions.entries()) {
      for (const b of system.regions.slice(n + 1)) this.links.push(this.newLink(a, b));
      this.nodes.set(a, this.newNode(a));
    }
  }

  newLink(a, b) {
    const path = draw("path", { class: "link" });
    const label = make("button", { class: "link-label", type: "button", hidden: !system.isLocal, click: () => this.toggle(a, b) }, "–");
    this.lines.append(path);
    this.box.append(label);
    return { a, b, path, label };
  }

  newNode(region) {
    const dot = draw("circle", { class: "dot", r: 13 });
    const told = make("span");
    const label = make("div", { class: "node" }, make("b", {}, region), told);
    this.dots.append(dot);
    this.box.append(label);
    return { dot, label, told };
  }

  /** Lay everything out anew in the size that there is. */
  lay() {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (!width) return;
    const places = placesIn(system.regions, width, height);
    system.regions.forEach((region, n) => this.places.set(region, places[n]));
    this.back.replaceChildren(...[0.2, 0.4, 0.6, 0.8].flatMap((part) => [
      draw("path", { class: "grid-line", d: `M0 ${height * part}H${width}` }),
      draw("path", { class: "grid-line", d: `M${width * part} 0V${height}` }),
    ]));
    for (const { a, b, path, label } of this.links) {
      const [from, bow, to] = this.curve(a, b);
      path.setAttribute("d", `M${from.x} ${from.y}Q${bow.x} ${bow.y} ${to.x} ${to.y}`);
      const middle = this.between(a, b, 0.5);
      label.style.left = `${middle.x}px`;
      label.style.top = `${middle.y}px`;
    }
    const top = Math.min(...places.map((place) => place.y));
    for (const [region, { dot, label }] of this.nodes) {
      const { x, y } = this.places.get(region);
      // The highest has its name above it, where no link leads.
      label.classList.toggle("above", y === top);
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
      label.style.left = `${x}px`;
      label.style.top = `${y}px`;
    }
    this.show();
  }

  curve(a, b) {
    const [from, to] = [this.places.get(a), this.places.get(b)];
    // Links bow away from the middle of the map, so that three of them leave it open.
    const centre = { x: this.box.clientWidth / 2, y: this.box.clientHeight / 2 };
    const middle = { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 };
    const out = Math.sign((middle.y - centre.y) || -1) * Math.min(46, Math.hypot(to.x - from.x, to.y - from.y) / 7);
    return [from, { x: middle.x, y: middle.y + out }, to];
  }

  between(a, b, along) {
    const [from, bow, to] = this.curve(a, b);
    const rest = 1 - along;
    return {
      x: rest * rest * from.x + 2 * rest * along * bow.x + along * along * to.x,
      y: rest * rest * from.y + 2 * rest * along * bow.y + along * along * to.y,
    };
  }

  show() {
    for (const { a, b, path, label } of this.links) {
      const link = linkOf(a, b);
      if (!link) continue;
      const pair = `${a} ${b}`;
      if (!usual.has(pair) || link.rtt_ms < usual.get(pair)) usual.set(pair, link.rtt_ms);
      const slow = link.rtt_ms > usual.get(pair) || link.jitter_ms > 0;
      const kind = link.cut ? "cut" : slow ? "slow" : "";
      if (path.getAttribute("class") !== `link ${kind}`) path.setAttribute("class", `link ${kind}`);
      dress(label, "link-label", kind);
      put(label, link.cut ? "cut" : span(link.rtt_ms));
      const what = link.cut ? "is cut: mend it" : `takes ${span(link.rtt_ms)} there and back: cut it`;
      label.setAttribute("aria-label", `The link of ${a} and ${b} ${what}`);
      label.title = link.cut ? "Mend this link" : "Cut this link";
    }
    for (const [region, { dot, told }] of this.nodes) {
      const status = system.status[region];
      const killed = isKilled(region);
      const alone = isIsolated(region);
      dot.setAttribute("class", `dot ${killed ? "bad" : alone || status?.heldCount ? "warn" : ""}`);
      const held = status?.heldCount ? ` · ${status.heldCount} held` : "";
      put(told, killed ? "down" : alone ? "cut off" : `${cityOf(region)}${held}`);
    }
  }

  async toggle(a, b) {
    const cut = linkOf(a, b)?.cut;
    const answer = await ask.order(cut ? "heal" : "cut", { a, b });
    announce(answer.ok ? `The link of ${a} and ${b} is ${cut ? "mended" : "cut"}` : ask.reason(answer));
  }
}
