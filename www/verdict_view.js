// Shows the verdict, the command's id, and the possible next steps.

import { byId, setIcon, setText } from "./dom.js";

const ICONS = { none: "idle", running: "busy", executed: "done", not_executed: "failed", unknown: "unknown" };
const WAYS = { check: "check", same: "send-same", new: "send-new" };

export function showVerdict({ outcome, title, reason, hint, again }) {
  const box = byId("verdict");
  box.dataset.outcome = outcome;
  setIcon(box.querySelector(".icon"), ICONS[outcome]);
  setText(byId("verdict-title"), title);
  setText(byId("verdict-reason"), reason);
  setText(byId("verdict-hint"), hint);
  byId("again").hidden = again.length === 0;
  for (const [way, id] of Object.entries(WAYS)) byId(id).closest("li").hidden = !again.includes(way);
}

export function showId(id) {
  setText(byId("id"), id ?? "");
  byId("command-id").hidden = !id;
}
