// A form that sends one operation to this very origin and shows what came back.

import { block, element, json } from "./dom.js";
import { exampleOf } from "./schema.js";

/** Most characters of an answer that are shown. */
const SHOWN = 500_000;

/** The form. `credential` reads and sets the credential of the page. */
export function requestForm(operation, credential) {
  const inputs = (operation.details.parameters ?? []).map((parameter) => ({ parameter, field: input(parameter) }));
  const body = bodyFields(operation.details.requestBody, operation.root);
  const answer = element("div", { class: "outcome", "aria-live": "polite" });
  const command = element("code");
  const send = element("button", { type: "submit" }, "Send");
  const stop = element("button", { type: "button", hidden: true }, "Stop");
  const describe = () => { command.textContent = curl(compose(operation, inputs, body, credential)); };
  const form = element("form", { class: "try", input: describe, change: describe, autocomplete: "off" },
    element("h2", {}, "Try it"),
    inputs.map(({ parameter, field }) => labelled(parameter.name, parameter.required, field)),
    body && body.type && labelled("Content-Type", true, body.type),
    body && labelled("Body", body.required, body.text),
    element("p", { class: "buttons" }, send, " ", stop),
    answer,
    element("details", {}, element("summary", { click: describe }, "As a curl command"),
      element("pre", { tabindex: 0, role: "region", "aria-label": "The request as a curl command" }, command)),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const abort = new AbortController();
    const halt = () => abort.abort();
    stop.addEventListener("click", halt);
    send.disabled = true;
    stop.hidden = false;
    try {
      await perform(compose(operation, inputs, body, credential), answer, abort.signal, credential);
    } finally {
      stop.removeEventListener("click", halt);
      send.disabled = false;
      stop.hidden = true;
    }
  });
  describe();
  return form;
}

function labelled(name, required, field) {
  return element("label", {}, element("span", {}, element("code", {}, name), required ? "" : " (optional)"), field);
}

function input(parameter) {
  const schema = parameter.schema ?? {};
  const choices = schema.enum ?? (schema.type === "boolean" ? [true, false] : null);
  const required = parameter.required === true;
  if (!choices) {
    const example = parameter.example ?? schema.default ?? "";
    return element("input", { type: "text", required, placeholder: String(example), spellcheck: "false", autocomplete: "off" });
  }
  const options = choices.filter((one) => one !== null).map((one) => element("option", { value: String(one) }, String(one)));
  return element("select", { required }, required ? null : element("option", { value: "" }, ""), options);
}

function bodyFields(described, root) {
  if (!described) return null;
  const types = Object.keys(described.content ?? {});
  const example = exampleOf(described.content?.[types[0]], root);
  const shown = example === undefined ? "" : json(example);
  const rows = Math.min(Math.max(shown.split("\n").length + 1, 4), 24);
  const text = element("textarea", { rows, spellcheck: "false", required: described.required === true });
  text.value = shown;
  const options = types.map((type) => element("option", {}, type));
  return { text, types, required: described.required, type: types.length > 1 ? element("select", {}, options) : null };
}

/** The request as the form says now. */
function compose(operation, inputs, body, credential) {
  let path = operation.path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, field } of inputs) {
    const value = field.value;
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, () => encodeURIComponent(value));
    else if (value === "") continue;
    else if (parameter.in === "query") query.append(parameter.name, value);
    else if (parameter.in === "header") headers[parameter.name] = value;
  }
  const { kind, value } = credential.read();
  if (value) headers[kind === "key" ? "X-API-Key" : "Authorization"] = kind === "key" ? value : `Bearer ${value}`;
  const text = body && body.text.value !== "" ? body.text.value : undefined;
  if (text !== undefined) headers["Content-Type"] = body.type?.value ?? body.types[0] ?? "application/json";
  const search = query.size ? `?${query}` : "";
  return { method: operation.method.toUpperCase(), url: path + search, headers, body: text };
}

/** The request for a shell, the credential as a variable. */
function curl({ method, url, headers, body }) {
  const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  const lines = [`curl -i -X ${method} ${quote(location.origin + url)}`];
  for (const [name, value] of Object.entries(headers)) {
    if (name === "Authorization") lines.push('-H "Authorization: Bearer $TOKEN"');
    else if (name === "X-API-Key") lines.push('-H "X-API-Key: $API_KEY"');
    else lines.push(`-H ${quote(`${name}: ${value}`)}`);
  }
  if (body !== undefined) lines.push(`--data-raw ${quote(body)}`);
  return lines.join(" \\\n  ");
}

async function perform({ method, url, headers, body }, shown, signal, credential) {
  shown.replaceChildren(element("p", {}, "Waiting for the answer …"));
  const started = performance.now();
  let response;
  try {
    response = await fetch(url, { method, headers, body, signal, redirect: "manual", cache: "no-store" });
  } catch (error) {
    const words = signal.aborted ? "Stopped before an answer came." : `Nothing came back: ${error.message}`;
    shown.replaceChildren(element("p", { class: "bad" }, words));
    return;
  }
  const milliseconds = Math.round(performance.now() - started);
  if (response.type === "opaqueredirect") {
    shown.replaceChildren(element("p", {}, "The answer sends the browser elsewhere; pages are not told where. Try it with curl."));
    return;
  }
  const code = element("code");
  const status = element("p", { class: response.ok ? "good" : "bad" },
    element("strong", {}, `${response.status} ${response.statusText}`.trim()), ` after ${milliseconds} ms`);
  const lines = [...response.headers].map(([name, value]) => `${name}: ${value}`);
  shown.replaceChildren(status,
    element("details", {}, element("summary", {}, `${lines.length} headers`), block(lines.join("\n"), "Headers of the answer")),
    element("pre", { tabindex: 0, role: "region", "aria-label": "Body of the answer" }, code));
  const text = await receive(response, code);
  finish(text, response, code, shown, credential);
}

/** Reads the body as it comes, so that streams can be watched. Gives the text that is shown. */
async function receive(response, code) {
  let text = "";
  if (!response.body) return text;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += value;
      if (text.length > SHOWN) {
        code.textContent = `${text.slice(0, SHOWN)}\n… the rest is not shown`;
        await reader.cancel();
        return "";
      }
      code.textContent = text;
    }
  } catch (error) {
    code.textContent = `${text}\n… ${error.name === "AbortError" ? "stopped" : `broken off: ${error.message}`}`;
    return "";
  }
}

function finish(text, response, code, shown, credential) {
  const isJson = /[/+]json\b/.test(response.headers.get("content-type") ?? "");
  if (code.textContent === "") code.textContent = "(no body)";
  if (!isJson || text === "") return;
  try {
    const value = JSON.parse(text);
    code.textContent = json(value);
    const token = value?.accessToken ?? value?.tokens?.accessToken;
    if (typeof token !== "string") return;
    const use = () => { credential.use("token", token); };
    shown.append(element("p", {}, element("button", { type: "button", click: use }, "Use its access token from now on")));
  } catch {
    // Shown as it came.
  }
}
