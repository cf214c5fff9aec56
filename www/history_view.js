// The list of earlier commands.

import { button, element, icon } from "./dom.js";
import { isInterrupted, isOpen } from "./history.js";
import { ago, milliseconds } from "./time.js";
import { OUTCOMES } from "./words.js";

const KINDS = { executed: "done", not_executed: "failed", unknown: "unknown", running: "busy" };

/// Shows the entries; `actions` are put(entry), check(entry), sendSame(entry).
export function showHistory(list, entries, { page, isBusy }, actions) {
  const focused = placeOf(list, document.activeElement);
  list.replaceChildren(...entries.map((entry) => row(entry, page, isBusy, actions)));
  if (focused) find(list, focused)?.focus();
}

function row(entry, page, isBusy, actions) {
  const item = element("li");
  item.dataset.id = entry.id ?? "";
  item.dataset.outcome = entry.outcome;
  const state = described(entry, page);
  item.dataset.kind = state.kind;

  const put = button("put", undefined, () => actions.put(entry));
  put.title = entry.command.length > 2000 ? `${entry.command.slice(0, 2000)}…` : entry.command;
  const facts = element("span", "facts");
  facts.append(element("strong", "", state.word), when(entry.at));
  if (entry.server) facts.append(element("span", "", entry.server));
  if (entry.ms !== undefined) facts.append(element("span", "", milliseconds(entry.ms)));
  const id = element("code", "id", entry.id ? shortened(entry.id) : "no id");
  if (entry.id) id.title = entry.id;
  facts.append(id);
  put.append(element("code", "text", oneLine(entry.command)), facts);
  item.append(icon(state.kind), put);

  if (isOpen(entry, page) && !isBusy) {
    const ways = element("span", "ways");
    ways.append(
      button("small", "Check outcome", () => actions.check(entry)),
      button("small", "Send again with the same id", () => actions.sendSame(entry)),
    );
    item.append(ways);
  }
  return item;
}

function described(entry, page) {
  if (entry.outcome !== "running" || entry.page === page) return { kind: KINDS[entry.outcome], word: OUTCOMES[entry.outcome] };
  if (isInterrupted(entry)) return { kind: "unknown", word: "Was under way when the page was closed" };
  return { kind: "busy", word: "Under way in another tab, or its page was closed" };
}

function when(at) {
  const time = element("time", "", ago(Date.now() - at));
  time.dateTime = new Date(at).toISOString();
  time.title = new Date(at).toLocaleString();
  return time;
}

function oneLine(command) {
  return command.slice(0, 400).replace(/\s+/g, " ").trim();
}

/// The random end: ids made in the same minute begin alike.
function shortened(id) {
  return `…${id.slice(-8)}`;
}

/// Returns the place of the focus, in words that survive a new list.
function placeOf(list, node) {
  const item = list.contains(node) ? node.closest("li") : null;
  return item && { id: item.dataset.id, at: [...item.parentNode.children].indexOf(item), name: node.textContent, isPut: node.className === "put" };
}

function find(list, { id, at, name, isPut }) {
  const item = [...list.children].find((other) => id && other.dataset.id === id) ?? list.children[Math.min(at, list.children.length - 1)];
  const same = !isPut && [...(item?.querySelectorAll(".ways button") ?? [])].find((other) => other.textContent === name);
  return same || item?.querySelector(".put");
}
