// Values for a form that are right at the first try, and belong to nobody.

import { noteSent } from "./system.js";

function digits(many) {
  return Array.from(crypto.getRandomValues(new Uint8Array(many)), (byte) => byte % 10).join("");
}

function withCheckDigit(number) {
  let sum = 0;
  [...number].reverse().forEach((digit, place) => {
    const doubled = Number(digit) * (place % 2 === 0 ? 2 : 1);
    sum += doubled > 9 ? doubled - 9 : doubled;
  });
  return number + ((10 - (sum % 10)) % 10);
}

export const newImsi = () => `26201${digits(10)}`;
export const newMsisdn = () => `+49151${1 + Math.floor(Math.random() * 8)}${digits(7)}`;
export const newIccid = () => withCheckDigit(`894902${digits(12)}`);
export const newElement = () => `gnb-ber-${digits(4)}`;
export const newCommandId = () => `console-${Date.now().toString(36)}-${digits(4)}`;

/** What was last used here: the next command is usually about the same thing. */
export const last = { imsi: null, elementId: null, token: null, origin: null, profile: 0 };

export const PROFILES = ["consumer-5g", "business-5g", "iot-basic"];

/** Another profile than the one before. */
export function nextProfile() {
  last.profile = (last.profile + 1) % PROFILES.length;
  return PROFILES[last.profile];
}

/** A whole command, ready to be sent. */
export function commandOf(type, data) {
  return { type, command_id: newCommandId(), producer: "console", data };
}

export function activation() {
  last.imsi = newImsi();
  return commandOf("ActivateSubscriber", {
    imsi: last.imsi, msisdn: newMsisdn(), iccid: newIccid(), service_profile: PROFILES[last.profile],
  });
}

/** Remember what a command was about, and what it was answered with. */
export function remember(command, answer, region) {
  if (command.data.imsi) last.imsi = command.data.imsi;
  if (command.data.element_id) last.elementId = command.data.element_id;
  const { commit, status } = answer.body ?? {};
  if (commit) noteSent(commit, command.type, region, status === "answered" ? "accepted" : status);
  if (answer.body?.consistency_token) {
    last.token = answer.body.consistency_token;
    last.origin = region;
  }
}
