// Elements from plain values. Text goes in as text nodes only, so nothing from a document can become markup.

/** An element: attributes by name (functions are event listeners, false and null are left out), then children. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return made;
}

/** Prose in which `backticks` mark code. */
export function prose(text) {
  return String(text ?? "").split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
}

/** A value as indented JSON. */
export function json(value) {
  return JSON.stringify(value, null, 2);
}

/** A block of code that can be scrolled by keyboard. */
export function block(text, label) {
  return element("pre", { tabindex: 0, role: "region", "aria-label": label }, element("code", {}, text));
}
