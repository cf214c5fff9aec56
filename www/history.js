// The commands that were sent from here, newest first: {id?, command, servers, at, outcome,
// reason?, ms?, server?}. Pure: state in, state out.

import { onlyReads } from "./summary.js";

/// With this entry on top. An id stands in the list once, however often it was sent.
export function remember(state, entry) {
  return { ...state, history: [entry, ...state.history.filter((other) => !isSame(other, entry))] };
}

/// Adds the facts that are known now to the entry that has this id. If the entry is no longer
/// listed, nothing changes.
export function settle(state, id, known) {
  return { ...state, history: state.history.map((entry) => (entry.id === id ? { ...entry, ...known } : entry)) };
}

export function forget(state) {
  // An entry that is under way stays: without its id, no page could ask for the outcome later.
  return { ...state, history: state.history.filter((entry) => entry.outcome === "running" && !isInterrupted(entry)) };
}

/// Marks what a page leaves unfinished when it is closed.
export function close(state, page) {
  const mark = (entry) => (entry.outcome === "running" && entry.page === page ? { ...entry, closed: true } : entry);
  return { ...state, history: state.history.map(mark) };
}

/// Returns `true` if the attempt was under way when its page was closed. A page that crashed has
/// left no mark, but the time that it gave itself runs out.
export function isInterrupted(entry, now = Date.now()) {
  return entry.outcome === "running" && (Boolean(entry.closed) || !entry.page || !(entry.until > now));
}

/// Returns `true` if the outcome is still open, as far as this page knows. A command that only
/// reads has no effect in any case.
export function isOpen(entry, page) {
  return Boolean(entry.id) && !onlyReads(entry.command) && (entry.outcome === "unknown" || (entry.outcome === "running" && entry.page !== page));
}

function isSame(a, b) {
  return a.id ? a.id === b.id : !b.id && a.at === b.at;
}
