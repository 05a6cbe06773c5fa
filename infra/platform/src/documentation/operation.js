// One operation: who may call it, what it takes, what it answers, and a form to try it.

import { block, element, json, prose } from "./dom.js";
import { exampleOf, limitsOf, resolved, schemaView, typeOf } from "./schema.js";
import { requestForm } from "./request.js";

/** Method and path, the parameters set off. */
export function route(operation) {
  const parts = operation.path.split(/(\{[^}]*\})/);
  const path = parts.map((part) => (part.startsWith("{") ? element("var", {}, part) : part));
  return [
    element("span", { class: "method", "data-method": operation.method }, operation.method.toUpperCase()),
    " ", element("code", { class: "path" }, path),
  ];
}

/** The operation whole. */
export function operationView(operation, credential) {
  const { details, group, root } = operation;
  return [
    element("div", { class: "described" },
      element("p", { class: "trail" }, element("a", { href: `#${group}` }, group), " / ",
        element("a", { href: `#${operation.id}` }, element("code", {}, operation.id))),
      element("h1", { tabindex: -1 }, details.summary || operation.id),
      element("p", { class: "route" }, route(operation)),
      element("p", {}, prose(details.description)),
      parameters(details.parameters ?? [], root),
      body(details.requestBody, root),
      answers(details.responses ?? {}, root),
      problems(details.responses ?? {}, root),
    ),
    requestForm(operation, credential),
  ];
}

function section(title, ...content) {
  return element("section", {}, element("h2", {}, title), ...content);
}

function parameters(list, root) {
  if (!list.length) return null;
  const places = { path: "in the path", query: "in the query string", header: "a header", cookie: "a cookie" };
  const rows = list.map((one) => [
    element("dt", {}, element("code", { class: "name" }, one.name), " ",
      one.required ? [element("strong", { class: "required" }, "required"), " "] : null,
      element("span", { class: "type" }, `${places[one.in] ?? one.in}: ${typeOf(one.schema, root)}`)),
    element("dd", {}, prose(one.description), " ", limitsOf(one.schema, root)),
  ]);
  return section("Parameters", element("dl", {}, rows));
}

function body(described, root) {
  if (!described) return null;
  const types = Object.keys(described.content ?? {});
  const media = described.content?.[types[0]] ?? {};
  const word = described.required ? "" : " It may be left out.";
  return section("Request body",
    element("p", {}, prose(`Sent as ${types.map((type) => `\`${type}\``).join(" or ")}.${word}`)),
    exampleOf(media, root) !== undefined && element("details", { open: true }, element("summary", {}, "Example"),
      block(json(exampleOf(media, root)), "Example of the request body")),
    element("details", { open: true }, element("summary", {}, "Fields"), schemaView(media.schema, root)),
  );
}

/** The answers by status; `x-…` and shared problem answers are told apart. */
function byStatus(responses, root) {
  const numbered = Object.entries(responses).filter(([status]) => !status.startsWith("x-"));
  return numbered.map(([status, answer]) => [status, resolved(answer, root)]);
}

const isProblem = (status) => status >= "400";

function answers(responses, root) {
  const good = byStatus(responses, root).filter(([status]) => !isProblem(status));
  return section("Answers", good.map(([status, answer]) => {
    const [type, media] = Object.entries(answer.content ?? {})[0] ?? [];
    const headers = Object.keys(answer.headers ?? {});
    return element("section", { class: "answer" },
      element("h3", {}, element("span", { class: "status" }, status), " ", prose(answer.description)),
      headers.length ? element("p", {}, prose(`With ${headers.map((name) => `\`${name}\``).join(", ")}.`)) : null,
      type && element("p", {}, "Body: ", element("code", {}, type)),
      exampleOf(media, root) !== undefined && element("details", {}, element("summary", {}, "Example"),
        block(json(exampleOf(media, root)), `Example of the answer ${status}`)),
      media?.schema && element("details", {}, element("summary", {}, "Fields"), schemaView(media.schema, root)),
    );
  }));
}

/** The codes that the operation can answer with, by status; `default` has those of every operation. */
function problems(responses, root) {
  const bad = byStatus(responses, root).filter(([status]) => isProblem(status));
  if (!bad.length) return null;
  const rows = bad.map(([status, answer]) => {
    const codes = answer["x-problem-codes"] ?? [];
    return element("tr", {}, element("th", { scope: "row" }, status === "default" ? "any time" : status),
      element("td", {}, codes.length ? codes.map((code) => [element("code", {}, code), " "]) : prose(answer.description)));
  });
  return section("Problems", element("table", {},
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Status"), element("th", { scope: "col" }, "Code"))),
    element("tbody", {}, rows)));
}
