// The mistake in a field, shown at the field.

import { byId, setText } from "./dom.js";
import { selectPlace } from "./editor.js";
import { sentence } from "./words.js";

/// Shows the mistake at the field, and goes there.
export function refuse(field, { reason, line, column }) {
  const note = noteOf(field);
  note.dataset.usual ??= note.textContent;
  setText(note, sentence(reason));
  field.setAttribute("aria-invalid", "true");
  if (line) selectPlace(field, line, column);
  else field.focus();
}

export function accept(field) {
  if (!field.hasAttribute("aria-invalid")) return;
  field.removeAttribute("aria-invalid");
  const note = noteOf(field);
  setText(note, note.dataset.usual);
}

function noteOf(field) {
  return byId(field.getAttribute("aria-describedby").split(" ")[0]);
}
