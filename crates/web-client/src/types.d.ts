/** What a caller of `execute` or `outcome` may choose. */
export interface ExecuteOptions {
  /** When to stop trying; 30 000 unless given. */
  timeoutMs?: number;
  /** Sends the command with the id of an earlier attempt, whose outcome was unknown. Not for `outcome`. */
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

/** What became of a command. */
export interface Fate {
  id: string;
  /** Until the server answered; "not_executed" does not rule out that a try still on its way executes it later. */
  outcome: Outcome;
  /** The epoch in which it was executed. */
  epoch?: number;
  /** The URL of the server that answered. */
  server: string;
  /** MongoDB's reply in canonical Extended JSON, as text, if it was executed and the reply was kept. */
  result?: string;
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

/** What `execute` and `outcome` are rejected with. */
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
  mongo?: { code: number; codeName: string; message: string; index?: number; command?: number };
  /** Where the command's text is wrong, for the code "bad_command" of the client itself. */
  line?: number;
  column?: number;
}
