// One row for each server: what happened there, and how long it took.

import { element, icon, setIcon } from "./dom.js";

const UNDER_WAY = {
  waiting: ["waiting", "waiting for its turn"],
  connecting: ["busy", "connecting"],
  greeting: ["busy", "connected; saying hello"],
  greeted: ["busy", "introduced itself"],
  sent: ["busy", "has the command; waiting for its answer"],
  not_asked: ["idle", "not asked"],
};

export class Trace {
  #list;
  #pass;
  #rows = [];

  constructor(list, pass) {
    this.#list = list;
    this.#pass = pass;
  }

  start(urls) {
    this.#pass.textContent = "";
    this.#rows = urls.map((url) => new Row(url));
    this.#list.replaceChildren(...this.#rows.map((row) => row.item));
  }

  handle(event) {
    const row = this.#rows[event.index];
    switch (event.type) {
      case "pass":
        this.#pass.textContent = event.pass > 1 ? `pass ${event.pass} over the list` : "";
        break;
      case "trying":
        row.show("connecting");
        break;
      case "connected":
        row.show("greeting");
        break;
      case "greeted":
        row.name(event.server);
        row.show("greeted");
        break;
      case "sent":
        row.show("sent");
        break;
      case "ended":
        row.end(event);
        break;
    }
  }

  finish() {
    for (const row of this.#rows) row.finish();
  }
}

class Row {
  constructor(url) {
    this.item = element("li");
    this.item.dataset.server = url;
    this.icon = icon("waiting");
    this.server = element("span", "name");
    const where = element("span", "url", url);
    where.append(this.server);
    this.ms = element("span", "ms");
    this.what = element("span", "what");
    this.item.append(this.icon, where, this.ms, this.what);
    this.show("waiting");
  }

  name(server) {
    this.server.textContent = `  ${server}`;
  }

  show(state) {
    const [kind, text] = UNDER_WAY[state];
    this.#set(state, kind, text);
    this.ms.textContent = "";
  }

  end(tried) {
    const followed = tried.hinted ? " (asked early, on another server’s hint)" : "";
    this.#set(tried.code, kindOf(tried), tried.text + followed);
    this.ms.textContent = `${tried.ms} ms`;
  }

  finish() {
    if (this.item.dataset.state === "waiting") this.show("not_asked");
  }

  #set(state, kind, text) {
    this.item.dataset.state = state;
    this.item.dataset.kind = kind;
    setIcon(this.icon, kind);
    this.what.textContent = text;
  }
}

function kindOf(tried) {
  if (tried.outcome === "executed") return "done";
  if (tried.outcome === "unknown") return "unknown";
  return tried.code === "not_coordinator" ? "next" : "failed";
}
