// What a reply says, in one line.

import { digits, read, unquoted } from "./extended_json.js";

/// The commands that only read. Such a command is not recorded, so nobody can say later whether it ran.
const READS = new Set(["find", "aggregate", "count", "distinct", "listCollections", "listIndexes"]);

/// The first field, which is the command's name.
export function commandName(command) {
  try {
    const { name } = read(command).parts().next().value;
    return typeof name === "string" ? unquoted(name) : "";
  } catch {
    return "";
  }
}

export function onlyReads(command) {
  return READS.has(commandName(command));
}

/// For people; empty if there is nothing to say about it.
export function summary(command, resultText) {
  const reply = read(resultText);
  const number = (name) => digits(reply.field(name));
  const batch = reply.field("cursor")?.field("firstBatch");
  const results = reply.field("results");
  const values = reply.field("values");
  if (batch?.kind === "array") return several(batch.count(), "document");
  if (results?.kind === "array") return `${several(results.count(), "command")}, executed as one`;
  if (values?.kind === "array") return several(values.count(), "value");
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

function several(count, name) {
  const grouped = String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return `${grouped} ${name}${String(count) === "1" ? "" : "s"}`;
}
