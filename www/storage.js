// The value that this browser keeps between visits. The page reads it again before every change,
// because another tab may have changed it. Without storage, or with a full one, the page keeps it
// in memory and works all the same.

const KEY = "bellwether";
const VERSION = 1;
export const LONGEST_HISTORY = 50;
/// The last moment that a Date holds.
const LAST_MS = 8.64e15;

export class Storage {
  #area;
  #memory = empty();
  /// `true` if memory holds more than the browser does, because writing has failed.
  #ahead = false;

  constructor(area = available()) {
    this.#area = area;
  }

  read() {
    if (!this.#area || this.#ahead) return this.#memory;
    const { state } = parse(this.#area.getItem(KEY));
    if (state) this.#memory = state;
    return this.#memory;
  }

  /// Changes it by a function that gets the newest state and returns the next one.
  update(change) {
    const next = change(this.read());
    this.#memory = { ...next, version: VERSION, history: next.history.slice(0, LONGEST_HISTORY) };
    this.#ahead = !this.#write();
  }

  /// Calls back when another tab has changed it.
  watch(onChange) {
    globalThis.addEventListener?.("storage", ({ key }) => {
      if (key === KEY || key === null) onChange();
    });
  }

  #write() {
    // A newer page's state is not ours to overwrite.
    if (!this.#area || parse(this.#area.getItem(KEY)).isNewer) return false;
    // Old entries go first when there is no room.
    for (let { history } = this.#memory; ; history = history.slice(0, Math.floor(history.length / 2))) {
      try {
        this.#area.setItem(KEY, JSON.stringify({ ...this.#memory, history }));
        this.#memory = { ...this.#memory, history };
        return true;
      } catch {
        if (history.length <= 1) return false;
      }
    }
  }
}

function empty() {
  return { version: VERSION, history: [] };
}

function available() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    // Forbidden by the user's settings.
    return null;
  }
}

function parse(text) {
  if (text === null) return { state: empty() };
  try {
    const found = JSON.parse(text);
    if (found?.version > VERSION) return { isNewer: true };
    return { state: sound(found) };
  } catch {
    return { state: empty() };
  }
}

/// Keeps the parts that have the expected form, from any writer.
function sound(found) {
  const state = empty();
  if (typeof found !== "object" || found === null) return state;
  for (const name of ["servers", "coordinator", "form", "draft"]) {
    if (typeof found[name] === "string") state[name] = found[name];
  }
  if (Array.isArray(found.drafts)) state.drafts = found.drafts.filter((text) => typeof text === "string");
  if (Array.isArray(found.history)) state.history = found.history.filter(isEntry).slice(0, LONGEST_HISTORY);
  return state;
}

function isEntry(entry) {
  const isTextOrAbsent = (value) => value === undefined || typeof value === "string";
  return typeof entry === "object" && entry !== null && typeof entry.command === "string"
    && Number.isFinite(entry.at) && Math.abs(entry.at) <= LAST_MS && (entry.ms === undefined || Number.isFinite(entry.ms))
    && Array.isArray(entry.servers) && entry.servers.every((url) => typeof url === "string")
    && ["running", "executed", "not_executed", "unknown"].includes(entry.outcome)
    && [entry.id, entry.reason, entry.server, entry.cluster, entry.page].every(isTextOrAbsent);
}
