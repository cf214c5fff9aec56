// A command in a link: behind the #, which browsers keep to themselves. Only the command; never
// servers, ids or history.

const NAME = "command";

export function linkTo(command, address = location.href) {
  const link = new URL(address);
  // Half of a surrogate pair has no UTF-8, and makes encodeURIComponent throw.
  const text = command.replace(/\p{Surrogate}/gu, "\u{fffd}");
  link.hash = `${NAME}=${encodeURIComponent(text)}`;
  return link.href;
}

/// The command in a fragment; undefined if there is none, null if it cannot be read.
export function commandIn(fragment) {
  if (!fragment.startsWith(`#${NAME}=`)) return undefined;
  try {
    return decodeURIComponent(fragment.slice(NAME.length + 2));
  } catch {
    return null;
  }
}
