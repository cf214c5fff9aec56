import { knownServers, Watch } from "./cluster.js";
import { ClusterView } from "./cluster_view.js";
import { byId, setText } from "./dom.js";
import { Drafts } from "./drafts.js";
import { keepIndent, selectPlace } from "./editor.js";
import { examples } from "./examples.js";
import { close, forget, isInterrupted, isOpen, remember, settle } from "./history.js";
import { showHistory } from "./history_view.js";
import { Reply } from "./reply.js";
import { commandIn, linkTo } from "./share.js";
import { Storage } from "./storage.js";
import { Trace } from "./trace.js";
import * as verdicts from "./verdict.js";
import { showId, showVerdict } from "./verdict_view.js";
import { sentence } from "./words.js";

const field = { command: byId("command"), servers: byId("servers"), timeout: byId("timeout") };
const storage = new Storage();
const drafts = new Drafts(field.command, byId("example"), storage, examples);
const trace = new Trace(byId("tries").firstElementChild, byId("pass"));
const reply = new Reply(storage);
const clusterView = new ClusterView(byId("cluster"), byId("cluster-note"));
const watch = new Watch((views) => clusterView.show(views));
/// This page, among the tabs that share the history.
const page = crypto.getRandomValues(new Uint32Array(2)).join("-");
const loading = load();
// Whoever awaits it says what is wrong; until then nobody has missed it.
loading.catch(() => {});

let usualServers = "";
/// Reads a list of servers; nothing, until the client is loaded.
let parseServers = () => [];
/// What is under way, or was last: {kind, command, servers, id?, cluster?, isRunning, …}. Kind is "execute" or
/// "check", which asks what became of a command.
let attempt = null;

async function load() {
  const client = await import("./pkg/index.js");
  await client.init();
  return client;
}

/// Begins an attempt and sees it through. `servers` is a list of its own, or the field's text.
async function begin({ kind = "execute", command, id, cluster, servers }) {
  if (attempt?.isRunning) return;
  for (const name of ["command", "servers"]) accept(field[name]);
  const timeoutMs = secondsToTry() * 1000;
  const stop = new AbortController();
  const started = { kind, command, id, cluster, stop, timeoutMs, isRunning: true, at: Date.now(), began: performance.now() };
  attempt = started;
  try {
    showRunning();
    const client = await loading.catch((error) => { throw cannotLoad(error); });
    started.servers = listed(client, servers ?? field.servers.value);
    trace.start(started.servers);
    const options = { timeoutMs, signal: stop.signal, cluster, first: storage.read().coordinator, onEvent: (event) => observe(started, event) };
    if (kind === "check") learnt(started, await client.outcome(started.servers, id, options));
    else succeeded(started, await client.execute(started.servers, command, { ...options, id }));
  } catch (error) {
    failed(started, error);
  }
  started.isRunning = false;
  trace.finish();
  showIdle();
  watch.look();
}

function listed(client, servers) {
  try {
    return client.parseServers(typeof servers === "string" ? servers : servers.join("\n"));
  } catch (error) {
    throw Object.assign(error, { field: field.servers });
  }
}

function cannotLoad(error) {
  return Object.assign(new Error("the client cannot be loaded"), {
    outcome: "not_executed",
    reason: error.reason ?? `the client cannot be loaded: ${error.message}`,
    hint: "Reload the page. If you serve it yourself, build the client with: cargo xtask web",
  });
}

function observe(started, event) {
  trace.handle(event);
  if (event.type === "greeted") started.cluster ??= event.cluster;
  if (event.type !== "sent" || started.kind === "check") return;
  // Before the bytes leave: whatever happens to this page, the outcome can be asked for.
  started.id = event.id;
  showId(event.id);
  const { id, command, servers, at, cluster, timeoutMs } = started;
  const entry = { id, command, servers, at, outcome: "running", cluster, page, until: at + timeoutMs };
  storage.update((state) => remember(state, entry));
  showEntries();
}

function succeeded(started, executed) {
  const took = performance.now() - started.began;
  started.id = executed.id;
  showId(executed.id);
  showVerdict(verdicts.executed(executed, took));
  reply.show(started.command, executed.resultText);
  storage.update((state) => ({ ...state, coordinator: executed.server }));
  keep(started, { outcome: "executed", ms: Math.round(took), server: serverName(executed) });
}

function learnt(started, fate) {
  showVerdict(verdicts.fate(fate, started.command));
  if (fate.resultText !== undefined) reply.show(started.command, fate.resultText);
  storage.update((state) => ({ ...state, coordinator: fate.server }));
  keep(started, { outcome: fate.outcome, server: fate.outcome === "executed" ? serverName(fate) : undefined });
}

function failed(started, error) {
  if (error.line || error.field) {
    refuse(error.field ?? field.command, error);
    return;
  }
  if (error.id && error.outcome !== "not_executed") started.id ??= error.id;
  const verdict = verdicts.failure(error, started);
  showVerdict(verdict);
  showId(started.id);
  // A question without an answer leaves what is known of the command as it was: unknown.
  keep(started, { outcome: started.kind === "check" ? "unknown" : verdict.outcome, reason: verdict.reason, ms: Math.round(performance.now() - started.began) });
}

/// Keeps in the history what has become of it.
function keep({ id, command, servers, at, cluster, kind }, known) {
  const now = { reason: undefined, page: undefined, until: undefined, closed: undefined, ...known };
  storage.update((state) => {
    const isListed = id && state.history.some((entry) => entry.id === id);
    if (isListed || kind === "check") return settle(state, id, now);
    return remember(state, { id, command, servers: servers ?? [], at, cluster, ...now });
  });
}

function serverName({ server, tries }) {
  return tries.find((tried) => tried.url === server && tried.server)?.server ?? server;
}

/// What is wrong with a field: nothing was sent.
function refuse(wrong, error) {
  const note = byId(wrong.getAttribute("aria-describedby").split(" ")[0]);
  note.dataset.usual ??= note.textContent;
  setText(note, sentence(error.reason));
  wrong.setAttribute("aria-invalid", "true");
  showId(undefined);
  trace.clear();
  showVerdict(verdicts.refusal(error));
  if (error.line) selectPlace(wrong, error.line, error.column);
  else wrong.focus();
}

function accept(right) {
  if (!right.hasAttribute("aria-invalid")) return;
  right.removeAttribute("aria-invalid");
  const note = byId(right.getAttribute("aria-describedby").split(" ")[0]);
  setText(note, note.dataset.usual ?? note.textContent);
}

function secondsToTry() {
  const seconds = Number(field.timeout.value);
  return seconds > 0 ? seconds : 30;
}

function showRunning() {
  reply.clear();
  showId(attempt.id);
  showVerdict(verdicts.running(attempt));
  enable(byId("send"), false);
  enable(byId("cancel"), true);
  showEntries();
  byId("verdict").scrollIntoView({ block: "nearest" });
}

function showIdle() {
  enable(byId("send"), true);
  enable(byId("cancel"), false);
  showEntries();
}

/// Not by `disabled`, which would throw the focus away.
function enable(button, isEnabled) {
  if (isEnabled) button.removeAttribute("aria-disabled");
  else button.setAttribute("aria-disabled", "true");
}

function showEntries() {
  const { history } = storage.read();
  byId("forget").hidden = history.length === 0;
  showHistory(byId("history"), history, { page, isBusy: Boolean(attempt?.isRunning) }, {
    put: (entry) => {
      drafts.put(entry.command);
      accept(field.command);
      dismissLink();
      if (isOpen(entry, page) && !attempt?.isRunning) offer(entry);
      field.command.focus();
      field.command.scrollIntoView({ block: "nearest" });
    },
    // Where it was sent the first time: another cluster does not know the id, and would execute it again.
    check: (entry) => begin({ ...pick(entry), kind: "check" }),
    sendSame: (entry) => begin(pick(entry)),
  });
}

function pick({ command, id, servers, cluster }) {
  return { command, id, servers, cluster };
}

function send() {
  dismissLink();
  begin({ command: field.command.value });
}

function wireForm() {
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") attempt?.stop.abort();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && byId("form").contains(event.target)) {
      event.preventDefault();
      send();
    }
  });
  byId("cancel").addEventListener("click", () => attempt?.stop.abort());
  const again = ({ command, id, cluster }) => ({ command, id, cluster });
  byId("check").addEventListener("click", () => begin({ ...again(attempt), kind: "check" }));
  byId("send-same").addEventListener("click", () => begin(again(attempt)));
  byId("send-new").addEventListener("click", () => begin({ command: attempt.command }));
  field.command.addEventListener("input", () => {
    accept(field.command);
    dismissLink();
  });
  keepIndent(field.command);
}

function wireHistory() {
  byId("forget").addEventListener("click", () => {
    storage.update(forget);
    showEntries();
    byId("history-label").focus();
  });
  storage.watch(showEntries);
  addEventListener("pagehide", () => storage.update((state) => close(state, page)));
  // "5 min ago" grows.
  setInterval(() => document.hidden || byId("history").contains(document.activeElement) || showEntries(), 30_000);
}

/// A command from a link is shown, never sent by itself.
function openLink() {
  const command = commandIn(location.hash);
  if (command === undefined) return;
  const note = byId("linked");
  note.hidden = false;
  if (command === null) {
    setText(note, "The link holds a command that cannot be read.");
    return;
  }
  drafts.put(command);
  setText(note, "This command came with the link. Read it before you send it.");
}

function dismissLink() {
  byId("linked").hidden = true;
  if (commandIn(location.hash) !== undefined) history.replaceState(null, "", location.pathname + location.search);
}

async function share() {
  const link = linkTo(field.command.value);
  try {
    await navigator.clipboard.writeText(link);
    setText(byId("shared"), "Link copied. It holds the command only.");
  } catch {
    // Without a secure origin there is no clipboard.
    history.replaceState(null, "", link);
    setText(byId("shared"), "The link is in the address bar. It holds the command only.");
  }
  setTimeout(() => setText(byId("shared"), ""), 4000);
}

function wireNetwork() {
  const show = () => { byId("offline").hidden = navigator.onLine; };
  addEventListener("online", () => { show(); watch.look(); });
  addEventListener("offline", show);
  show();
}

/// The list is the user's own, or that of the cluster this page came from.
async function wireServers() {
  field.servers.value ||= storage.read().servers ?? "";
  field.servers.addEventListener("input", () => useServers(field.servers.value));
  byId("usual-servers").addEventListener("click", () => {
    field.servers.value = usualServers;
    useServers(usualServers);
    field.servers.focus();
  });
  const [client, known] = await Promise.all([loading, knownServers()]);
  parseServers = client.parseServers;
  usualServers = parseServers(known.join("\n")).join("\n");
  field.servers.value ||= usualServers;
  useServers(field.servers.value);
}

function useServers(text) {
  accept(field.servers);
  const isUsual = text.trim() === usualServers;
  byId("usual-servers").hidden = isUsual || !usualServers;
  storage.update((state) => ({ ...state, servers: isUsual || !text.trim() ? undefined : text }));
  try {
    watch.list(parseServers(text));
  } catch {
    // Half typed: the field says so when it is sent.
    watch.list([]);
  }
}

/// What this or an earlier page left unfinished is the first thing to settle.
function offerUnfinished() {
  const entry = storage.read().history.find((each) => isInterrupted(each));
  if (entry?.id) offer(entry);
}

/// Shows an earlier command as the one whose outcome is to be settled.
function offer(entry) {
  attempt = { ...pick(entry), kind: "execute", isRunning: false, stop: new AbortController() };
  trace.clear();
  reply.clear();
  showId(entry.id);
  showVerdict(verdicts.unsettled(entry));
}

if (/Mac|iPhone|iPad/.test(navigator.platform)) setText(byId("send").querySelector("kbd"), "⌘ Enter");
wireForm();
wireHistory();
wireNetwork();
byId("share").addEventListener("click", share);
addEventListener("hashchange", openLink);
showVerdict(verdicts.NOTHING);
offerUnfinished();
openLink();
showEntries();
wireServers().catch((error) => showVerdict(verdicts.failure(cannotLoad(error), { kind: "execute" })));
