// The events at one server, in a few words: for each code the name of a row, and its meaning.

/// The most characters of a text that are shown.
const LONGEST_TEXT = 2000;

/// Kind (which says shape and colour), title, explanation.
const UNDER_WAY = {
  waiting: ["waiting", "Waiting", "for its turn"],
  connecting: ["busy", "Connecting", ""],
  greeting: ["busy", "Connected", "waiting for it to introduce itself"],
  greeted: ["busy", "Introduced itself", ""],
  sent: ["busy", "Has the command", "waiting for its answer"],
  not_asked: ["idle", "Not asked", "there was no need"],
};

const ENDS = {
  executed: "Executed",
  answered: "Answered",
  unreachable: "Not reachable",
  connect_timeout: "Timed out",
  bad_endpoint: "Not a Bellwether server",
  hello_timeout: "Timed out",
  closed: "Hung up",
  not_coordinator: "Not the coordinator",
  no_coordinator: "No coordinator",
  wrong_cluster: "Another cluster",
  too_large: "Too large",
  lost: "Unknown",
  cancelled: "Cancelled",
  overtaken: "Overtaken",
  draining: "Shutting down",
  fenced: "Replaced",
  overloaded: "Too busy",
  database_unavailable: "MongoDB not reachable",
  deadline: "Out of time",
  internal: "Fault in the server",
  reply_not_kept: "Executed before",
};

/// Texts for codes where the client's own text says less than a person wants to know.
const EXPLAINED = {
  executed: "",
  answered: "it says what became of the command",
  unreachable: "it is down, or the network does not lead there",
  overtaken: "another server was faster",
  cancelled: "before it had the command",
};

export function underWay(state) {
  const [kind, title, text] = UNDER_WAY[state];
  return { kind, title, text };
}

export function ended(tried) {
  const { code, outcome, sent } = tried;
  const end = Object.hasOwn(ENDS, code) ? ENDS[code] : undefined;
  const isRefusal = !end && outcome === "not_executed";
  const title = outcome === "unknown" && code === "cancelled" ? "Unknown" : end ?? (isRefusal ? "Refused" : OUTCOMES[outcome]);
  const explained = sent && code === "cancelled" ? "cancelled while it had the command"
    : Object.hasOwn(EXPLAINED, code) ? EXPLAINED[code] : undefined;
  const parts = [explained ?? inOwnWords(cut(tried.text), code), tried.hinted ? "asked next because another server named it" : ""];
  return { kind: kindOf(tried), title, text: parts.filter(Boolean).join("; ") };
}

export const OUTCOMES = { executed: "Executed", not_executed: "Not executed", unknown: "Unknown", running: "Under way" };

function kindOf({ code, outcome }) {
  if (code === "answered" || outcome === "executed") return "done";
  if (outcome === "unknown") return "unknown";
  if (code === "not_coordinator") return "next";
  return code === "overtaken" || code === "cancelled" ? "idle" : "failed";
}

/// Without what the title says already.
function inOwnWords(text, code) {
  return text.replace(`${code}: `, "").replace(/^is (.*); coordinator is (\S+?)( at .*)?$/, "$2 is").replace(/^is (a follower and .*|in an election.*|shutting down.*)$/, "it is $1");
}

/// The beginning of a text that may have megabytes: whatever a server says is shown in a line or
/// two.
export function cut(text) {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}

export function sentence(text) {
  if (!text) return "";
  const shown = cut(text);
  // Addresses begin as they begin.
  const capital = /^wss?:/.test(shown) ? shown : shown.charAt(0).toUpperCase() + shown.slice(1);
  return /[.!?…]$/.test(capital) ? capital : `${capital}.`;
}
