// Code that the types keep an app from writing. Each of these lines has an error, and a line
// without one is an error, too.

import { BellwetherError, execute, outcome, parseServers, toExtendedJson } from "bellwether-web-client";

const servers = "127.0.0.1:7001";

// @ts-expect-error A command is needed.
await execute(servers);
// @ts-expect-error Servers are text.
await execute(7001, {});
// @ts-expect-error A number is no command.
await execute(servers, 1);
// @ts-expect-error It is called timeoutMs.
await execute(servers, {}, { timeout: 1000 });
// @ts-expect-error Milliseconds are a number.
await execute(servers, {}, { timeoutMs: "1000" });
// @ts-expect-error The controller's signal, not the controller.
await execute(servers, {}, { signal: new AbortController() });
// @ts-expect-error There is no such event.
await execute(servers, {}, { onEvent: (event) => event.type === "finished" });
// @ts-expect-error The id is not known before it is sent.
await execute(servers, {}, { onEvent: (event) => event.id });
// @ts-expect-error The id is the second argument.
await outcome(servers, "01a202eb-d594-7f1c-81ad-fe9a6f53dd9f", { id: "01a202eb-d594-7f1c-81ad-fe9a6f53dd9f" });
// @ts-expect-error The list may be empty.
parseServers(servers)[0].trim();
// @ts-expect-error It is text.
toExtendedJson({}).n;

const executed = await execute(servers, {});
// @ts-expect-error An answer stays as it is.
executed.id = "";
// @ts-expect-error It was executed; there is no other outcome.
executed.outcome;
const outcomeResult = await outcome(servers, executed.id);
// @ts-expect-error It need not have been executed.
outcomeResult.epoch.toFixed();
// @ts-expect-error There is no such outcome.
outcomeResult.outcome === "failed";

// @ts-expect-error Only the client makes these.
const error = new BellwetherError();
// @ts-expect-error Not every error has an id.
error.id.trim();
// @ts-expect-error Nor has MongoDB always said something.
error.mongo.code.toFixed();
