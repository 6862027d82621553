// Send: every command by a form made from the region's own OpenAPI document.

import * as ask from "./ask.js";
import * as examples from "./examples.js";
import { choice, field, make, span, words } from "./page.js";
import { maskedCopy, onReveal } from "./personal.js";
import { system } from "./system.js";

const WAIT_S = 15;

export function showSending(box) {
  const region = choice(system.regions.map((one) => [one, one]), { name: "region" });
  const type = choice([], { name: "type" });
  const fields = make("div", { class: "form" });
  const wait = make("input", { type: "checkbox", name: "wait" });
  const button = make("button", { class: "main", type: "submit" }, "Send");
  const result = make("div", { class: "result", hidden: true, role: "status" });
  const form = make("form", { class: "form" },
    make("div", { class: "pair" }, field("Region", region), field("Command", type)),
    fields,
    make("label", { class: "check" }, wait, make("span", {}, `Wait for Event B, up to ${WAIT_S} s`)),
    make("div", { class: "row" }, button), result);
  box.replaceChildren(form);
  const state = { schemas: {}, controls: new Map() };
  type.addEventListener("change", () => layFields(state, type.value, fields));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    await send({ region: region.value, type: type.value, waitS: wait.checked ? WAIT_S : 0, state, result });
    button.disabled = false;
  });
  load(state, type, fields, system.regions);
}

/** Read the document of the first region that has one; try again while there is none. */
async function load(state, type, fields, regions) {
  for (const region of regions) {
    const answer = await ask.get(region, "openapi.json");
    const commands = answer.ok && answer.body.paths?.["/commands"]?.post.requestBody.content["application/json"].schema;
    if (!commands) continue;
    state.schemas = answer.body.components.schemas;
    const names = commands.oneOf.map((one) => nameOf(one)).map((name) => state.schemas[name].properties.type.const);
    type.replaceChildren(...names.map((name) => make("option", { value: name }, words(name))));
    layFields(state, type.value, fields);
    return;
  }
  fields.replaceChildren(make("p", { class: "quiet" }, "No region tells its commands yet; trying again."));
  setTimeout(() => load(state, type, fields, regions), 2000);
}

const nameOf = (one) => one.$ref.split("/").at(-1);

function layFields(state, type, box) {
  const schema = state.schemas[nameOf(state.schemas[`${type}Command`].properties.data)];
  state.controls = new Map();
  const made = Object.entries(schema.properties).map(([name, property]) => {
    const control = controlOf(type, name, property);
    if (schema.required?.includes(name)) control.required = true;
    state.controls.set(name, { control, property });
    return field(words(name), control, property.description ?? null);
  });
  box.replaceChildren(make("p", { class: "quiet" }, schema.description ?? ""), ...made);
}

function controlOf(type, name, property) {
  const allowed = property.enum ?? (property.const ? [property.const] : null);
  if (allowed) return choice(allowed.map((one) => [one, one]), { name });
  const value = valueOf(type, name, property);
  if (property.type === "object") return make("textarea", { name, spellcheck: "false" }, JSON.stringify(value, null, 1));
  const number = property.type === "integer";
  const control = make("input", { name, type: number ? "number" : "text", autocomplete: "off", spellcheck: "false" });
  if (property.maxLength) control.maxLength = property.maxLength;
  if (number && property.minimum !== undefined) control.min = property.minimum;
  control.value = value ?? "";
  return control;
}

/** A value that is right at once: a new number where something begins, else the last one used. */
function valueOf(type, name, property) {
  const begins = type === "ActivateSubscriber" || type === "RegisterNetworkElement";
  if (name === "imsi") return begins ? examples.newImsi() : examples.last.imsi ?? property.examples?.[0];
  if (name === "msisdn") return examples.newMsisdn();
  if (name === "iccid") return examples.newIccid();
  if (name === "element_id") return begins ? examples.newElement() : examples.last.elementId ?? property.examples?.[0];
  if (name === "service_profile") return examples.PROFILES[(examples.last.profile + (begins ? 0 : 1)) % examples.PROFILES.length];
  if (name === "reason") return property.examples?.[0] ?? "asked by the customer";
  return property.examples?.[0] ?? (property.type === "integer" ? property.minimum ?? 0 : "");
}

async function send({ region, type, waitS, state, result }) {
  const data = {};
  for (const [name, { control, property }] of state.controls) {
    if (control.value === "") continue;
    try {
      data[name] = property.type === "integer" ? Number(control.value) : property.type === "object" ? JSON.parse(control.value) : control.value;
    } catch {
      say(result, "bad", `${name} is not JSON`, null);
      return;
    }
  }
  const command = examples.commandOf(type, data);
  const begunMs = performance.now();
  say(result, "", waitS ? "Sent; waiting for Event B" : "Sent", null);
  const answer = await ask.command(region, command, { waitS });
  examples.remember(command, answer, region);
  const took = span(performance.now() - begunMs);
  const [kind, text] = verdictOf(answer, waitS, took);
  say(result, kind, text, answer.body);
}

function verdictOf(answer, waitS, took) {
  const status = answer.body?.status;
  if (status === "answered") return ["good", `Answered after ${took}`];
  if (status === "accepted") return ["", `Recorded after ${took}${waitS ? `; not answered within ${waitS} s, it is held` : ""}`];
  if (status === "unchanged") return ["", `Nothing to do; recorded after ${took}`];
  if (status === "rejected") return ["warn", `Refused by the domain: ${ask.reason(answer)}`];
  return ["bad", `Not taken: ${ask.reason(answer)}`];
}

function say(result, kind, text, body) {
  result.hidden = false;
  const told = make("pre", { class: "told", tabindex: "0", "aria-label": "The region's reply" });
  const show = () => { told.textContent = body ? JSON.stringify(maskedCopy(body), null, 1) : ""; };
  show();
  onReveal(show);
  result.replaceChildren(make("p", { class: `verdict ${kind}` }, text), ...(body ? [told] : []));
}
