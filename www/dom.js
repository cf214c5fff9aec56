// Everything that comes from outside is put in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function button(className, text, onClick) {
  const made = element("button", className, text);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

export function drawn(name, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

export function icon(kind) {
  const svg = drawn("svg", { class: "icon", "aria-hidden": "true" });
  svg.append(drawn("use"));
  setIcon(svg, kind);
  return svg;
}

export function setIcon(svg, kind) {
  svg.firstElementChild.setAttribute("href", `#icon-${kind}`);
}

/// Writes a text only if it differs: an unchanged text stays selected, and a screen reader has
/// nothing to say.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
