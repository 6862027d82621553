// One card a region: whether it serves, how far behind its read models are, what waits in it.

import { count, dress, make, put, span } from "./page.js";
import { isIsolated, isKilled, onChange, system } from "./system.js";

export function showRegions(box) {
  const cards = new Map(system.regions.map((region) => [region, newCard(region)]));
  box.replaceChildren(...[...cards.values()].map((card) => card.element));
  onChange(() => { for (const [region, card] of cards) show(region, card); });
}

function newCard(region) {
  const state = make("span", { class: "pill" }, "–");
  const facts = make("dl", { class: "facts" });
  const element = make("article", { class: "region", "aria-label": region },
    make("header", {}, make("b", {}, region), state), facts);
  return { element, state, facts, rows: new Map() };
}

function fact(card, name, text, kind = "") {
  let row = card.rows.get(name);
  if (!row) {
    row = make("dd");
    card.facts.append(make("dt", {}, name), row);
    card.rows.set(name, row);
  }
  put(row, text);
  dress(row, kind);
}

function show(region, card) {
  const status = system.status[region];
  const killed = isKilled(region);
  const [text, kind] = stateOf(status, killed, isIsolated(region));
  put(card.state, text);
  dress(card.state, "pill", kind);
  const counts = system.counts[region];
  fact(card, "commits", counts ? counts.committed.toLocaleString("en") : "–");
  const held = status?.heldCount ?? null;
  const overdue = held && status.oldest_due_ms ? Date.now() - status.oldest_due_ms : 0;
  const since = overdue > 0 ? `, overdue ${span(overdue)}` : "";
  fact(card, "answers held", held === null ? "–" : `${held}${status.more ? "+" : ""}${since}`, held ? "warn" : "");
  fact(card, "dead letters", status?.letters === null || status?.letters === undefined ? "–" : String(status.letters), status?.letters ? "bad" : "");
  if (status?.homes) fact(card, "home of", homesOf(status.homes), status.homes.leaving || status.homes.evicted_from ? "warn" : "");
  for (const lag of system.lags.filter((one) => one.region === region)) {
    const many = lag.behind > 1 ? `${lag.behind}${lag.more ? "+" : ""}, ` : "";
    const behind = lag.behind ? `${many}${span(lag.oldest_ms)} behind` : lag.last_ms === null ? "lacks nothing owed" : span(lag.last_ms);
    fact(card, lag.projection, behind, lag.behind && lag.oldest_ms > 2000 ? "warn" : "");
  }
}

/** In EVENTUAL mode a region appends to what it is home of; what was taken from it by force it was evicted from. */
function homesOf({ slots, leaving, evicted_from: taken }) {
  const more = [leaving ? `${leaving} on their way to others` : "", taken ? `evicted from ${taken}` : ""].filter(Boolean);
  return [count(slots, "slot"), ...more].join(", ");
}

function stateOf(status, killed, isolated) {
  if (killed) return ["down", "bad"];
  if (!status) return ["–", ""];
  if (isolated) return ["cut off", "warn"];
  if (status.health === "active") return ["serves", "good"];
  return [status.health, "warn"];
}
