// What the servers say about themselves on GET /status.

const EVERY_MS = 1000;
/// A dead server is asked less and less often, down to this.
const SELDOM_MS = 5000;
const SOONEST_MS = 500;
const PATIENCE_MS = 1500;

/// The list a page starts with: the server it came from, and those that server knows of.
export async function knownServers() {
  const own = `${location.protocol.replace("http", "ws")}//${location.host}/v1`;
  try {
    const { server, coordinator, peers } = await status(own);
    const all = [{ server, url: own }, ...peers, ...(coordinator ? [coordinator] : [])];
    return all.filter(({ url }) => url).sort((a, b) => (a.server < b.server ? -1 : 1)).map(({ url }) => url);
  } catch {
    return [own];
  }
}

/// Keeps looking at the servers of a list while somebody sees the page.
export class Watch {
  #onChange;
  #servers = new Map();

  constructor(onChange) {
    this.#onChange = onChange;
    document.addEventListener("visibilitychange", () => {
      for (const server of this.#servers.values()) server.look();
    });
  }

  /// From now on these, each of them asked on its own: a silent one makes nobody wait.
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

  /// Out of turn, but not at once if it has just been asked.
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
  const address = new URL("/status", url.replace(/^ws/, "http"));
  const answer = await fetch(address, { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const found = await answer.json();
  if (typeof found?.server !== "string" || !Array.isArray(found.peers)) throw new Error("no status of a Bellwether server");
  return found;
}
