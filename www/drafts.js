// A text that a person has typed is never lost to a look at an example, at history or at a link.
// The person can pick it again.

import { element } from "./dom.js";

const MOST = 5;
const LONGEST_NAME = 40;

export class Drafts {
  #field;
  #select;
  #storage;
  #examples;
  /// Own texts, newest first.
  #own;
  #isOwn = false;

  constructor(field, select, storage, examples) {
    this.#field = field;
    this.#select = select;
    this.#storage = storage;
    this.#examples = examples;
    const { draft, drafts } = storage.read();
    this.#own = drafts ?? [];
    const text = draft ?? field.value;
    this.#offer();
    this.#show(text || examples[0][1]);
    field.addEventListener("input", () => this.#typed());
    select.addEventListener("change", () => {
      const chosen = this.#texts()[select.selectedIndex];
      if (chosen !== null) this.put(chosen);
    });
  }

  /// Puts another text into the field.
  put(text) {
    if (this.#isOwn) this.#keep(this.#field.value);
    this.#show(text);
    this.#storage.update((state) => ({ ...state, draft: text, drafts: this.#own }));
  }

  #typed() {
    this.#isOwn = true;
    this.#select.selectedIndex = 0;
    this.#storage.update((state) => ({ ...state, draft: this.#field.value }));
  }

  #keep(text) {
    if (!text.trim() || this.#examples.some(([, example]) => example === text)) return;
    this.#own = [text, ...this.#own.filter((other) => other !== text)].slice(0, MOST);
    this.#offer();
  }

  #show(text) {
    this.#field.value = text;
    const at = this.#texts().indexOf(text);
    this.#isOwn = at < 0;
    this.#select.selectedIndex = Math.max(at, 0);
  }

  /// The texts of the options, in their order. The first option stands for the text in the field.
  #texts() {
    return [null, ...this.#examples.map(([, text]) => text), ...this.#own];
  }

  #offer() {
    const typed = new Option("Your own");
    typed.disabled = true;
    typed.hidden = true;
    const examples = group("Examples", this.#examples.map(([name]) => name));
    const own = group("Typed before", this.#own.map(named));
    this.#select.replaceChildren(typed, examples, ...(this.#own.length > 0 ? [own] : []));
  }
}

function group(label, names) {
  const made = element("optgroup");
  made.label = label;
  made.append(...names.map((name) => new Option(name)));
  return made;
}

function named(text) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > LONGEST_NAME ? `${line.slice(0, LONGEST_NAME)}…` : line;
}
