// The keys of the command's field: Enter keeps the indent. Tab leaves the field, as everywhere.

export function keepIndent(field) {
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.isComposing) return;
    const { indent } = lineAt(field.value, field.selectionStart);
    if (!indent) return;
    event.preventDefault();
    // The one way to insert that the field's own Undo knows of.
    if (!document.execCommand("insertText", false, `\n${indent}`)) field.setRangeText(`\n${indent}`, field.selectionStart, field.selectionEnd, "end");
  });
}

/// The indent that a new line takes here.
export function lineAt(text, at) {
  const line = text.slice(text.lastIndexOf("\n", at - 1) + 1, at);
  const own = line.match(/^[ \t]*/)[0];
  return { indent: /[[{]\s*$/.test(line) ? `${own}  ` : own };
}

/// Returns the place of a line and a column, both counted from 1, in the text. Columns count
/// characters, not UTF-16 units.
export function placeOf(text, line, column) {
  const lines = text.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, { length }) => sum + length + 1, 0);
  const inLine = Array.from(lines[line - 1] ?? "").slice(0, Math.max(column - 1, 0)).join("").length;
  return Math.min(before + inLine, text.length);
}

export function selectPlace(field, line, column) {
  const at = placeOf(field.value, line, column);
  field.focus();
  // At the end of the text there is nothing to select: its last character then.
  const start = Math.min(at, Math.max(field.value.length - 1, 0));
  field.setSelectionRange(start, start + 1);
}
