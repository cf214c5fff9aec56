// The JavaScript face of the client. The logic is in the WebAssembly module. This file has the
// parts that only JavaScript has: loading the module, errors, signals.

import load, * as wasm from "./bellwether_web_client.js";
import { fromExtendedJson, toExtendedJson } from "./extended_json.js";

export { fromExtendedJson, toExtendedJson };

const MODULE = "bellwether_web_client_bg.wasm";

let loading;

/** Loads the WebAssembly module, once. The other functions do so by themselves. */
export function init(module) {
  loading ??= start(module).catch((error) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function start(module) {
  if (typeof WebSocket !== "function") {
    throw refusal("no_websocket", "this runtime has no WebSocket", "Use a browser, Node.js 22 or newer, Deno or Bun.");
  }
  // Node.js 22 has none. The module takes its listener off a socket by such an event of its own.
  globalThis.CloseEvent ??= class CloseEvent extends Event { code = 0; reason = ""; wasClean = false; };
  try {
    const source = await module;
    await load(readFrom(source ?? new URL(MODULE, import.meta.url)) ?? (source && { module_or_path: source }));
  } catch (error) {
    throw refusal("module", `the client's WebAssembly module cannot be loaded: ${error.message}`,
      "Serve bellwether_web_client_bg.wasm next to index.js, and allow 'wasm-unsafe-eval' in script-src.");
  }
}

/** Reads a file's bytes in Node.js, whose `fetch` reads none. */
function readFrom(source) {
  // Not by an import, which bundlers for browsers would follow.
  const files = globalThis.process?.getBuiltinModule?.("node:fs/promises");
  return files && /^file:/.test(source) ? { module_or_path: files.readFile(new URL(source)) } : undefined;
}

/** The error with which a promise is rejected. It has the outcome of the command. */
export class BellwetherError extends Error {
  constructor({ message, ...fields }) {
    super(message);
    Object.assign(this, fields);
  }
}
BellwetherError.prototype.name = "BellwetherError";

function refusal(code, reason, hint, more) {
  return new BellwetherError({ message: reason, code, outcome: "not_executed", reason, hint, attempts: [], ...more });
}

// The coordinator that answered last is the best guess for the next command.
let coordinator;

/** Passes a command along the list of servers until one executes it. */
export async function execute(servers, command, options) {
  return ask(servers, textOf(command), options);
}

/** Asks for the outcome of the command with this id. Executes nothing. */
export async function outcome(servers, id, options) {
  return ask(servers, undefined, { ...options, id: String(id) });
}

async function ask(servers, command, options = {}) {
  await init();
  const { timeoutMs = 30_000, id, cluster, first = coordinator, signal, onEvent } = options;
  // The module puts a function here that ends the attempt, and takes it away at the end.
  const attempt = {};
  const stop = () => attempt.stop?.();
  const answer = new Promise((resolve, reject) => {
    const tell = (json, answered, resultText) => {
      const fields = JSON.parse(json);
      if (answered) resolve(withResult(fields, resultText));
      else if (answered === false) reject(new BellwetherError(withDetails(fields)));
      else notify(onEvent, fields);
    };
    try {
      wasm.start([servers].flat().join("\n"), command, timeoutMs, id, cluster, first, tell, attempt);
    } catch (error) {
      reject(thrown(error));
    }
  });
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop);
  try {
    const answered = await answer;
    coordinator = answered.server;
    return answered;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

function notify(onEvent, event) {
  try {
    onEvent?.(event);
  } catch (error) {
    // A listener's mistake is the listener's: the command goes on.
    if (typeof reportError === "function") reportError(error);
    // Node.js has no such function: there it becomes an uncaught exception.
    else queueMicrotask(() => { throw error; });
  }
}

/** The module throws the fields of an error as text. */
function thrown(error) {
  return typeof error === "string" ? new BellwetherError(JSON.parse(error)) : error;
}

/** Adds the details of MongoDB's error as values. */
function withDetails(fields) {
  try {
    Object.assign(fields.mongo ?? {}, fromExtendedJson(fields.mongo?.detailsText ?? "{}"));
  } catch {
    // Nested too deep for JavaScript's own reader, as nothing in MongoDB is. The text has them.
  }
  return fields;
}

/** The reply as text and, read when it is first asked for, as a value. */
function withResult(answer, resultText) {
  if (resultText === undefined) return answer;
  let value;
  answer.resultText = resultText;
  Object.defineProperty(answer, "result", {
    enumerable: true,
    get: () => (value ??= fromExtendedJson(resultText)),
  });
  return answer;
}

/**
 * Reads a list of servers as people write it, and returns their full URLs, each place once. Needs
 * `init`.
 */
export function parseServers(text) {
  try {
    return wasm.parseServers(text).split("\n");
  } catch (error) {
    throw thrown(error);
  }
}

function textOf(command) {
  try {
    return typeof command === "string" ? command : toExtendedJson(command);
  } catch ({ message, path }) {
    throw refusal("bad_command", message, "Nothing was sent. Correct it and try again.", { path });
  }
}
