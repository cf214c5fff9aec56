/**
 * Loads the WebAssembly module. The other functions do so by themselves, except
 * {@link parseServers}; call it early to have the module ready, or to say where the module is.
 *
 * @param module The place of the module, or the module itself. Next to this file unless given.
 * @throws {BellwetherError} with the code `module` if it cannot be loaded.
 */
export function init(module?: ModuleSource | Promise<ModuleSource>): Promise<void>;

/** The place of the WebAssembly module, or the module itself. */
export type ModuleSource = string | URL | Request | Response | BufferSource | WebAssembly.Module;

/**
 * Passes a command along the list of servers until one executes it. It executes once, however many
 * servers are tried: all attempts carry the same id, and the servers remember ids.
 *
 * @param servers The servers' addresses: `host:port` or `ws://host:port/v1`; as text, separated by
 * commas or blanks.
 * @param command A MongoDB command. Text is sent exactly as written; of an object, the order of
 * fields is kept and {@link toExtendedJson} writes the values. JavaScript puts fields named like
 * integers first: write such a command as text.
 * @throws {BellwetherError} with the outcome of the command.
 */
export function execute(
  servers: string | readonly string[],
  command: string | CommandDocument,
  options?: ExecuteOptions,
): Promise<Executed>;

/**
 * Asks the servers for the outcome of the command with this id. Executes nothing.
 *
 * @throws {BellwetherError} with the outcome `unknown` if no server knew it.
 */
export function outcome(servers: string | readonly string[], id: string, options?: AskOptions): Promise<OutcomeResult>;

/**
 * Reads a list of servers as people write it, and returns their full URLs, each place once. Needs
 * {@link init}.
 *
 * @throws {BellwetherError} with the code `bad_server` that says which entry is wrong.
 */
export function parseServers(text: string): string[];

/**
 * Writes a value as MongoDB Extended JSON. From every realm it takes plain objects, arrays, `Date`,
 * `RegExp` (flags i, m, s, u) and `bigint` (64 bits). From every realm it takes typed arrays of
 * single bytes, `DataView` and `ArrayBuffer`, too. It also takes the classes of the package bson,
 * and objects that have `toExtendedJSON` or `toJSON`. `NaN`, infinities, -0 and integers that are
 * not safe are written as doubles.
 *
 * @throws {TypeError} for each value without a meaning in MongoDB. These are `undefined`,
 * functions, symbols, `Map`, `Set` and other objects of a class, and objects that inherit from
 * another one. Others are values that contain themselves, values of more than 250 levels, and a
 * `Date` or `RegExp` with fields that a program has added. Its `path` is the place in the value,
 * such as `deletes[0].q.owner`; empty for the value itself. Its `cause` is the error that a getter
 * or method has thrown.
 * @throws {RangeError} with a `path` as well, for a `bigint` of more than 64 bits and a `Date` that
 * is no date.
 */
export function toExtendedJson(value: unknown): string;

/**
 * Reads MongoDB Extended JSON. 32-bit integers and doubles become a `number`. A 64-bit integer
 * becomes a `number` where that is exact, and otherwise a `bigint`. A date becomes a `Date`, or
 * `{ $date: { $numberLong: "…" } }` beyond the years that a `Date` holds. All else (`{ $oid: … }`,
 * `{ $numberDecimal: … }`, …) stays the object it is, and can be sent back as such.
 */
export function fromExtendedJson(text: string): unknown;

/** A MongoDB command: its name is the first field. */
export type CommandDocument = { readonly [field: string]: unknown };

/** Options for a question. */
export interface AskOptions {
  /**
   * The deadline of the command, for client, server and MongoDB, in milliseconds; 30 000 unless
   * given. Servers may allow less.
   */
  timeoutMs?: number | undefined;
  /** Asks only servers of the cluster with this name. */
  cluster?: string | undefined;
  /**
   * The server to try first, if it is on the list: the coordinator that answered last, unless
   * given.
   */
  first?: string | undefined;
  /**
   * Stops the attempt. A command that was sent by then has the outcome `unknown`, unless it only
   * reads.
   */
  signal?: AbortSignal | undefined;
  /** Is called, synchronously, with all that happens. */
  onEvent?: ((event: ProgressEvent) => void) | undefined;
}

/** Options for a command. */
export interface ExecuteOptions extends AskOptions {
  /**
   * The id of an earlier attempt at the same command whose outcome is unknown. The command is
   * executed if it was not yet, and otherwise its first reply comes back.
   */
  id?: string | undefined;
}

/**
 * The outcome of a command. `not_executed`: it has had no effect. `unknown`: it may have had its
 * effect, or may still have it. `executed`: it has had its effect, once, and a majority of
 * MongoDB's members has it. A command that only reads has no effect in any case.
 */
export type Outcome = "not_executed" | "unknown" | "executed";

/** A command was executed. */
export interface Executed {
  /** The command's id, a UUID of version 7. */
  readonly id: string;
  /** The epoch in which it was executed. Every coordinator has its own, larger than all before. */
  readonly epoch: number;
  /** `true` if this is the stored reply of an earlier execution. */
  readonly replayed: boolean;
  /** The URL of the server that answered. */
  readonly server: string;
  /** MongoDB's reply, as {@link fromExtendedJson} reads it; read when first looked at. */
  readonly result: any;
  /**
   * MongoDB's reply in canonical Extended JSON, as received: the order of fields and all digits are
   * kept.
   */
  readonly resultText: string;
  /** The newest try at each server; the last one brought the reply. */
  readonly attempts: readonly Attempt[];
}

/** The answer to a question for the outcome of a command. */
export interface OutcomeResult {
  /** The command's id. */
  readonly id: string;
  /**
   * The outcome at the time when the server answered. After `not_executed`, a try that is still on
   * its way may execute the command later. `unknown` says that the command waits there to be
   * executed.
   */
  readonly outcome: Outcome;
  /** The epoch in which it was executed, if it was. */
  readonly epoch?: number;
  /** The URL of the server that answered. */
  readonly server: string;
  /**
   * MongoDB's reply, as {@link fromExtendedJson} reads it, if the command was executed and its
   * reply was kept.
   */
  readonly result?: any;
  /** The same in canonical Extended JSON, as received. */
  readonly resultText?: string;
  /** The newest try at each server; the last one brought the answer. */
  readonly attempts: readonly Attempt[];
}

/** One try at one server. */
export interface Attempt {
  readonly url: string;
  /** The server's id, if it got as far as saying it. */
  readonly server?: string;
  /** In which pass over the list, counted from 1. */
  readonly pass: number;
  /** `true` if another server's hint led here. */
  readonly hinted: boolean;
  /** `true` if the command was sent. */
  readonly sent: boolean;
  /** The time it took, in milliseconds. */
  readonly ms: number;
  /** Its end: a {@link ClientCode}, or an error code of the protocol. */
  readonly code: ClientCode | (string & {});
  /** The outcome as far as this try alone shows it. */
  readonly outcome: Outcome;
  /** The events of the try, for people. */
  readonly text: string;
}

/** The ends of a try that the client itself finds. */
export type ClientCode =
  | "executed" | "answered" | "unreachable" | "connect_timeout" | "bad_endpoint" | "hello_timeout" | "closed"
  | "not_coordinator" | "wrong_cluster" | "too_large" | "lost" | "overtaken" | "cancelled";

/**
 * An event while a command is passed along. `index` is the position on the list, counted from 0.
 */
export type ProgressEvent =
  /** A pass over the list begins. */
  | { readonly type: "pass"; readonly pass: number }
  /** A connection is being opened. Several may be at a time. */
  | { readonly type: "trying"; readonly index: number; readonly url: string }
  /** It is open. */
  | { readonly type: "connected"; readonly index: number }
  /** The server has introduced itself. */
  | {
    readonly type: "greeted"; readonly index: number; readonly server: string; readonly cluster: string;
    readonly role: string; readonly epoch?: number;
  }
  /**
   * The command is about to be sent: from now on its outcome is unknown until a server answers.
   * Keep the id.
   */
  | { readonly type: "sent"; readonly index: number; readonly id: string }
  /** The try is over. */
  | ({ readonly type: "ended"; readonly index: number } & Attempt)
  /**
   * The pass is over without a decision, and the next one begins after this number of milliseconds.
   */
  | { readonly type: "pausing"; readonly ms: number };

/**
 * Details of an error of MongoDB, as {@link fromExtendedJson} reads them. Absent where MongoDB does
 * not send them.
 */
export interface ErrorDetails {
  /**
   * The reason of the refusal; for one, the rule of the collection's validation that a document
   * breaks.
   */
  readonly errInfo?: any;
  /** The fields of the unique index that has the key already, such as `{ email: 1 }`. */
  readonly keyPattern?: any;
  /** The key that the unique index has already, such as `{ email: "a@example.org" }`. */
  readonly keyValue?: any;
}

/** The error of one statement of an `insert`, `update` or `delete`, as MongoDB sends it. */
export interface WriteError extends ErrorDetails {
  /** The place of the statement in the command, counted from 0. */
  readonly index: number;
  readonly code: number;
  readonly errmsg: string;
}

/** An error of MongoDB. A detail of more than 16 KiB is left out by the server. */
export interface MongoError extends ErrorDetails {
  readonly code: number;
  readonly codeName: string;
  readonly message: string;
  /** The statement of the command that failed, counted from 0. */
  readonly index?: number;
  /** The command of a list that failed, counted from 0. */
  readonly command?: number;
  /** The errors of statements, if it is statements that failed. */
  readonly writeErrors?: readonly WriteError[];
  /**
   * `errInfo`, `keyPattern`, `keyValue` and `writeErrors` as one document in canonical Extended
   * JSON, as received.
   */
  readonly detailsText?: string;
}

/** The error with which a promise is rejected. It has the outcome of the command. */
export class BellwetherError extends Error {
  private constructor();
  readonly name: "BellwetherError";
  /** The problem, for programs: an error code of the protocol, or one of the client's own. */
  readonly code: string;
  /** The outcome of the command. */
  readonly outcome: Outcome;
  /**
   * The command's id, if it got one: ask about it with {@link outcome}, or execute it again with
   * `options.id`.
   */
  readonly id?: string;
  /** The problem, for people; `message` is the outcome and this. */
  readonly reason: string;
  /** The next step, for people. */
  readonly hint: string;
  /** The newest try at each server. */
  readonly attempts: readonly Attempt[];
  /** MongoDB's error, if it refused the command. */
  readonly mongo?: MongoError;
  /**
   * The place of the mistake in the command's text, counted from 1, for the code `bad_command`
   * before anything was sent.
   */
  readonly line?: number;
  readonly column?: number;
  /**
   * The place in the command's value that cannot be written, such as `deletes[0].q.owner`, for the
   * same code.
   */
  readonly path?: string;
}
