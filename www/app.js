// Puts the parts of the page together.

import { Attempt } from "./attempt.js";
import { Watch } from "./cluster.js";
import { ClusterView } from "./cluster_view.js";
import { byId, setText } from "./dom.js";
import { Drafts } from "./drafts.js";
import { keepIndent } from "./editor.js";
import { examples } from "./examples.js";
import { accept } from "./fields.js";
import { forget, isInterrupted, isOpen } from "./history.js";
import { showHistory } from "./history_view.js";
import { dismissLink, wireLinks } from "./link.js";
import { Reply } from "./reply.js";
import { ServerList } from "./server_list.js";
import { Storage } from "./storage.js";
import { Trace } from "./trace.js";
import * as verdicts from "./verdict.js";
import { showVerdict } from "./verdict_view.js";

/// So that "3 min ago" stays true.
const RETELL_MS = 30_000;

const command = byId("command");
const storage = new Storage();
const drafts = new Drafts(command, byId("example"), storage, examples);
const clusterView = new ClusterView(byId("cluster"), byId("cluster-note"));
const watch = new Watch((views) => clusterView.show(views));
const servers = new ServerList(storage, watch);
const attempt = new Attempt({
  storage,
  trace: new Trace(byId("tries").firstElementChild, byId("pass")),
  reply: new Reply(storage),
  onChange: () => {
    showButtons();
    showEntries();
    // The result may have changed the cluster, or may be caused by a change.
    if (!attempt.isRunning) watch.look();
  },
});

function send() {
  dismissLink();
  attempt.send();
}

/// Not by `disabled`, which would throw the focus away.
function showButtons() {
  byId("send").setAttribute("aria-disabled", attempt.isRunning);
  byId("cancel").setAttribute("aria-disabled", !attempt.isRunning);
}

function showEntries() {
  const { history } = storage.read();
  byId("forget").hidden = history.length === 0;
  showHistory(byId("history"), history, { page: attempt.page, isBusy: attempt.isRunning }, {
    put: putBack,
    check: (entry) => attempt.settle(entry, "check"),
    sendSame: (entry) => attempt.settle(entry, "same"),
  });
}

function putBack(entry) {
  drafts.put(entry.command);
  accept(command);
  dismissLink();
  if (isOpen(entry, attempt.page) && !attempt.isRunning) attempt.offer(entry);
  command.focus();
  command.scrollIntoView({ block: "nearest" });
}

function wireForm() {
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") attempt.cancel();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && byId("form").contains(event.target)) {
      event.preventDefault();
      send();
    }
  });
  byId("cancel").addEventListener("click", () => attempt.cancel());
  for (const [id, way] of [["check", "check"], ["send-same", "same"], ["send-new", "new"]]) {
    byId(id).addEventListener("click", () => attempt.again(way));
  }
  command.addEventListener("input", () => accept(command));
  keepIndent(command);
  if (/Mac|iPhone|iPad/.test(navigator.platform)) setText(byId("send").querySelector("kbd"), "⌘ Enter");
}

function wireHistory() {
  byId("forget").addEventListener("click", () => {
    storage.update(forget);
    showEntries();
    byId("history-label").focus();
  });
  storage.watch(showEntries);
  setInterval(() => document.hidden || showEntries(), RETELL_MS);
  showEntries();
}

function wireNetwork() {
  const show = () => { byId("offline").hidden = navigator.onLine; };
  addEventListener("offline", show);
  addEventListener("online", () => {
    show();
    watch.look();
  });
  show();
}

/// Offers to settle the attempt that an earlier page left unfinished.
function offerUnfinished() {
  const entry = storage.read().history.find((each) => isOpen(each, attempt.page) && isInterrupted(each));
  if (entry) attempt.offer(entry);
}

wireForm();
wireHistory();
wireNetwork();
wireLinks(drafts);
showVerdict(verdicts.NOTHING);
offerUnfinished();
servers.fill().catch((error) => showVerdict(verdicts.failure(error, { kind: "execute" })));
