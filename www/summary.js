// The summary of a reply, in one line.

import { digits, read, unquoted } from "./extended_json.js";

/// The commands that only read. Such a command is not recorded, so no server can say later whether
/// it ran.
const READS = new Set(["find", "aggregate", "count", "distinct", "listCollections", "listIndexes"]);

/// The first field, which is the command's name.
export function commandName(command) {
  try {
    const { name } = first(read(command));
    return typeof name === "string" ? unquoted(name) : "";
  } catch {
    return "";
  }
}

/// The most characters of a number that are shown. An integer of 64 bits has 20.
const LONGEST_NUMBER = 20;

/// Returns `true` if the command has no effect, whether it is executed or not. A list of such
/// commands has none, either.
export function onlyReads(command) {
  try {
    const { name, value } = first(read(command));
    if (unquoted(name) !== "transaction") return READS.has(unquoted(name));
    if (value.kind !== "array") return false;
    let count = 0;
    for (const part of value.parts()) {
      // A list in a list is refused by the servers.
      if (!READS.has(commandName(part.value.raw))) return false;
      count += 1;
    }
    return count > 0;
  } catch {
    return false;
  }
}

function first(document) {
  return document.parts().next().value;
}

/// For people; empty if there is nothing to say about it.
export function summary(command, resultText) {
  const reply = read(resultText);
  const number = (name) => short(digits(reply.field(name)));
  // One after another: to find a field, all fields before it are read.
  const list = (value) => (value?.kind === "array" ? value.count() : undefined);
  const documents = list(reply.field("cursor")?.field("firstBatch"));
  if (documents !== undefined) return several(documents, "document");
  const results = list(reply.field("results"));
  if (results !== undefined) return `${several(results, "command")}, executed as one`;
  const values = list(reply.field("values"));
  if (values !== undefined) return several(values, "value");
  switch (commandName(command)) {
    case "insert":
      return `${several(number("n"), "document")} inserted`;
    case "delete":
      return `${several(number("n"), "document")} deleted`;
    case "update":
      return `${number("n")} matched, ${number("nModified") ?? 0} changed`;
    case "count":
      return several(number("n"), "document");
    case "findAndModify":
    case "findandmodify":
      return reply.field("value")?.raw === "null" ? "no document matched" : "1 document";
    default:
      return "";
  }
}

function short(number) {
  return number?.length > LONGEST_NUMBER ? `${number.slice(0, LONGEST_NUMBER)}…` : number;
}

function several(count, name) {
  const grouped = String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return `${grouped} ${name}${String(count) === "1" ? "" : "s"}`;
}
