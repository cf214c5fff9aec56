/** What a caller of `execute` may choose. */
export interface ExecuteOptions {
  /** When to stop trying; 30 000 unless given. */
  timeoutMs?: number;
  /** Asks again about an earlier attempt with this id, whose outcome was unknown. */
  id?: string;
  /** Sends the command only to servers of this cluster. */
  cluster?: string;
  /** Stops the attempt. A command that was sent by then has the outcome "unknown". */
  signal?: AbortSignal;
}

export type Outcome = "not_executed" | "unknown" | "executed";

/** One try at one server. */
export interface Try {
  url: string;
  server?: string;
  pass: number;
  hinted: boolean;
  sent: boolean;
  ms: number;
  /** An error code of the protocol, or one of the client's own, such as "unreachable". */
  code: string;
  outcome: Outcome;
  /** What happened, for people. */
  text: string;
}

export interface Executed {
  id: string;
  epoch: number;
  replayed: boolean;
  /** The URL of the server that answered. */
  server: string;
  /** MongoDB's reply in canonical Extended JSON, as text. */
  result: string;
  tries: Try[];
}

export type ExecuteEvent =
  | { type: "pass"; pass: number }
  | { type: "trying"; index: number; url: string }
  | { type: "connected"; index: number }
  | { type: "greeted"; index: number; server: string; cluster: string; role: string; epoch?: number }
  | { type: "sent"; index: number; id: string }
  | ({ type: "ended"; index: number } & Try)
  | { type: "pausing"; ms: number };

/** What `execute` is rejected with. */
export interface BellwetherError extends Error {
  name: "BellwetherError";
  code: string;
  outcome: Outcome;
  id?: string;
  /** Why there is no reply, for people; `message` is the outcome and this. */
  reason: string;
  /** What to do now, for people. */
  hint: string;
  tries: Try[];
  /** What MongoDB said, if it refused the command. */
  mongo?: { code: number; codeName: string; message: string; index?: number };
  /** Where the command's text is wrong, for the code "bad_command" of the client itself. */
  line?: number;
  column?: number;
}
