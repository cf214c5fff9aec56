import { knownServers, watch } from "./cluster.js";
import { setIcon } from "./dom.js";
import { examples } from "./examples.js";
import { Trace } from "./trace.js";

const byId = (id) => document.getElementById(id);
const page = Object.fromEntries(
  ["form", "command", "example", "timeout", "send", "cancel", "servers", "cluster", "verdict",
    "verdict-title", "verdict-reason", "verdict-hint", "command-id", "id", "again", "send-same", "send-new",
    "relaxed", "copy", "result"].map((id) => [id, byId(id)]),
);
const MODULE = "./pkg/bellwether_web_client";
/// The client, once it is loaded.
let client;

const trace = new Trace(byId("tries").firstElementChild, byId("pass"));

/// The attempt under way, or the last one: its command, its id once it has one, and its reply.
let attempt = null;

function listed() {
  try {
    return client.parseServers(page.servers.value);
  } catch {
    return [];
  }
}

async function send({ command, id }) {
  if (attempt?.running) return;
  let servers;
  try {
    servers = client.parseServers(page.servers.value);
  } catch (error) {
    refuse(page.servers, error);
    return;
  }
  const stop = new AbortController();
  attempt = { command, id, running: true, stop, started: performance.now(), result: null };
  setRunning(true);
  trace.start(servers);
  const seconds = Number(page.timeout.value);
  const options = { signal: stop.signal, id, timeoutMs: (seconds > 0 ? seconds : 30) * 1000 };
  try {
    succeed(await client.execute(servers, command, options, observe));
  } catch (error) {
    fail(error);
  }
  attempt.running = false;
  trace.finish();
  setRunning(false);
}

function observe(event) {
  trace.handle(event);
  if (event.type === "sent") showId(event.id);
}

function succeed(executed) {
  const by = executed.tries.at(-1)?.server ?? executed.server;
  const took = Math.round(performance.now() - attempt.started);
  attempt.result = executed.result;
  showId(executed.id);
  showResult();
  verdict("executed", executed.replayed ? "Executed before" : "Executed", {
    reason: `By ${by} in epoch ${executed.epoch}, after ${took} ms.`,
    hint: executed.replayed ? "This is the reply of its first execution; it was not executed again." : "",
  });
}

function fail(error) {
  if (error.line) {
    refuse(page.command, error);
    select(error.line, error.column);
    return;
  }
  if (!error.outcome) {
    // Not the client's own error: the module itself has failed, and nobody can say how far it came.
    error.outcome = attempt.id ? "unknown" : "not_executed";
    error.reason = `The page failed: ${error.message}`;
  }
  const titles = { not_executed: "Not executed", unknown: "Unknown", executed: "Executed, but without a reply" };
  if (error.id && error.outcome !== "not_executed") showId(error.id);
  const mayAskAgain = error.outcome === "unknown" && Boolean(attempt.id);
  const hint = mayAskAgain ? "It may or may not have been executed. Ask again to settle it." : error.hint ?? "";
  verdict(error.outcome, titles[error.outcome], { reason: sentence(error.reason), hint });
  page.again.hidden = !mayAskAgain;
}

/// What was wrong with a field before anything was sent.
function refuse(field, error) {
  const note = noteOf(field);
  note.dataset.usual ??= note.textContent;
  note.textContent = sentence(error.reason);
  field.setAttribute("aria-invalid", "true");
  field.focus();
  page["command-id"].hidden = true;
  verdict("not_executed", "Not sent", { reason: sentence(error.reason), hint: "" });
}

function noteOf(field) {
  return byId(field.getAttribute("aria-describedby"));
}

function sentence(text) {
  const capital = text.startsWith("ws") ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

function select(line, column) {
  const before = page.command.value.split("\n").slice(0, line - 1).join("\n").length;
  const at = before + (line > 1 ? 1 : 0) + column - 1;
  page.command.setSelectionRange(at, at + 1);
}

function verdict(outcome, title, { reason, hint }) {
  const icons = { running: "busy", executed: "done", not_executed: "failed", unknown: "unknown" };
  page.verdict.dataset.outcome = outcome;
  setIcon(page.verdict.querySelector(".icon"), icons[outcome]);
  page["verdict-title"].textContent = title;
  page["verdict-reason"].textContent = reason;
  page["verdict-hint"].textContent = hint;
}

function showId(id) {
  attempt.id = id;
  page.id.textContent = id;
  page["command-id"].hidden = false;
}

function showResult() {
  const text = attempt?.result;
  page.result.textContent = text ? (page.relaxed.checked ? client.prettyRelaxed : client.pretty)(text) : "";
  page.copy.disabled = !text;
}

function setRunning(running) {
  page.send.disabled = running;
  page.cancel.disabled = !running;
  if (!running) return;
  for (const field of [page.command, page.servers]) {
    field.removeAttribute("aria-invalid");
    const note = noteOf(field);
    note.textContent = note.dataset.usual ?? note.textContent;
  }
  page.again.hidden = true;
  page["command-id"].hidden = !attempt.id;
  showResult();
  const asking = attempt.id ? "Asking again with the same id" : "Passing the command along the list";
  verdict("running", "Working", { reason: `${asking}.`, hint: "" });
  page.verdict.scrollIntoView({ block: "nearest" });
}

function wire() {
  offerExamples();
  page.form.addEventListener("submit", (event) => {
    event.preventDefault();
    send({ command: page.command.value });
  });
  page.form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      page.form.requestSubmit(page.send.disabled ? null : page.send);
    }
  });
  page.cancel.addEventListener("click", () => attempt.stop.abort());
  page["send-same"].addEventListener("click", () => send({ command: attempt.command, id: attempt.id }));
  page["send-new"].addEventListener("click", () => send({ command: attempt.command }));
  page.relaxed.addEventListener("change", showResult);
  page.copy.addEventListener("click", copy);
}

/// What somebody has typed is never lost to a look at the examples: it is the first of them.
function offerExamples() {
  const texts = [page.command.value, ...examples.map(([, text]) => text)];
  page.example.append(new Option("Your own"), ...examples.map(([name]) => new Option(name)));
  page.example.selectedIndex = texts[0] ? 0 : 1;
  page.command.value = texts[page.example.selectedIndex];
  page.example.addEventListener("change", () => {
    page.command.value = texts[page.example.selectedIndex];
  });
  page.command.addEventListener("input", () => {
    texts[0] = page.command.value;
    page.example.selectedIndex = 0;
  });
}

async function copy() {
  try {
    await navigator.clipboard.writeText(page.result.textContent);
    page.copy.textContent = "Copied";
  } catch {
    // Without a secure origin there is no clipboard: select it for the reader instead.
    getSelection().selectAllChildren(page.result);
    page.copy.textContent = "Selected";
  }
  setTimeout(() => { page.copy.textContent = "Copy"; }, 1500);
}

async function start() {
  wire();
  try {
    client = await import(`${MODULE}.js`);
    await client.default({ module_or_path: new URL(`${MODULE}_bg.wasm`, import.meta.url) });
  } catch (error) {
    verdict("not_executed", "This page cannot start", { reason: sentence(error.message), hint: "Build the module with: cargo xtask web" });
    return;
  }
  const servers = client.parseServers((await knownServers()).join("\n"));
  page.servers.value ||= servers.join("\n");
  page.servers.rows = Math.min(Math.max(servers.length, 3), 8);
  page.send.disabled = false;
  watch(page.cluster, listed);
}

start();
