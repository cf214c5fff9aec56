// The outcome of the command, in words: {outcome, title, reason, hint, again}. `again` names the
// ways on that the page offers: "check", "same", "new".

import { onlyReads } from "./summary.js";
import { ago, milliseconds } from "./time.js";
import { cut, sentence } from "./words.js";

export const NOTHING = verdict("none", "Nothing sent yet", "The outcome of a command appears here: executed, not executed, or unknown.");

export function running({ kind, id }) {
  if (kind === "check") return verdict("running", "Asking what became of it", "Nothing is executed by that.");
  return verdict("running", "Under way", id
    ? "Sent again with the same id, so that it is executed once."
    : "Each server is tried in turn until the coordinator executes it.");
}

export function executed(answer, took) {
  const { replayed, epoch } = answer;
  const by = `By ${nameOf(answer)} in epoch ${epoch}, ${milliseconds(took)} after it was sent.`;
  if (!replayed) return verdict("executed", "Executed", by);
  return verdict("executed", "Executed before, once", `Answered ${lowered(by)}`,
    "This is the reply of its first execution. It was not executed again.");
}

export function outcomeResult(answer, command) {
  const { outcome, epoch, resultText } = answer;
  const by = nameOf(answer);
  if (outcome === "executed") {
    const kept = resultText === undefined ? "Its reply was not kept." : "Its reply is below.";
    return verdict("executed", "Executed, once", `${by} says: it was executed in epoch ${epoch}.`, kept);
  }
  if (onlyReads(command)) {
    return verdict("not_executed", "No reply", `${by} has no record of it.`,
      "Commands that only read are not recorded. Send it again: it changes nothing.");
  }
  if (outcome === "unknown") {
    return verdict("unknown", "Waiting in a queue", `${by} has it and may execute it at any moment.`,
      "Check again in a moment.", ["check", "same", "new"]);
  }
  return verdict("not_executed", "Not executed until now", `${by} has no record of it.`,
    "A try that is still on its way could execute it later. To be sure, send it again with the same id.", ["check", "same", "new"]);
}

export function failure(error, { kind, id, command }) {
  const { outcome, reason } = classified(error, id);
  if (outcome === "unknown" && onlyReads(command ?? "")) return unanswered(sentence(reason));
  const ways = id || error.id ? waysOn(outcome, error.code, kind) : [];
  return verdict(outcome, TITLES[outcome], sentence(reason), hintOf(error, outcome, kind, ways), ways);
}

export function refusal(error) {
  const reason = error.line ? `The command has a mistake in line ${error.line}, column ${error.column}.` : sentence(error.reason);
  return verdict("not_executed", "Not sent", reason, "Nothing has left this page. Correct it and send it again.");
}

/// A command that only reads never has an effect: there is nothing to settle.
function unanswered(reason) {
  return verdict("not_executed", "No reply", reason, "The command only reads, so it has had no effect. Send it again.");
}

/// For a command of the history whose outcome is not settled yet.
export function unsettled({ outcome, reason, at }) {
  const isInterrupted = outcome === "running";
  return verdict("unknown", isInterrupted ? "Unknown: the page was closed" : "Unknown",
    isInterrupted ? `Sent ${ago(Date.now() - at)}; it was under way when the page was closed.` : reason ?? "",
    "It may or may not have been executed. Settle it in one of these ways:", ["check", "same", "new"]);
}

const TITLES = { not_executed: "Not executed", unknown: "Unknown", executed: "Executed, but without its reply" };

/// An error that is not the client's own says nothing: the page itself has failed at an
/// unknown step.
function classified(error, id) {
  if (error.outcome) return { outcome: error.outcome, reason: error.reason };
  return { outcome: id ? "unknown" : "not_executed", reason: `the page failed: ${error.message}` };
}

function waysOn(outcome, code, kind) {
  if (outcome === "unknown") return ["check", "same", "new"];
  // The one reply that was too large to be kept cannot be had again.
  if (outcome === "executed" && code !== "reply_not_kept") return ["same"];
  return kind === "check" ? ["check", "same", "new"] : [];
}

function hintOf(error, outcome, kind, ways) {
  if (kind === "check") return "So nothing is known yet about the command. Check again, or send it again with the same id.";
  if (outcome === "unknown" && ways.length > 0) return "It may or may not have been executed. Settle it in one of these ways:";
  const { index, command } = error.mongo ?? {};
  const place = [
    command === undefined ? "" : `It was command ${command + 1} of the list.`,
    index === undefined ? "" : `It was entry ${index + 1} of the command.`,
  ];
  return [...place, cut(error.hint ?? "")].filter(Boolean).join(" ");
}

/// The server that answered, by its own name.
export function nameOf({ server, attempts }) {
  return cut(attempts.find(({ url, server: name }) => url === server && name)?.server ?? server);
}

function lowered(text) {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function verdict(outcome, title, reason, hint = "", again = []) {
  return { outcome, title, reason, hint, again };
}
