// What the servers say about themselves on GET /status.

import { element, icon } from "./dom.js";

const EVERY_MS = 2000;
const PATIENCE_MS = 1500;

const KINDS = { coordinator: "done", follower: "next", electing: "waiting", draining: "idle" };

async function status(url) {
  const address = new URL("/status", url.replace(/^ws/, "http"));
  const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return answer.json();
}

/// The server this page came from, and those it knows of.
export async function knownServers() {
  const own = `${location.protocol.replace("http", "ws")}//${location.host}/v1`;
  try {
    const { coordinator, peers } = await status(own);
    const others = [...peers, coordinator].map((server) => server?.url);
    return [own, ...others.filter(Boolean)];
  } catch {
    return [own];
  }
}

/// Shows one line for each of the servers, and again every two seconds while somebody looks.
export function watch(list, servers) {
  let shown = "";
  const look = async () => {
    if (!document.hidden) {
      const lines = await Promise.all(servers().map(describe));
      const text = JSON.stringify(lines);
      if (text !== shown) list.replaceChildren(...lines.map(line));
      shown = text;
    }
    setTimeout(look, EVERY_MS);
  };
  look();
}

async function describe(url) {
  const host = new URL(url).host;
  try {
    const { server, role, epoch } = await status(url);
    const since = role === "coordinator" && epoch !== null ? ` in epoch ${epoch}` : "";
    return { host, server, kind: KINDS[role] ?? "idle", state: role + since };
  } catch {
    return { host, server: "", kind: "failed", state: "no status" };
  }
}

function line({ host, server, kind, state }) {
  const item = element("li");
  item.dataset.kind = kind;
  item.append(icon(kind), element("span", "url", host), element("span", "state", server ? `${server} · ${state}` : state));
  return item;
}
