// What the page asks of its server: regions, the network's orders, operations. Never throws for
// an answer that is an error: { ok, status, body } says it.

const OWN = { "Antiphon-Console": "1" };

async function send(path, options = {}) {
  try {
    const response = await fetch(path, { ...options, headers: { ...OWN, ...options.headers } });
    const text = await response.text();
    let body = text;
    try { body = JSON.parse(text); } catch { /* it is shown as it is */ }
    return { ok: response.ok, status: response.status, body };
  } catch (error) {
    return { ok: false, status: 0, body: { message: `the console does not answer: ${error.message}` } };
  }
}

const json = (content) => ({
  method: "POST", body: JSON.stringify(content), headers: { "Content-Type": "application/json" },
});

export const about = () => send("/api/about");
export const get = (region, path, headers = {}) => send(`/api/regions/${region}/${path}`, { headers });

export function command(region, content, { waitS = 0 } = {}) {
  const options = json(content);
  if (waitS) options.headers.Prefer = `wait=${waitS}`;
  return send(`/api/regions/${region}/commands`, options);
}

export const order = (action, fields = {}) => send("/api/network", json({ action, ...fields }));

/** Run an operation; `said` gets each line. Returns { ended, text }. */
export async function operate(kind, given, said = () => {}) {
  const lines = [];
  try {
    const options = json(given);
    const response = await fetch(`/api/operations/${kind}`, { ...options, headers: { ...OWN, ...options.headers } });
    if (!response.ok) return { ended: -1, text: (await response.json()).message };
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { ended: -1, text: lines.join("\n") || "it was broken off" };
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      for (const part of parts) {
        const told = JSON.parse(part);
        if ("command" in told) said(`$ ${told.command}`);
        else if ("ended" in told) return { ended: told.ended, text: lines.join("\n") };
        else {
          lines.push(told.line);
          said(told.line);
        }
      }
    }
  } catch (error) {
    return { ended: -1, text: `the console does not answer: ${error.message}` };
  }
}

/** The reason in an answer that is an error, in words. */
export function reason(answer) {
  const body = answer.body;
  if (typeof body === "string") return body || `HTTP ${answer.status}`;
  const errors = (body.errors ?? []).map((one) => `${one.field}: ${one.message}`).join("; ");
  return errors || body.detail || body.message || body.reason || `HTTP ${answer.status}`;
}
