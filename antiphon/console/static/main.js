// The page: wires its parts to the one stream.

import * as ask from "./ask.js";
import { showBreaking } from "./breaking.js";
import { showGuide } from "./guide.js";
import { showHistory } from "./history.js";
import { showLedger } from "./ledger.js";
import { showMap } from "./map.js";
import { showOperating } from "./operating.js";
import { count, dress, list, put, span } from "./page.js";
import { reveal } from "./personal.js";
import { showReading } from "./reading.js";
import { showRegions } from "./regions.js";
import { showSending } from "./sending.js";
import { changed, follow, isIsolated, isKilled, onChange, system } from "./system.js";

const at = (id) => document.getElementById(id);

async function begin() {
  const told = await ask.about();
  if (!told.ok) {
    put(at("headline"), "The console does not answer");
    setTimeout(begin, 2000);
    return;
  }
  system.regions = told.body.regions.map((one) => one.region);
  system.projections = told.body.projections;
  system.scenarios = told.body.scenarios;
  system.isLocal = told.body.is_local;
  system.operates = told.body.operates;
  if (!system.isLocal) ofADeployment();
  at("reveal").addEventListener("change", (event) => { reveal(event.target.checked); changed(); });
  tabs();
  showMap(at("map"));
  showRegions(at("regions"));
  showLedger(at("ledger"));
  showGuide(at("guide"));
  showSending(at("panel-try"));
  showReading(at("panel-read"));
  showBreaking(at("panel-break"));
  showHistory(at("panel-history"));
  showOperating(at("panel-operate"));
  onChange(headline);
  follow();
}

/** Of a deployment nothing can be broken from here, and nobody sees every call. */
function ofADeployment() {
  for (const local of document.querySelectorAll(".only-local")) local.hidden = true;
}

/** The state of everything in one sentence. */
function headline() {
  const stream = at("stream");
  const told = { live: ["live", "good"], connecting: ["connecting", ""], lost: ["connection lost, trying again", "bad"], blind: ["the regions do not answer, trying again", "bad"] };
  const [text, kind] = told[system.live];
  put(stream, text);
  dress(stream, "pill", kind);
  if (!system.network) return;
  const killed = system.regions.filter(isKilled);
  const isolated = system.regions.filter((region) => !isKilled(region) && isIsolated(region));
  const status = Object.values(system.status);
  const pending = status.reduce((sum, one) => sum + (one.heldCount ?? 0), 0);
  const letters = status.reduce((sum, one) => sum + (one.letters ?? 0), 0);
  const oldest = Math.min(...status.map((one) => one.oldest_due_ms ?? Infinity));
  const commits = Object.values(system.counts).reduce((sum, one) => sum + one.committed, 0);
  const silent = system.regions.filter((region) => !isKilled(region) && !isIsolated(region) && system.status[region]?.health.startsWith("no answer"));
  const serving = system.regions.filter((region) => !isKilled(region) && (system.status[region]?.health ?? "active") === "active");
  const out = [...killed.map((one) => `${one} is down`), ...isolated.map((one) => `${one} is cut off`), ...silent.map((one) => `${one} does not answer`)];
  const held = pending ? `${count(pending, "answer is", "answers are")} held` : "Everything is answered";
  const apart = list(out);
  put(at("headline"), !out.length ? held : pending ? `${held}: ${apart}` : `${apart}; no answer waits yet`);
  const parts = [count(serving.length, "region serves", "regions serve")];
  if (commits) parts.push(`${count(commits, "commit")} seen`);
  if (pending && Number.isFinite(oldest) && Date.now() > oldest) parts.push(`the oldest is overdue by ${span(Date.now() - oldest)}`);
  parts.push(letters ? count(letters, "dead letter") : "no dead letters");
  put(at("subline"), parts.join(" · "));
}

/** Tabs by the arrow keys, as everywhere. */
function tabs() {
  const all = [...document.querySelectorAll('[role="tab"]')].filter((tab) => !tab.hidden);
  const choose = (chosen) => {
    for (const tab of all) {
      const is = tab === chosen;
      tab.setAttribute("aria-selected", is);
      tab.tabIndex = is ? 0 : -1;
      at(tab.getAttribute("aria-controls")).hidden = !is;
    }
    at(chosen.getAttribute("aria-controls")).dispatchEvent(new Event("shown"));
  };
  for (const [number, tab] of all.entries()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = all[(number + step + all.length) % all.length];
      next.focus();
      choose(next);
    });
  }
}

begin();
