// What is known of the running system, from the one stream that tells it. Changes are gathered
// and listeners called at most once a frame, however much happens.

import { get } from "./ask.js";

const MOST_COMMITS = 300;
const HIDDEN_MS = 60_000;
// Commits that a region is asked about at a look.
const MOST_ASKED = 4;

export const system = {
  regions: [],          // names, in their order
  projections: [],
  scenarios: [],
  isLocal: true,        // whether the network can be broken, and marks seen
  operates: true,       // whether operations are run from here
  live: "connecting",   // live, lost, blind
  network: null,
  status: {},           // by region: health, pending, held, letters
  owed: {},             // by region, what was owed at the last look
  counts: {},
  unshown: 0,
  lags: [],
  commits: new Map(),   // by id, oldest first
};

const listeners = new Set();
const happenings = new Set();
let due = false;

export function onChange(listener) { listeners.add(listener); }
/** Be told each mark as it comes. */
export function onMark(listener) { happenings.add(listener); }

export function changed() {
  if (due) return;
  due = true;
  // Of a page that nobody sees no frame is drawn; it is kept up to date all the same.
  const soon = document.hidden ? (run) => setTimeout(run, 500) : requestAnimationFrame;
  soon(() => {
    due = false;
    for (const listener of listeners) listener();
  });
}

/** Follow the stream while somebody may be looking: a page left in the background costs nothing,
    and does not use up the few connections that a browser has for one address. */
export function follow() {
  let stream = open();
  let timer = null;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) stream ??= open();
    else timer = setTimeout(() => { stream?.close(); stream = null; }, HIDDEN_MS);
  });
}

function open() {
  system.live = "connecting";
  const stream = new EventSource("/api/stream");
  const on = (name, take) => stream.addEventListener(name, (event) => { take(JSON.parse(event.data)); changed(); });
  stream.onerror = () => { system.live = "lost"; changed(); };
  on("watching", () => { system.live = "live"; });
  on("unseen", () => { system.live = "blind"; });
  on("behind", () => {});
  on("state", takeState);
  on("happened", takeHappened);
  return stream;
}

function takeState(told) {
  system.live = "live";
  system.network = told.network;
  if (told.lags) system.lags = told.lags;
  for (const region of told.regions) {
    system.status[region.region] = { ...region, heldCount: heldOf(region) };
    for (const held of region.held) takeHeld(region.region, held);
  }
  settle(told.regions);
}

function takeHappened(told) {
  system.live = "live";
  system.counts = told.counts;
  system.unshown = told.unshown;
  if (told.lags) system.lags = told.lags;
  for (const mark of told.marks) {
    takeMark(mark);
    for (const listener of happenings) listener(mark);
  }
}

export function commitOf(id, origin, atMs) {
  let commit = system.commits.get(id);
  if (!commit) {
    commit = { commit: id, origin, type: "", outcome: "", atMs, arrived: {}, applied: {}, acknowledged: {}, answeredMs: null, early: false };
    system.commits.set(id, commit);
    if (system.commits.size > MOST_COMMITS) {
      // The oldest that is answered goes; what is held stays in sight.
      const gone = [...system.commits.values()].find((one) => one.answeredMs !== null) ?? system.commits.values().next().value;
      system.commits.delete(gone.commit);
    }
  }
  return commit;
}

/** A command that this page has sent: of a deployment nobody tells that it was recorded. */
export function noteSent(id, type, region, outcome) {
  if (system.isLocal) return;
  Object.assign(commitOf(id, region, Date.now()), { type, outcome });
  changed();
}

function takeMark(mark) {
  if (mark.kind === "committed") {
    const commit = commitOf(mark.commit, mark.region, mark.at_ms);
    Object.assign(commit, { type: mark.type, outcome: mark.outcome, atMs: mark.at_ms, origin: mark.region, early: false });
    return;
  }
  const commit = system.commits.get(mark.commit);
  if (!commit) return;
  if (mark.kind === "arrived") commit.arrived[mark.region] ??= mark.at_ms;
  if (mark.kind === "applied") commit.applied[mark.region] ??= mark.at_ms;
  if (mark.kind === "acknowledged") commit.acknowledged[mark.region] ??= mark.at_ms;
  if (mark.kind === "answered") commit.answeredMs ??= mark.at_ms;
}

/** How many answers a region holds: what it owed a look ago, too, not what is just on its way.
    At the first look nothing is known of before, so all of them count. */
function heldOf(region) {
  if (!("pending" in region)) return null;
  const before = system.owed[region.region];
  system.owed[region.region] = new Set(region.held.map((one) => one.commit));
  if (!before || region.pending > region.held.length) return region.pending;
  return region.held.filter((one) => before.has(one.commit)).length;
}

/** An answer that is held was perhaps held before this page was opened. */
function takeHeld(origin, held) {
  const commit = system.commits.get(held.commit) ?? commitOf(held.commit, origin, null);
  if (commit.atMs === null) commit.early = true;
  for (const [region, atMs] of Object.entries(held.applied_at_ms)) {
    commit.acknowledged[region] ??= atMs;
    commit.applied[region] ??= atMs;
  }
}

/** What a region owes no longer may have been answered while nobody told us: it is asked. */
function settle(regions) {
  for (const region of regions) {
    if (!("pending" in region) || region.more || region.pending > region.held.length) continue;
    const held = new Set(region.held.map((one) => one.commit));
    const open = [...system.commits.values()].filter((one) => one.origin === region.region && one.answeredMs === null && !held.has(one.commit));
    for (const commit of open) commit.looks = (commit.looks ?? 0) + 1;
    for (const commit of open.filter((one) => one.looks > 1).slice(0, MOST_ASKED)) ask(region.region, commit);
  }
}

async function ask(region, commit) {
  commit.looks = 0;
  const told = await get(region, `commands/${commit.commit}`);
  if (!told.ok) return;
  for (const [where, at] of Object.entries(told.body.acknowledgements ?? {})) {
    commit.applied[where] ??= Date.parse(at);
    commit.acknowledged[where] ??= Date.parse(at);
  }
  if (told.body.status === "superseded") commit.outcome = "superseded";
  if (told.body.answer) commit.answeredMs ??= Date.parse(told.body.answer.answered_at);
  changed();
}

/** The link of two regions, as the network tells it. */
export function linkOf(a, b) {
  return (system.network?.links ?? []).find((one) => (one.a === a && one.b === b) || (one.a === b && one.b === a));
}

export function isKilled(region) {
  return (system.network?.faults ?? []).some((one) => one.region === region && one.killed);
}

/** Whether every link of a region is cut; of a deployment, whether no other region reaches it. */
export function isIsolated(region) {
  if (!system.isLocal) return system.regions.every((one) => one === region || system.status[region]?.unreached_by?.includes(one));
  const links = (system.network?.links ?? []).filter((one) => one.a === region || one.b === region);
  return links.length > 0 && links.every((one) => one.cut);
}

/** The least that an answer can take, from the round trips of its region of origin. */
export function floorMs(origin) {
  const links = (system.network?.links ?? []).filter((one) => one.a === origin || one.b === origin);
  // A witness makes an append durable as well, but has nothing to apply.
  const far = links.filter((one) => system.regions.includes(one.a) && system.regions.includes(one.b));
  const ms = (some) => some.map((one) => one.rtt_ms);
  return far.length ? Math.min(...ms(links)) + Math.max(...ms(far)) : null;
}

/** The regions that an unanswered commit still waits for. */
export function waitsFor(commit) {
  return system.regions.filter((region) => !(region in commit.acknowledged));
}
