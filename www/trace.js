// One row for each server: what happened there, and how long it took.

import { element, icon, setIcon, setText } from "./dom.js";
import { milliseconds } from "./time.js";
import { cut, ended, underWay } from "./words.js";

const TICK_MS = 50;
/// For a person who does not want things to move.
const CALM_TICK_MS = 1000;
const calm = globalThis.matchMedia?.("(prefers-reduced-motion: reduce)");

export class Trace {
  #list;
  #note;
  #rows = [];
  #frame = 0;
  #passes = 0;

  constructor(list, note) {
    this.#list = list;
    this.#note = note;
  }

  start(urls) {
    this.#passes = 0;
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
        this.#passes = event.pass;
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
    setText(this.#note, this.#passes > 1 ? `${this.#passes} passes over the list` : "");
  }

  /// Lets the milliseconds of running tries run.
  #tick() {
    if (this.#frame) return;
    let shown = 0;
    const step = (now) => {
      const running = this.#rows.filter((row) => row.isRunning);
      if (now - shown >= (calm.matches ? CALM_TICK_MS : TICK_MS)) {
        shown = now;
        for (const row of running) row.tick();
      }
      this.#frame = running.length > 0 ? requestAnimationFrame(step) : 0;
    };
    this.#frame = requestAnimationFrame(step);
  }
}

class Row {
  #began = 0;
  #kind = "";
  /// Results of the tries at this server so far. Equal results share one entry:
  /// `{kind, title, ms, times}`.
  #ends = [];

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
    this.earlier.setAttribute("aria-label", "Before that");
    this.earlier.hidden = true;
    const where = element("span", "where");
    where.append(this.name, this.url);
    const what = element("span", "what");
    what.append(this.title, " ", this.text);
    this.item.append(this.icon, where, this.ms, what, this.earlier);
    this.show("waiting");
  }

  get isRunning() {
    return this.#kind === "busy";
  }

  begin() {
    this.#began = performance.now();
    this.show("connecting");
  }

  greeted({ server, role }) {
    setText(this.name, cut(server));
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
    const last = this.#ends.at(-1);
    if (last?.title === words.title) Object.assign(last, { times: last.times + 1, ms: tried.ms });
    else this.#ends.push({ kind: words.kind, title: words.title, ms: tried.ms, times: 1 });
    this.#set(tried.code, words);
    this.ms.removeAttribute("aria-hidden");
    setText(this.ms, milliseconds(tried.ms));
    if (tried.server) setText(this.name, cut(tried.server));
  }

  finish() {
    if (this.item.dataset.state === "waiting") this.show("not_asked");
  }

  /// Keeps earlier tries with other ends in sight: an outcome that they left unknown is part of the
  /// story.
  #showEarlier(title) {
    const earlier = this.#ends.filter((end) => end.title !== title);
    const items = earlier.map(({ kind, title: before, ms, times }) => {
      const item = element("li");
      item.dataset.kind = kind;
      const what = kind === "unknown" ? `${before}: it had the command, but no answer came` : before;
      item.append(icon(kind), element("span", "", times > 1 ? `${what} (×${times})` : `${what} (${milliseconds(ms)})`));
      return item;
    });
    this.earlier.replaceChildren(...items);
    this.earlier.hidden = items.length === 0;
  }

  #set(state, { kind, title, text }) {
    this.#kind = kind;
    this.item.dataset.state = state;
    this.item.dataset.kind = kind;
    // Read out when it has come to something, not at every step.
    this.item.setAttribute("aria-busy", kind === "busy");
    setIcon(this.icon, kind);
    setText(this.title, title);
    const times = this.#ends.find((end) => end.title === title)?.times ?? 1;
    setText(this.text, times > 1 && kind !== "busy" ? `${text}${text && " "}(×${times})` : text);
    this.#showEarlier(title);
  }
}

function hostOf(url) {
  const { protocol, host } = new URL(url);
  return protocol === "wss:" ? `wss://${host}` : host;
}
