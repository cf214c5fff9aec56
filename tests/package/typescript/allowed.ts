// Code that an app may write; it is compiled, not run.

import * as client from "bellwether-web-client";
import {
  BellwetherError, execute, fromExtendedJson, init, outcome, parseServers, toExtendedJson,
  type AskOptions, type ClientCode, type CommandDocument, type ErrorDetails, type Executed, type ExecuteOptions, type OutcomeResult,
  type MongoError, type Outcome, type ProgressEvent, type Attempt, type WriteError,
} from "bellwether-web-client";

// Everything the package exports, and nothing else.
export const everything: Record<keyof typeof client, true> = {
  BellwetherError: true,
  execute: true,
  fromExtendedJson: true,
  init: true,
  outcome: true,
  parseServers: true,
  toExtendedJson: true,
};

await init();
await init("/client.wasm");
await init(new URL("client.wasm", import.meta.url));
await init(fetch("/client.wasm"));
await init(new Uint8Array([0]));
await init(new WebAssembly.Module(new Uint8Array([0])));

const list: readonly string[] = parseServers("127.0.0.1:7001, 127.0.0.1:7002");
const command: CommandDocument = { insert: "notes", documents: [{ n: 1n, at: new Date(), bytes: new Uint8Array() }] };
interface Find {
  find: string;
  filter: { n: number };
}
const find = { find: "notes", filter: { n: 1 } } satisfies Find;

const options: ExecuteOptions = {
  timeoutMs: 1000,
  id: "01a202eb-d594-7f1c-81ad-fe9a6f53dd9f",
  cluster: "demo",
  first: list[0],
  signal: AbortSignal.timeout(1000),
  onEvent: (event) => console.log(told(event)),
};
const maybe: AskOptions = { timeoutMs: undefined, signal: undefined, onEvent: undefined };

const executed: Executed = await execute(list, command, options);
await execute("127.0.0.1:7001", '{"count": "notes"}');
await execute(["127.0.0.1:7001"], find, maybe);
const first: { text: string } = executed.result.cursor.firstBatch[0];
const texts: string[] = [executed.id, executed.server, executed.resultText, first.text];
const epoch: number = executed.epoch;
const replayed: boolean = executed.replayed;

const outcomeResult: OutcomeResult = await outcome(list, executed.id, maybe);
const since: number | undefined = outcomeResult.epoch;
const outcomeText: string | undefined = outcomeResult.resultText;

const text: string = toExtendedJson({ n: 1n });
const value: unknown = fromExtendedJson(text);

function told(event: ProgressEvent): string {
  switch (event.type) {
    case "pass":
      return `pass ${event.pass.toFixed()}`;
    case "trying":
      return `${event.index} ${event.url.trim()}`;
    case "connected":
      return `${event.index}`;
    case "greeted":
      return `${event.index} ${event.server} ${event.cluster} ${event.role} ${event.epoch ?? 0}`;
    case "sent":
      return `${event.index} ${event.id}`;
    case "ended":
      return `${event.index} ${said(event)}`;
    case "pausing":
      return `${event.ms} ms`;
    default:
      // There is no other.
      return event satisfies never;
  }
}

function said(tried: Attempt): string {
  const server: string | undefined = tried.server;
  const known: ClientCode = "unreachable";
  return [tried.url, server, tried.pass, tried.hinted, tried.sent, tried.ms, tried.code === known, tried.outcome, tried.text]
    .join(" ");
}

function writeError({ index, code, errmsg, errInfo, keyValue }: WriteError): string {
  return `${index.toFixed()} ${code.toFixed()} ${errmsg.trim()} ${String(errInfo?.failingDocumentId)} ${String(keyValue?.email)}`;
}

const fromMongodb: MongoError = { code: 121, codeName: "DocumentValidationFailure", message: "m", errInfo: {} };

try {
  await execute(list, find);
} catch (error) {
  if (!(error instanceof BellwetherError)) throw error;
  const what: Outcome = error.outcome;
  const advice: Record<Outcome, string> = { not_executed: "again", unknown: "ask", executed: "no more" };
  const id: string | undefined = error.id;
  const mongo: number | undefined = error.mongo?.code;
  const place: (number | string | undefined)[] = [error.line, error.column, error.path];
  console.log(error.name, error.message, error.code, error.reason, error.hint, advice[what], id, mongo, place);
  const details: [unknown, unknown, unknown, string | undefined] =
    [error.mongo?.errInfo?.details, error.mongo?.keyPattern?.a, error.mongo?.keyValue?.a, error.mongo?.detailsText];
  const statements: string[] | undefined = error.mongo?.writeErrors?.map(writeError);
  console.log(details, statements);
  console.log(error.attempts.map(said), error.mongo?.codeName, error.mongo?.message, error.mongo?.index, error.mongo?.command);
}

export const detailed: ErrorDetails = fromMongodb;
export { epoch, outcomeText, replayed, since, texts, value };
