// The package says so if there is no browser. Tests of www/pkg, as it is published.

import assert from "node:assert/strict";
import test from "node:test";

import * as client from "../../www/pkg/index.js";

test("the package exports this and nothing else", () => {
  const exported = ["BellwetherError", "execute", "fromExtendedJson", "init", "outcome", "parseServers", "toExtendedJson"];
  assert.deepEqual(Object.keys(client).sort(), exported);
});

test("without WebSocket a command is refused before anything is done, and says what is missing", async () => {
  // Newer versions of Node.js have one.
  delete globalThis.WebSocket;
  const error = await client.execute("127.0.0.1:1", { count: "notes" }).catch((error) => error);
  assert(error instanceof client.BellwetherError);
  assert.equal(error.name, "BellwetherError");
  assert.equal(error.code, "no_websocket");
  assert.equal(error.outcome, "not_executed");
  assert.match(error.message, /WebSocket/);
  assert.deepEqual(error.attempts, []);
});
