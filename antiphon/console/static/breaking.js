// Break: cut, slow, kill, and set everything right again; and whether everything still agrees.

import * as ask from "./ask.js";
import { announce, choice, count, field, make, put, span } from "./page.js";
import { output, run } from "./running.js";
import { isIsolated, isKilled, linkOf, onChange, system } from "./system.js";

const SLOW_MS = 600;

export function showBreaking(box) {
  const said = make("p", { class: "quiet", role: "status" });
  const order = async (action, fields) => {
    put(said, `${action} …`);
    const answer = await ask.order(action, fields);
    put(said, answer.ok ? "Done." : ask.reason(answer));
  };
  const regions = system.regions.map((region) => regionFault(region, order));
  const links = system.regions.flatMap((a, n) => system.regions.slice(n + 1).map((b) => linkFault(a, b, order)));
  box.replaceChildren(
    make("section", { class: "block", "aria-label": "Regions" }, make("h3", {}, "Regions"), ...regions.map((one) => one.element)),
    make("section", { class: "block", "aria-label": "Links" }, make("h3", {}, "Links"), ...links.map((one) => one.element)),
    make("section", { class: "block", "aria-label": "All" },
      make("div", { class: "row" }, make("button", { type: "button", class: "main", click: () => order("calm") }, "Set everything right")), said),
    scenarios(), verification());
  onChange(() => { for (const one of [...regions, ...links]) one.show(); });
}

function toggle(element, text, name) {
  put(element, text);
  element.setAttribute("aria-label", name);
}

function regionFault(region, order) {
  const told = make("span", { class: "quiet" });
  const cut = make("button", { type: "button", class: "small", click: () => order(isIsolated(region) ? "heal" : "cut", { a: region }) });
  const kill = make("button", { type: "button", class: "small danger", click: () => order(isKilled(region) ? "start" : "kill", { region }) });
  return {
    element: make("div", { class: "fault" }, make("div", {}, make("b", {}, region), told), make("div", { class: "row" }, cut, kill)),
    show() {
      const killed = isKilled(region);
      const alone = isIsolated(region);
      put(told, killed ? "down: its functions are dead, its services frozen" : alone ? "cut off from all others" : "runs, and is connected");
      cut.disabled = killed;
      toggle(cut, alone ? "Reconnect" : "Cut off", `${alone ? "Reconnect" : "Cut off"} ${region}`);
      toggle(kill, killed ? "Start" : "Kill", `${killed ? "Start" : "Kill"} ${region}`);
    },
  };
}

function linkFault(a, b, order) {
  const told = make("span", { class: "quiet" });
  const cut = make("button", { type: "button", class: "small", click: () => order(linkOf(a, b)?.cut ? "heal" : "cut", { a, b }) });
  let slowed = false;
  const slow = make("button", { type: "button", class: "small", click: async () => {
    await order(slowed ? "undelay" : "delay", slowed ? { a, b } : { a, b, ms: SLOW_MS, jitter_ms: SLOW_MS / 2 });
  } });
  return {
    element: make("div", { class: "fault" }, make("div", {}, make("b", {}, `${a} – ${b}`), told), make("div", { class: "row" }, slow, cut)),
    show() {
      const link = linkOf(a, b);
      if (!link) return;
      slowed = link.jitter_ms > 0 || link.rtt_ms >= SLOW_MS;
      put(told, link.cut ? "cut" : `${span(link.rtt_ms)} there and back${link.jitter_ms ? `, up to ${span(link.jitter_ms)} more` : ""}`);
      toggle(cut, link.cut ? "Mend" : "Cut", `${link.cut ? "Mend" : "Cut"} the link of ${a} and ${b}`);
      toggle(slow, slowed ? "As usual" : "Slow", `${slowed ? "As usual" : "Slow"}: the link of ${a} and ${b}`);
    },
  };
}

function scenarios() {
  const scenario = choice(system.scenarios.map((one) => [one, one]), { name: "scenario", "aria-label": "Scenario" });
  const said = output();
  const button = make("button", { type: "button", click: () => run(button, said, "play", { scenario: scenario.value }) }, "Play");
  return make("section", { class: "block", "aria-label": "A scenario" }, make("h3", {}, "A scenario"),
    make("p", { class: "quiet" }, "Faults one after the other, on the running regions; what it leaves wrong is set right at its end."),
    field("Scenario", scenario), make("div", { class: "row" }, button), said);
}

function verification() {
  const verdict = make("p", { class: "verdict", role: "status" });
  const more = make("pre", { class: "told", hidden: true, tabindex: "0", "aria-label": "Violations" });
  const button = make("button", { type: "button", click: () => verify(button, verdict, more) }, "Verify now");
  return make("section", { class: "block", "aria-label": "Verdict" }, make("h3", {}, "Does everything agree?"),
    make("p", { class: "quiet" }, "Holds the log, the read models and the answers of all regions against each other, once the system rests."),
    make("div", { class: "row" }, button), verdict, more);
}

async function verify(button, verdict, more) {
  button.disabled = true;
  more.hidden = true;
  verdict.className = "verdict";
  put(verdict, "Verifying; up to half a minute");
  const { ended, text } = await ask.operate("verify", {});
  button.disabled = false;
  let told = null;
  try { told = JSON.parse(text); } catch { /* it did not come to a verdict */ }
  if (!told || !("good" in told)) {
    verdict.className = "verdict warn";
    put(verdict, `No verdict: ${text.split("\n").at(-1)} (${ended})`);
    return;
  }
  const looked = `${told.commits.toLocaleString("en")} commits, ${told.views.toLocaleString("en")} view items, ${told.answers.toLocaleString("en")} answers`;
  const violated = told.violations.length;
  const open = told.unsettled.length + told.unlisted;
  verdict.className = `verdict ${told.good ? "good" : violated ? "bad" : "warn"}`;
  put(verdict, told.good ? `Everything agrees: ${looked}.`
    : violated ? `${count(violated, "violation")} in ${looked}${told.mends.length ? "; see antiphon verify --repair" : ""}.`
      : `Not to be said yet: ${count(open, "thing is", "things are")} on the way still, of ${looked}.`);
  announce(verdict.textContent);
  more.hidden = !violated;
  if (violated) put(more, told.violations.map((one) => `${one.kind} ${one.where} ${one.key}: ${one.text}`).join("\n"));
}
