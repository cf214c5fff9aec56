// The status of the servers, from GET /status.

const EVERY_MS = 1000;
/// Longest time between two requests to a dead server.
const SELDOM_MS = 5000;
const SOONEST_MS = 500;
const PATIENCE_MS = 1500;

/// More servers than this are left out of what one of them says.
const MOST_PEERS = 100;
/// Longer texts are cut.
const LONGEST_TEXT = 500;
/// The last moment that a Date holds.
const LAST_MS = 8.64e15;

/// The list a page starts with: the server it came from, and those that server knows of.
export async function knownServers() {
  // In the directory of this page: a proxy may have put both under a path of its own.
  const own = new URL("v1", document.baseURI.replace(/^http/, "ws")).href;
  try {
    const { server, coordinator, peers } = await status(own);
    const all = [{ server, url: own }, ...peers, ...(coordinator ? [coordinator] : [])];
    return all.filter(({ url }) => url).sort((a, b) => (a.server < b.server ? -1 : 1)).map(({ url }) => url);
  } catch {
    return [own];
  }
}

/// Keeps looking at the servers of a list while the page is visible.
export class Watch {
  #onChange;
  #servers = new Map();

  constructor(onChange) {
    this.#onChange = onChange;
    document.addEventListener("visibilitychange", () => {
      for (const server of this.#servers.values()) server.look();
    });
  }

  /// Watches these servers from now on. Each has requests of its own, so none waits for a silent
  /// one.
  list(urls) {
    for (const [url, server] of this.#servers) {
      if (urls.includes(url)) continue;
      server.stop();
      this.#servers.delete(url);
    }
    const known = this.#servers;
    this.#servers = new Map(urls.map((url) => [url, known.get(url) ?? new Server(url, () => this.#onChange(this.#views()))]));
    this.#onChange(this.#views());
  }

  /// Looks at all of them now: something has happened.
  look() {
    for (const server of this.#servers.values()) server.lookAgain();
  }

  #views() {
    return [...this.#servers.values()].map((server) => server.view);
  }
}

class Server {
  #timer = 0;
  #isLooking = false;
  #lookedAt = 0;
  #failures = 0;
  #isStopped = false;
  #onChange;

  constructor(url, onChange) {
    /// `status` is its newest answer, kept when it falls silent; `silentSince` is then a time.
    this.view = { url, status: null, silentSince: null };
    this.#onChange = onChange;
    this.look();
  }

  stop() {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /// Looks at once, unless the last look was a moment ago.
  lookAgain() {
    if (Date.now() - this.#lookedAt >= SOONEST_MS) this.look();
  }

  async look() {
    clearTimeout(this.#timer);
    if (this.#isLooking || document.hidden) return;
    this.#isLooking = true;
    this.#lookedAt = Date.now();
    try {
      this.view = { ...this.view, status: await status(this.view.url), silentSince: null };
      this.#failures = 0;
    } catch {
      this.view = { ...this.view, silentSince: this.view.silentSince ?? Date.now() };
      this.#failures += 1;
    }
    this.#isLooking = false;
    if (this.#isStopped) return;
    this.#onChange();
    this.#timer = setTimeout(() => this.look(), Math.min(EVERY_MS * 2 ** this.#failures, this.#failures ? SELDOM_MS : EVERY_MS));
  }
}

async function status(url) {
  const answer = await fetch(statusAddress(url), { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return statusIn(await answer.json());
}

/// Returns the address of the status. It has the path of the address for commands, which a proxy
/// may have changed.
export function statusAddress(url) {
  return new URL("status", url.replace(/^ws/, "http")).href;
}

/// The parts of an answer that have the form of a status. Anything may answer at the address of a
/// server.
export function statusIn(found) {
  const server = text(found?.server);
  if (!server || !Array.isArray(found.peers)) throw new Error("no status of a Bellwether server");
  return {
    server,
    role: text(found.role) ?? "unknown",
    epoch: number(found.epoch, Number.MAX_SAFE_INTEGER),
    number: /^\d{1,20}$/.test(found.number) ? String(found.number) : undefined,
    since_ms: number(found.since_ms, LAST_MS),
    coordinator: neighbour(found.coordinator),
    peers: found.peers.slice(0, MOST_PEERS).map(neighbour).filter(Boolean),
    mongodb: isRecord(found.mongodb) ? { available: found.mongodb.available === true, error: text(found.mongodb.error) } : undefined,
  };
}

function neighbour(found) {
  const server = isRecord(found) ? text(found.server) : undefined;
  return server && { server, url: text(found.url), connected: found.connected === true };
}

function isRecord(found) {
  return typeof found === "object" && found !== null;
}

function text(found) {
  return typeof found === "string" && found !== "" ? found.slice(0, LONGEST_TEXT) : undefined;
}

function number(found, most) {
  return Number.isInteger(found) && found >= 0 && found <= most ? found : undefined;
}
