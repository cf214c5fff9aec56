// A command that comes by link is shown, and never sent by itself; and the link to the one in the
// field.

import { byId, setText } from "./dom.js";
import { commandIn, linkTo } from "./share.js";

const SHOWN_MS = 4000;

export function wireLinks(drafts) {
  byId("share").addEventListener("click", share);
  addEventListener("hashchange", () => open(drafts));
  byId("command").addEventListener("input", dismissLink);
  open(drafts);
}

/// The command in the field is the user's own from now on.
export function dismissLink() {
  byId("linked").hidden = true;
  if (commandIn(location.hash) !== undefined) history.replaceState(null, "", location.pathname + location.search);
}

function open(drafts) {
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

async function share() {
  const link = linkTo(byId("command").value);
  const note = byId("shared");
  try {
    await navigator.clipboard.writeText(link);
    setText(note, "Link copied. It holds the command only.");
  } catch {
    // Without a secure origin there is no clipboard.
    history.replaceState(null, "", link);
    setText(note, "The link is in the address bar. It holds the command only.");
  }
  setTimeout(() => setText(note, ""), SHOWN_MS);
}
