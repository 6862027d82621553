// Running a command of the command line, with what it says in sight.

import * as ask from "./ask.js";
import { make } from "./page.js";
import { maskedText } from "./personal.js";

/** Where a command says what it says. */
export function output() {
  return make("pre", { class: "told", hidden: true, tabindex: "0", role: "log", "aria-label": "What the command says" });
}

/** Run an operation with its output in sight; a button is busy for as long. */
export async function run(button, said, kind, given) {
  button.disabled = true;
  said.hidden = false;
  said.textContent = "";
  const { ended, text } = await ask.operate(kind, given, (line) => {
    said.textContent += `${maskedText(line)}\n`;
    said.scrollTop = said.scrollHeight;
  });
  if (ended === -1) said.textContent += text;
  said.textContent += ended === 0 ? "Done." : `Ended with ${ended}.`;
  button.disabled = false;
}
