// The page: loads the documents, lists and searches the operations, shows the one that the address names.

import { element } from "./dom.js";
import { operationView, route } from "./operation.js";
import { resolved } from "./schema.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

const byId = (id) => document.getElementById(id);
const operations = new Map();
const groups = new Map();

/** The credential of the page: what its field holds, and nothing else. */
const credential = {
  read: () => ({ kind: byId("credential-kind").value, value: byId("credential-value").value.trim() }),
  use: (kind, value) => {
    byId("credential-kind").value = kind;
    byId("credential-value").value = value;
  },
};

async function load(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} answered ${response.status}`);
  return response.json();
}

function read(group, root) {
  const found = [];
  for (const [path, item] of Object.entries(root.paths ?? {})) {
    for (const method of METHODS.filter((one) => item[one])) {
      const parameters = [...(item.parameters ?? []), ...(item[method].parameters ?? [])];
      const details = { ...item[method], parameters: parameters.map((one) => resolved(one, root)) };
      const id = details.operationId ?? `${method} ${path}`;
      const text = [id, method, path, group, details.summary, details.description].join(" ").toLowerCase();
      found.push({ id, method, path, group, details, root, text });
    }
  }
  return found;
}

function list() {
  for (const [name, { summary, operations: own }] of groups) {
    const entries = own.map((operation) => {
      const link = element("a", { href: `#${encodeURIComponent(operation.id)}` },
        element("span", { class: "method", "data-method": operation.method }, operation.method.toUpperCase()), " ",
        element("span", { class: "summary" }, operation.details.summary || operation.id));
      link.title = operation.path;
      operation.entry = element("li", {}, link);
      return operation.entry;
    });
    const folder = element("details", { open: groups.size < 4 },
      element("summary", {}, name, " ", element("span", { class: "count" }, String(own.length))),
      element("ul", {}, entries));
    groups.get(name).folder = folder;
    byId("groups").append(folder);
    byId("group-list").append(
      element("dt", {}, element("a", { href: `#${name}` }, name)), element("dd", {}, summary));
  }
}

/** Hides what does not have every word of the search. */
function search() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const { folder, operations: own } of groups.values()) {
    let here = 0;
    for (const operation of own) {
      const fits = words.every((word) => operation.text.includes(word));
      operation.entry.hidden = !fits;
      here += fits ? 1 : 0;
    }
    folder.hidden = here === 0;
    if (words.length && here) folder.open = true;
    found += here;
  }
  byId("found").textContent = words.length ? `${found} of ${operations.size} operations` : "";
  if (words.length) document.body.dataset.view = "list";
  else turn();
}

/** Which part a narrow screen shows. */
function turn() {
  document.body.dataset.view = byId("shown").hidden ? "overview" : "operation";
}

function groupView(name) {
  const { summary, operations: own } = groups.get(name);
  return element("div", { class: "described" },
    element("h1", { tabindex: -1 }, name),
    element("p", {}, summary),
    element("p", {}, "The document behind this page: ", element("a", { href: `/openapi/${name}.json` }, `/openapi/${name}.json`)),
    element("ul", { class: "operations" }, own.map((operation) => element("li", {},
      element("a", { href: `#${encodeURIComponent(operation.id)}` }, operation.details.summary || operation.id),
      element("div", { class: "route" }, route(operation))))));
}

/** What the address names; one that is not encoded as it should be names itself. */
function named(fragment) {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

/** Shows what the address names; nothing named is the overview. */
function show() {
  const name = named(location.hash.slice(1));
  const operation = operations.get(name);
  const known = operation || groups.has(name);
  const shown = byId("shown");
  shown.hidden = !known;
  byId("overview").hidden = Boolean(known);
  turn();
  document.title = known ? `${operation?.details.summary ?? name} – Coder IDE API` : "Coder IDE API";
  if (known) shown.replaceChildren(...[operation ? operationView(operation, credential) : groupView(name)].flat());
  else shown.replaceChildren();
  if (name && !known) tell(`There is no operation or group “${name}”.`);
  else byId("fault").hidden = true;
  for (const link of document.querySelectorAll("nav a[aria-current]")) link.removeAttribute("aria-current");
  const link = operation?.entry.querySelector("a");
  if (link) {
    link.setAttribute("aria-current", "page");
    groups.get(operation.group).folder.open = true;
    link.scrollIntoView({ block: "nearest" });
  }
  scrollTo(0, 0);
  if (known) shown.querySelector("h1").focus({ preventScroll: true });
}

function tell(words) {
  byId("fault").textContent = words;
  byId("fault").hidden = false;
}

/** `/` goes to the search; the arrows walk through what was found; Escape ends it. */
function keys(event) {
  const typing = event.target.matches("input, textarea, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    byId("search").focus();
    byId("search").select();
  }
  const inList = event.target === byId("search") || event.target.matches("nav a");
  if (!inList) return;
  if (event.key === "Escape") {
    byId("search").value = "";
    search();
    byId("search").focus();
  }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  const stops = [byId("search"), ...document.querySelectorAll("nav li:not([hidden]) a")]
    .filter((one) => one.checkVisibility?.() ?? true);
  const next = stops.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1);
  stops[Math.min(Math.max(next, 0), stops.length - 1)].focus();
}

/** A link to what the address names already shows it again: on a phone the list may stand before it. */
function links(event) {
  const link = event.target.closest("a[href^='#']");
  if (!link) return;
  if (link.hash === "#main") {
    event.preventDefault();
    byId("main").focus();
  } else if (link.hash === location.hash) {
    show();
  }
}

/** Enter in the search opens the first operation that was found. */
function openFirst(event) {
  event.preventDefault();
  document.querySelector("nav details:not([hidden]) li:not([hidden]) a")?.click();
}

async function start() {
  document.querySelector("[role=search]").addEventListener("submit", openFirst);
  byId("credential").addEventListener("submit", (event) => event.preventDefault());
  byId("search").addEventListener("input", search);
  document.addEventListener("keydown", keys);
  document.addEventListener("click", links);
  try {
    const names = (await load("/openapi")).groups;
    const documents = await Promise.all(names.map((name) => load(`/openapi/${encodeURIComponent(name)}.json`)));
    names.forEach((name, index) => {
      const own = read(name, documents[index]);
      groups.set(name, { summary: documents[index].info?.description ?? "", operations: own });
      own.forEach((operation) => operations.set(operation.id, operation));
    });
  } catch (error) {
    tell(`The documents could not be loaded (${error.message}); load the page again.`);
    return;
  }
  list();
  addEventListener("hashchange", show);
  show();
}

start();
