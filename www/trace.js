// One row for each server: what happened there, and how long it took.

import { element, icon, setIcon, setText } from "./dom.js";
import { milliseconds } from "./time.js";
import { ended, underWay } from "./words.js";

export class Trace {
  #list;
  #note;
  #rows = [];
  #frame = 0;

  constructor(list, note) {
    this.#list = list;
    this.#note = note;
  }

  start(urls) {
    setText(this.#note, "");
    this.#rows = urls.map((url) => new Row(url));
    this.#list.replaceChildren(...this.#rows.map((row) => row.item));
  }

  clear() {
    this.start([]);
  }

  handle(event) {
    const row = this.#rows[event.index];
    switch (event.type) {
      case "pass":
        setText(this.#note, event.pass > 1 ? `Pass ${event.pass} over the list` : "");
        break;
      case "trying":
        row.begin();
        this.#tick();
        break;
      case "connected":
        row.show("greeting");
        break;
      case "greeted":
        row.greeted(event);
        break;
      case "sent":
        row.show("sent");
        break;
      case "ended":
        row.end(event);
        break;
      case "pausing":
        setText(this.#note, `Nobody could execute it; again in ${milliseconds(event.ms)}`);
        break;
    }
  }

  finish() {
    for (const row of this.#rows) row.finish();
    if (this.#note.textContent.startsWith("Nobody")) setText(this.#note, "");
  }

  /// Lets the milliseconds of running tries run.
  #tick() {
    if (this.#frame) return;
    const step = () => {
      const running = this.#rows.filter((row) => row.isRunning);
      for (const row of running) row.tick();
      this.#frame = running.length > 0 ? requestAnimationFrame(step) : 0;
    };
    this.#frame = requestAnimationFrame(step);
  }
}

class Row {
  #began = 0;
  #kind = "";
  #last = null;

  constructor(url) {
    this.item = element("li");
    this.item.dataset.server = url;
    // Read out as a whole when a part changes, so that a state is never heard without its server.
    this.item.setAttribute("aria-atomic", "true");
    this.icon = icon("waiting");
    this.name = element("span", "name");
    this.url = element("span", "url", hostOf(url));
    this.url.title = url;
    this.ms = element("span", "ms");
    this.title = element("strong");
    this.text = element("span");
    this.earlier = element("ol", "earlier");
    this.earlier.setAttribute("aria-label", "Earlier tries at this server");
    this.earlier.hidden = true;
    const where = element("span", "where");
    where.append(this.name, this.url);
    const what = element("span", "what");
    what.append(this.title, this.text);
    this.item.append(this.icon, where, this.ms, what, this.earlier);
    this.show("waiting");
  }

  get isRunning() {
    return this.#kind === "busy";
  }

  begin() {
    if (this.#last) this.#keep(this.#last);
    this.#last = null;
    this.#began = performance.now();
    this.show("connecting");
  }

  greeted({ server, role }) {
    setText(this.name, server);
    this.show("greeted");
    if (role === "coordinator") setText(this.text, "as the coordinator");
  }

  show(state) {
    this.#set(state, underWay(state));
    setText(this.ms, "");
  }

  /// Too quick to be read out: only the last word is.
  tick() {
    this.ms.setAttribute("aria-hidden", "true");
    setText(this.ms, milliseconds(performance.now() - this.#began));
  }

  end(tried) {
    const words = ended(tried);
    this.#last = { ...words, ms: tried.ms };
    this.#set(tried.code, words);
    this.ms.removeAttribute("aria-hidden");
    setText(this.ms, milliseconds(tried.ms));
    if (tried.server) setText(this.name, tried.server);
  }

  finish() {
    if (this.item.dataset.state === "waiting") this.show("not_asked");
  }

  /// An earlier try stays in sight: what it left unknown is part of the story.
  #keep({ kind, title, ms }) {
    const last = this.earlier.lastElementChild;
    if (last?.dataset.title === title) {
      last.dataset.times = Number(last.dataset.times) + 1;
      setText(last.lastElementChild, `${title} ×${last.dataset.times}`);
      return;
    }
    const item = element("li");
    Object.assign(item.dataset, { kind, title, times: 1 });
    item.append(icon(kind), element("span", "", `${title}, ${milliseconds(ms)}`));
    this.earlier.append(item);
    this.earlier.hidden = false;
  }

  #set(state, { kind, title, text }) {
    this.#kind = kind;
    this.item.dataset.state = state;
    this.item.dataset.kind = kind;
    setIcon(this.icon, kind);
    setText(this.title, title);
    setText(this.text, text);
  }
}

function hostOf(url) {
  const { protocol, host } = new URL(url);
  return protocol === "wss:" ? `wss://${host}` : host;
}
