// A reply as a tree. A reply can have 30 MB and a hundred levels, so a row exists only once it is
// looked at. The rows are one flat list, each with its level:
// https://www.w3.org/WAI/ARIA/apg/patterns/treeview/

import { element, icon, setIcon } from "./dom.js";
import { read, shown } from "./extended_json.js";

/// Number of parts that are shown at a time.
const CHUNK = 100;
/// Highest number of rows with which a reply opens.
const FIRST_ROWS = 150;
/// Deeper levels are indented no further, and say which they are. The style sheet has as many.
const DEEPEST_INDENT = 12;
/// Longer texts are cut until asked for.
const LONGEST_TEXT = 2000;
const LONGEST_PREVIEW = 120;
/// A preview reads no part that has more characters.
const LONGEST_PREVIEWED = 10_000;
/// Largest number of characters of the values that are open at first, beyond the first level. To
/// make a row, all of its value is read.
const OPENED_BY_ITSELF = 2_000_000;

export class Tree {
  #box;
  #nodes = new WeakMap();
  #relaxed = true;

  constructor(box) {
    this.#box = box;
    box.addEventListener("keydown", (event) => this.#key(event));
    box.addEventListener("click", (event) => this.#click(event));
    box.addEventListener("focusin", ({ target }) => this.#nodes.has(target) && this.#mark(target));
  }

  show(text, relaxed) {
    this.#relaxed = relaxed;
    const rows = this.#top(read(text));
    this.#box.replaceChildren(...rows);
    if (rows.length > 0) rows[0].tabIndex = 0;
    this.#openFirst(rows);
  }

  clear() {
    this.#box.replaceChildren();
  }

  /// The documents that were found come first; then all of the reply.
  #top(reply) {
    const batch = reply.field("cursor")?.field("firstBatch");
    if (batch?.kind === "array") {
      const documents = { name: "documents", value: batch, isPlain: true, level: 1, at: 0, total: 2 };
      const whole = { name: "whole reply", value: reply, isPlain: true, isShut: true, level: 1, at: 1, total: 2 };
      return [this.#row(documents), this.#row(whole)];
    }
    if (reply.kind === "leaf") return [this.#row({ name: "", value: reply, level: 1, at: 0, total: 1 })];
    return this.#next({ value: reply, parts: reply.parts(), count: reply.count(), level: 0 }, 0);
  }

  /// Opens level after level, as long as a whole level fits.
  #openFirst(rows) {
    let room = FIRST_ROWS;
    for (let level = rows; level.length > 0;) {
      const shut = level.filter((row) => row.ariaExpanded === "false" && !this.#nodes.get(row).isShut);
      const more = shut.reduce((sum, row) => sum + Math.min(this.#nodes.get(row).count, CHUNK), 0);
      const length = shut.reduce((sum, row) => sum + this.#lengthOf(row), 0);
      if (more > room || (level !== rows && length > OPENED_BY_ITSELF)) return;
      room -= more;
      level = shut.flatMap((row) => this.#open(row));
    }
  }

  #lengthOf(row) {
    const { value } = this.#nodes.get(row);
    return value.end - value.start;
  }

  #row(node) {
    const row = element("div", "row");
    row.setAttribute("role", "treeitem");
    row.tabIndex = -1;
    row.ariaLevel = node.level;
    row.ariaSetSize = node.total;
    row.ariaPosInSet = node.at + 1;
    if (node.level > DEEPEST_INDENT) row.append(element("span", "label", `level ${node.level}`), " ");
    this.#nodes.set(row, node);
    if (node.more) {
      row.classList.add("more");
      row.append(element("span", "", node.more));
      return row;
    }
    const { value, name } = node;
    if (name !== "") row.append(this.#name(node), " ");
    if (value.kind === "leaf") {
      row.append(...this.#leaf(node));
      return row;
    }
    node.count = value.count();
    const isArray = value.kind === "array";
    row.append(element("span", "size", isArray ? `[${node.count}]` : `{${node.count}}`), " ", element("span", "preview", this.#preview(value)));
    if (node.count > 0) {
      row.prepend(icon("shut"));
      row.ariaExpanded = "false";
    }
    return row;
  }

  #name({ name, isPlain }) {
    if (isPlain) return element("span", "name plain", name);
    // A name stands without quotes where that is plain.
    const text = typeof name === "string" && /^"[\w$.-]+"$/.test(name) ? name.slice(1, -1) : String(name);
    return element("span", "name", `${text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text}:`);
  }

  #leaf(node) {
    const { text, type, label } = shown(node.value, this.#relaxed);
    const isCut = text.length > LONGEST_TEXT && !node.isWhole;
    const value = element("span", `value ${type}`, isCut ? `${text.slice(0, LONGEST_TEXT)}…` : text);
    node.isCut = isCut;
    const parts = [value];
    if (label) parts.push(" ", element("span", "label", label));
    if (isCut) parts.push(" ", element("span", "label", `show all ${text.length} characters`));
    return parts;
  }

  /// The beginning of the content, on one line.
  #preview(value) {
    let text = "";
    for (const { name, value: part } of value.parts()) {
      if (!part.isWithin(LONGEST_PREVIEWED)) return `${text && `${text}, `}…`;
      const inside = part.kind === "leaf" ? shown(part, this.#relaxed).text.slice(0, LONGEST_PREVIEW) : { array: "[…]", document: "{…}" }[part.kind];
      text += `${text && ", "}${typeof name === "string" ? `${name.slice(1, -1)}: ` : ""}${inside}`;
      if (text.length > LONGEST_PREVIEW) return `${text.slice(0, LONGEST_PREVIEW)}…`;
    }
    return text;
  }

  /// Puts the first parts below the row, and gives them back.
  #open(row) {
    const node = this.#nodes.get(row);
    node.parts = node.value.parts();
    row.ariaExpanded = "true";
    setIcon(row.querySelector(".icon"), "open");
    const rows = this.#next(node, 0);
    row.after(...rows);
    return rows;
  }

  #next(node, from) {
    const rows = [];
    while (rows.length < CHUNK && from + rows.length < node.count) {
      const { name, value } = node.parts.next().value;
      rows.push(this.#row({ name, value, level: node.level + 1, at: from + rows.length, total: node.count }));
    }
    const left = node.count - from - rows.length;
    if (left > 0) {
      const at = from + rows.length;
      rows.push(this.#row({ more: `Show ${Math.min(CHUNK, left)} more of ${left}`, of: node, level: node.level + 1, at, total: node.count }));
    }
    return rows;
  }

  #shut(row) {
    for (const inner of [...this.#inside(row)]) inner.remove();
    row.ariaExpanded = "false";
    setIcon(row.querySelector(".icon"), "shut");
  }

  *#inside(row) {
    const { level } = this.#nodes.get(row);
    for (let next = row.nextElementSibling; next && this.#nodes.get(next).level > level; next = next.nextElementSibling) yield next;
  }

  #activate(row) {
    const node = this.#nodes.get(row);
    if (node.more) {
      const rows = this.#next(node.of, node.at);
      row.replaceWith(...rows);
      this.#focus(rows[0]);
    } else if (node.isCut) {
      node.isWhole = true;
      row.replaceChildren(...(node.name === "" ? [] : [this.#name(node), " "]), ...this.#leaf(node));
    } else if (row.ariaExpanded === "false") {
      this.#open(row);
    } else if (row.ariaExpanded === "true") {
      this.#shut(row);
    }
  }

  #click(event) {
    const row = event.target.closest("[role=treeitem]");
    // Selecting text is no click.
    if (!row || !getSelection().isCollapsed) return;
    this.#focus(row);
    this.#activate(row);
  }

  #key(event) {
    const row = event.target;
    if (!this.#nodes.has(row) || event.ctrlKey || event.metaKey || event.altKey) return;
    const move = {
      ArrowDown: () => row.nextElementSibling,
      ArrowUp: () => row.previousElementSibling,
      Home: () => this.#box.firstElementChild,
      End: () => this.#box.lastElementChild,
      ArrowRight: () => (row.ariaExpanded === "false" ? this.#activate(row) : row.ariaExpanded && row.nextElementSibling),
      ArrowLeft: () => (row.ariaExpanded === "true" ? this.#activate(row) : this.#parent(row)),
      Enter: () => this.#activate(row),
      " ": () => this.#activate(row),
    }[event.key];
    if (!move) return;
    event.preventDefault();
    const to = move();
    if (to) this.#focus(to);
  }

  #parent(row) {
    const { level } = this.#nodes.get(row);
    let above = row.previousElementSibling;
    while (above && this.#nodes.get(above).level >= level) above = above.previousElementSibling;
    return above;
  }

  #focus(row) {
    this.#mark(row);
    row.focus();
  }

  /// Tab comes to one row only: the last one that had the focus.
  #mark(row) {
    for (const other of this.#box.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
    row.tabIndex = 0;
  }
}
