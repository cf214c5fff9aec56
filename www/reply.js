// MongoDB's reply: the tree, the switch between its two forms, Copy and Save.

import { byId, element, setText } from "./dom.js";
import { print, read } from "./extended_json.js";
import { summary } from "./summary.js";
import { Tree } from "./tree.js";

/// A longer reply is copied as it was received: to indent it takes long, and makes several times as
/// much of it.
const LONGEST_PRINTED = 4_000_000;
const KEPT_MS = 60_000;

export class Reply {
  #storage;
  #tree = new Tree(byId("result"));
  #text = "";

  constructor(storage) {
    this.#storage = storage;
    const relaxed = byId("relaxed");
    relaxed.checked = storage.read().form !== "canonical";
    relaxed.addEventListener("change", () => {
      storage.update((state) => ({ ...state, form: this.#form }));
      this.#draw();
    });
    byId("copy").addEventListener("click", () => this.#copy());
    byId("save").addEventListener("click", () => save(this.#text));
    this.#draw();
  }

  show(command, text) {
    this.#put(text, summary(command, text));
  }

  /// Shows the details of an error of MongoDB, a document in canonical Extended JSON.
  showDetails(text) {
    this.#put(text, "Details of MongoDB's error");
  }

  clear() {
    this.#put("", "");
  }

  #put(text, note) {
    this.#text = text;
    setText(byId("result-note"), note);
    this.#draw();
  }

  get #form() {
    return byId("relaxed").checked ? "relaxed" : "canonical";
  }

  #draw() {
    byId("result").dataset.form = this.#form;
    byId("result").hidden = !this.#text;
    byId("result-empty").hidden = Boolean(this.#text);
    byId("reply-tools").hidden = !this.#text;
    if (this.#text) this.#tree.show(this.#text, this.#form === "relaxed");
    else this.#tree.clear();
  }

  async #copy() {
    const copy = byId("copy");
    const printed = this.#text.length <= LONGEST_PRINTED && print(read(this.#text), this.#form === "relaxed", LONGEST_PRINTED);
    const text = printed || this.#text;
    const isCopied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    setText(copy, isCopied || copyOld(text) ? "Copied" : "Not allowed");
    setTimeout(() => setText(copy, "Copy"), 1500);
  }
}

/// As a file, exactly as it was received.
function save(text) {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "reply.json";
  link.click();
  // The download has begun by then, and holds what it needs.
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}

/// Without a secure origin there is no clipboard but the old one.
function copyOld(text) {
  const put = (event) => {
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  };
  document.addEventListener("copy", put, { once: true });
  const isCopied = document.execCommand("copy");
  document.removeEventListener("copy", put);
  return isCopied;
}
