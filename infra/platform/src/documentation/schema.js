// A schema (OpenAPI 3.0) for people: names, types, limits and meaning, nested as the value is.

import { element, prose } from "./dom.js";

/** How deep nested values are shown unfolded. */
const UNFOLDED = 2;

/** The part of the document that a local reference names; undefined if there is none. */
export function follow(reference, root) {
  if (!reference.startsWith("#/")) return undefined;
  const steps = reference.slice(2).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return steps.reduce((value, step) => (value != null && Object.hasOwn(value, step) ? value[step] : undefined), root);
}

/** The schema without references, and with `allOf` put together. */
function settle(schema, root, seen = []) {
  if (schema === true || schema == null) return {};
  if (schema === false) return { not: {} };
  if (schema.$ref) {
    const target = seen.includes(schema.$ref) ? undefined : follow(schema.$ref, root);
    const name = schema.$ref.split("/").pop();
    return target ? { named: schema.$ref, ...settle(target, root, [...seen, schema.$ref]) } : { title: name };
  }
  if (!schema.allOf) return schema;
  const { allOf, ...own } = schema;
  return [...allOf.map((part) => settle(part, root, seen)), own].reduce((whole, part) => ({
    ...whole,
    ...part,
    properties: { ...whole.properties, ...part.properties },
    required: [...(whole.required ?? []), ...(part.required ?? [])],
  }), {});
}

const variants = (schema) => schema.oneOf ?? schema.anyOf;
const isMap = (schema) => typeof schema.additionalProperties === "object";

/** The part itself, where a reference may stand for it. */
export function resolved(part, root) {
  return part?.$ref ? follow(part.$ref, root) ?? {} : part;
}

/** The example of a body: its own, or its schema's; undefined without one. */
export function exampleOf(media, root) {
  return media?.example ?? resolved(media?.schema, root)?.example;
}

/** The type in a few words: `array of string (uuid)`. */
export function typeOf(unsettled, root, depth = 0) {
  const schema = settle(unsettled, root);
  const orNull = schema.nullable ? " or null" : "";
  if (schema.enum) return schema.enum.length === 1 ? "always" : "one of";
  if (variants(schema)) return `one of ${variants(schema).length} forms${orNull}`;
  const inner = (one) => (depth < 4 ? typeOf(one, root, depth + 1) : "…");
  if (schema.type === "array") return `array of ${inner(schema.items)}${orNull}`;
  if (schema.type === "object" && isMap(schema) && !schema.properties) {
    return `map of ${inner(schema.additionalProperties)}${orNull}`;
  }
  const type = Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type;
  const format = schema.format ? ` (${schema.format})` : "";
  return `${type ?? schema.title ?? "any value"}${format}${orNull}`;
}

/** What the schema demands beside the type, each in a few words. */
function limits(schema) {
  const span = (least, most, unit) => {
    if (least == null && most == null) return null;
    if (least == null) return `at most ${most}${unit}`;
    if (most == null) return `at least ${least}${unit}`;
    return least === most ? `exactly ${least}${unit}` : `${least} to ${most}${unit}`;
  };
  const items = schema.items && typeof schema.items === "object" ? limits(schema.items).map((one) => `each ${one}`) : [];
  return [
    schema.enum && schema.enum.map((one) => `\`${JSON.stringify(one)}\``).join(", "),
    schema.const !== undefined && `\`${JSON.stringify(schema.const)}\``,
    span(schema.minLength, schema.maxLength, " characters"),
    span(schema.minimum, schema.maximum, ""),
    typeof schema.exclusiveMinimum === "number" && `more than ${schema.exclusiveMinimum}`,
    typeof schema.exclusiveMaximum === "number" && `less than ${schema.exclusiveMaximum}`,
    schema.multipleOf && `a multiple of ${schema.multipleOf}`,
    span(schema.minItems, schema.maxItems, " items"),
    span(schema.minProperties, schema.maxProperties, " keys"),
    schema.uniqueItems && "all different",
    schema.pattern && `matches \`${schema.pattern}\``,
    schema.default !== undefined && schema.default !== null && `default \`${JSON.stringify(schema.default)}\``,
    ...items,
  ].filter(Boolean);
}

/** The limits as one line, or nothing. */
export function limitsOf(schema, root) {
  const words = limits(settle(schema, root));
  return words.length ? element("span", { class: "limits" }, prose(words.join("; "))) : null;
}

/** The whole schema. */
export function schemaView(schema, root) {
  const settled = settle(schema, root);
  return [
    element("p", { class: "type" }, typeOf(schema, root), " ", limitsOf(schema, root)),
    inside(settled, root, 0, settled.named ? [settled.named] : []),
  ];
}

/** What is inside of a value: fields, items, forms; nothing for plain values. */
function inside(schema, root, depth, seen) {
  const enter = (one) => {
    const next = settle(one, root);
    if (next.named && seen.includes(next.named)) return element("p", {}, "The same again.");
    return inside(next, root, depth, next.named ? [...seen, next.named] : seen);
  };
  if (variants(schema)) {
    return element("ol", { class: "forms" }, variants(schema).map((one) => {
      const words = [typeOf(one, root), " ", limitsOf(one, root)];
      return element("li", {}, element("span", { class: "type" }, words), meaning(settle(one, root)), enter(one));
    }));
  }
  if (schema.type === "array") return enter(schema.items);
  const fields = Object.entries(schema.properties ?? {});
  const rows = fields.map(([name, field]) => row(name, field, schema.required?.includes(name), root, depth, seen));
  if (isMap(schema)) rows.push(row("any key", schema.additionalProperties, false, root, depth, seen));
  return rows.length ? element("ul", { class: "fields" }, rows) : null;
}

function meaning(schema) {
  return schema.description ? element("p", { class: "meaning" }, prose(schema.description)) : null;
}

function row(name, field, required, root, depth, seen) {
  const schema = settle(field, root);
  const again = schema.named && seen.includes(schema.named);
  const content = again ? null : inside(schema, root, depth + 1, schema.named ? [...seen, schema.named] : seen);
  return element("li", {},
    element("code", { class: "name" }, name), " ",
    required ? [element("strong", { class: "required" }, "required"), " "] : null,
    element("span", { class: "type" }, typeOf(field, root)), " ",
    limitsOf(field, root),
    meaning(schema),
    content && element("details", { open: depth < UNFOLDED }, element("summary", {}, "what is in it"), content),
  );
}
