// A command on its way, or a question for the outcome of one. The page shows it from its beginning
// to its verdict, and keeps it in the history.

import { loading } from "./client.js";
import { byId } from "./dom.js";
import { accept, refuse } from "./fields.js";
import { close, remember, settle } from "./history.js";
import * as verdicts from "./verdict.js";
import { showId, showVerdict } from "./verdict_view.js";

const USUAL_SECONDS = 30;

export class Attempt {
  #fields = { command: byId("command"), servers: byId("servers"), timeout: byId("timeout") };
  #storage;
  #trace;
  #reply;
  #onChange;
  /// The present attempt, or the last one: {kind, command, id?, servers, cluster?, isRunning, …}.
  /// Kind is "execute", or "check", which asks for the outcome of a command and executes nothing.
  #now = null;

  constructor({ storage, trace, reply, onChange }) {
    this.#storage = storage;
    this.#trace = trace;
    this.#reply = reply;
    this.#onChange = onChange;
    /// This page, among the tabs that share the history.
    this.page = crypto.getRandomValues(new Uint32Array(2)).join("-");
    addEventListener("pagehide", () => storage.update((state) => close(state, this.page)));
  }

  get isRunning() {
    return Boolean(this.#now?.isRunning);
  }

  /// Sends the command in the field.
  send() {
    return this.#begin({ kind: "execute", command: this.#fields.command.value });
  }

  /// The last command, once more: "check", "same" (with its id) or "new".
  again(way) {
    const { command, id, cluster } = this.#now;
    const kind = way === "check" ? "check" : "execute";
    return this.#begin(way === "new" ? { kind, command } : { kind, command, id, cluster });
  }

  /// A command of the history, at the servers it was sent to: others do not know its id, and would
  /// execute it again.
  settle({ command, id, cluster, servers }, way) {
    return this.#begin({ kind: way === "check" ? "check" : "execute", command, id, cluster, servers });
  }

  /// Shows a command of the history as the one whose outcome must be settled.
  offer(entry) {
    const { command, id, cluster } = entry;
    this.#now = { kind: "execute", command, id, cluster, isRunning: false };
    this.#trace.clear();
    this.#reply.clear();
    showId(id);
    showVerdict(verdicts.unsettled(entry));
  }

  cancel() {
    this.#now?.stop?.abort();
  }

  /// Begins and sees it through.
  async #begin(request) {
    if (this.isRunning) return;
    accept(this.#fields.command);
    accept(this.#fields.servers);
    const timeoutMs = (this.#fields.timeout.value > 0 ? Number(this.#fields.timeout.value) : USUAL_SECONDS) * 1000;
    const now = { ...request, timeoutMs, stop: new AbortController(), at: Date.now(), began: performance.now(), isRunning: true };
    this.#now = now;
    this.#reply.clear();
    showId(now.id);
    showVerdict(verdicts.running(now));
    this.#onChange();
    byId("verdict").scrollIntoView({ block: "nearest" });
    try {
      await this.#ask(now, await loading);
    } catch (error) {
      this.#failed(now, error);
    }
    now.isRunning = false;
    this.#trace.finish();
    this.#onChange();
  }

  async #ask(now, client) {
    now.servers = this.#listed(client, now.servers?.join("\n") ?? this.#fields.servers.value);
    this.#trace.start(now.servers);
    const options = {
      timeoutMs: now.timeoutMs,
      signal: now.stop.signal,
      cluster: now.cluster,
      first: this.#storage.read().coordinator,
      onEvent: (event) => this.#observe(now, event),
    };
    if (now.kind === "check") this.#learnt(now, await client.outcome(now.servers, now.id, options));
    else this.#succeeded(now, await client.execute(now.servers, now.command, { ...options, id: now.id }));
  }

  #listed(client, text) {
    try {
      return client.parseServers(text);
    } catch (error) {
      throw Object.assign(error, { field: this.#fields.servers });
    }
  }

  #observe(now, event) {
    this.#trace.handle(event);
    if (event.type === "greeted") now.cluster ??= event.cluster;
    if (event.type !== "sent" || now.kind === "check") return;
    // Before the bytes leave: whatever happens to this page, it can ask for the outcome.
    if (now.id && now.id !== event.id) {
      // No try with it had an effect. It must not be offered again: once its time has come it would
      // be executed.
      const earlier = now.id;
      this.#storage.update((state) => settle(state, earlier, { outcome: "not_executed" }));
    }
    now.id = event.id;
    showId(now.id);
    const { id, command, servers, at, cluster, timeoutMs } = now;
    const entry = { id, command, servers, at, outcome: "running", cluster, page: this.page, until: at + timeoutMs };
    this.#storage.update((state) => remember(state, entry));
    this.#onChange();
  }

  #succeeded(now, executed) {
    const took = performance.now() - now.began;
    now.id = executed.id;
    showId(now.id);
    showVerdict(verdicts.executed(executed, took));
    this.#reply.show(now.command, executed.resultText);
    this.#keep(now, { outcome: "executed", ms: Math.round(took), server: verdicts.nameOf(executed) }, executed.server);
  }

  #learnt(now, outcomeResult) {
    showVerdict(verdicts.outcomeResult(outcomeResult, now.command));
    if (outcomeResult.resultText !== undefined) this.#reply.show(now.command, outcomeResult.resultText);
    this.#keep(now, { outcome: outcomeResult.outcome, server: outcomeResult.outcome === "executed" ? verdicts.nameOf(outcomeResult) : undefined }, outcomeResult.server);
  }

  #failed(now, error) {
    if (error.line || error.field) {
      showId(undefined);
      this.#trace.clear();
      showVerdict(verdicts.refusal(error));
      refuse(error.field ?? this.#fields.command, error);
      return;
    }
    now.id ??= error.id;
    const verdict = verdicts.failure(error, now);
    showVerdict(verdict);
    if (error.mongo?.detailsText) this.#reply.showDetails(error.mongo.detailsText);
    showId(now.id);
    // A question without an answer leaves the outcome of the command open.
    const outcome = now.kind === "check" ? "unknown" : verdict.outcome;
    this.#keep(now, { outcome, reason: verdict.reason, ms: Math.round(performance.now() - now.began) });
  }

  /// Keeps in the history the outcome that is known now, and the coordinator.
  #keep({ id, command, servers, at, cluster, kind }, known, coordinator) {
    const settled = { reason: undefined, page: undefined, until: undefined, closed: undefined, ...known };
    this.#storage.update((state) => {
      const next = coordinator ? { ...state, coordinator } : state;
      const isListed = id && state.history.some((entry) => entry.id === id);
      if (isListed || kind === "check") return settle(next, id, settled);
      return remember(next, { id, command, servers: servers ?? [], at, cluster, ...settled });
    });
  }
}
