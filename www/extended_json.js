// Extended JSON read as text. JavaScript's own JSON would reorder fields named like numbers and
// round integers beyond 2^53. Also, a reply can have 30 MB, of which a person reads one page.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const DOLLAR = 0x24;
const OPEN_DOCUMENT = 0x7b;
const CLOSE_DOCUMENT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/// The values that Extended JSON writes as a document, by their first field.
const TYPES = new Set([
  "$oid", "$numberInt", "$numberLong", "$numberDouble", "$numberDecimal", "$date", "$binary", "$timestamp",
  "$regularExpression", "$minKey", "$maxKey", "$symbol", "$code", "$undefined",
]);

/// A document that stands for one value has fewer marks in it: brackets, commas and strings.
const MOST_MARKS = 1000;

/// A value: its place in the text. Its end is looked for when it is needed, since that reads all of
/// the value.
export class Value {
  #end;

  constructor(text, start) {
    this.text = text;
    this.start = start;
  }

  get end() {
    this.#end ??= valueEnd(this.text, this.start);
    return this.#end;
  }

  /// Returns `true` if it takes at most `most` characters. Reads little more than that.
  isWithin(most) {
    return this.#end === undefined ? valueEnd(this.text, this.start, most) !== undefined : this.#end - this.start <= most;
  }

  get raw() {
    return this.text.slice(this.start, this.end);
  }

  /// "document", "array", or "leaf" for all that has no parts of its own.
  get kind() {
    const first = this.text.charCodeAt(this.start);
    if (first === OPEN_ARRAY) return "array";
    return first === OPEN_DOCUMENT && !this.type ? "document" : "leaf";
  }

  /// The `$…` of a document that stands for one value.
  get type() {
    if (this.text.charCodeAt(this.start) !== OPEN_DOCUMENT) return undefined;
    const at = blank(this.text, this.start + 1);
    if (this.text.charCodeAt(at + 1) !== DOLLAR) return undefined;
    const name = this.text.slice(at + 1, stringEnd(this.text, at) - 1);
    // Code with a scope has a document in it, which may be large: it is shown as one.
    return TYPES.has(name) && isAlone(this.text, at) ? name : undefined;
  }

  /// The fields or elements in their order, read one by one.
  *parts() {
    const { text } = this;
    const named = text.charCodeAt(this.start) === OPEN_DOCUMENT;
    let at = blank(text, this.start + 1);
    for (let index = 0; at < text.length && !isClose(text.charCodeAt(at)); index += 1) {
      let name = index;
      if (named) {
        const end = stringEnd(text, at);
        name = text.slice(at, end);
        at = blank(text, blank(text, end) + 1);
      }
      const value = new Value(text, at);
      yield { name, value };
      at = blank(text, value.end);
      if (text.charCodeAt(at) === COMMA) at = blank(text, at + 1);
    }
  }

  /// Returns the number of fields or elements, counted in one pass.
  count() {
    const { text } = this;
    let at = blank(text, this.start + 1);
    if (isClose(text.charCodeAt(at))) return 0;
    let count = 1;
    for (let depth = 1; at < text.length && depth > 0; at += 1) {
      const char = text.charCodeAt(at);
      if (char === QUOTE) at = stringEnd(text, at) - 1;
      else if (isOpen(char)) depth += 1;
      else if (isClose(char)) depth -= 1;
      else if (char === COMMA && depth === 1) count += 1;
    }
    this.#end ??= at;
    return count;
  }

  /// The value of a field, if there is one.
  field(wanted) {
    const literal = JSON.stringify(wanted);
    if (this.text.charCodeAt(this.start) !== OPEN_DOCUMENT) return undefined;
    for (const { name, value } of this.parts()) {
      if (name === literal) return value;
    }
    return undefined;
  }
}

export function read(text) {
  return new Value(text, blank(text, 0));
}

/// A number's digits as they stand; undefined for anything else.
export function digits(value) {
  if (!value) return undefined;
  if (["$numberInt", "$numberLong", "$numberDouble"].includes(value.type)) return inner(value);
  return /^-?[0-9]/.test(value.raw) ? value.raw : undefined;
}

/// Returns the text of a leaf, and its type where the text does not show it.
export function shown(value, relaxed) {
  const { type, raw } = value;
  if (!type) return { text: raw, type: typeOf(raw) };
  return (relaxed && READABLE[type]?.(value)) || { text: compact(raw), type: "other" };
}

/// The whole value with two spaces for each level, canonical or relaxed; undefined if that takes
/// more than `most` characters.
export function print(value, relaxed, most = Infinity) {
  const out = [];
  let length = 0;
  const put = (...texts) => {
    for (const text of texts) {
      out.push(text);
      length += text.length;
    }
  };
  // The containers that are open, the innermost last. No recursion: a server may send any depth.
  const open = [];
  const begin = (part) => {
    if (part.kind === "leaf") {
      put((relaxed && RELAXED[part.type]?.(part)) || compact(part.raw));
      return;
    }
    const isArray = part.kind === "array";
    put(isArray ? "[" : "{");
    open.push({ parts: part.parts(), isArray, isEmpty: true });
  };
  begin(value);
  while (open.length > 0) {
    if (length > most) return undefined;
    const container = open.at(-1);
    const { done, value: part } = container.parts.next();
    if (done) {
      open.pop();
      if (!container.isEmpty) put(line(open.length));
      put(container.isArray ? "]" : "}");
    } else {
      put(container.isEmpty ? "" : ",", line(open.length), container.isArray ? "" : `${part.name}: `);
      container.isEmpty = false;
      begin(part.value);
    }
  }
  return out.join("");
}

/// Beyond MongoDB's own depth the indent stays, so that no text grows with the square of its depth.
function line(level) {
  return `\n${"  ".repeat(Math.min(level, 200))}`;
}

const READABLE = {
  $numberInt: (value) => ({ text: inner(value), type: "number" }),
  $numberLong: (value) => ({ text: inner(value), type: "number" }),
  $numberDouble: (value) => ({ text: inner(value), type: "number" }),
  $numberDecimal: (value) => ({ text: inner(value), type: "number", label: "decimal" }),
  $oid: (value) => ({ text: inner(value), type: "id", label: "ObjectId" }),
  $date: (value) => {
    const text = isoOf(value);
    return text && { text, type: "date", label: "date" };
  },
  $binary: (value) => {
    const [bytes, subtype] = [first(value).field("base64"), first(value).field("subType")];
    if (!bytes || !subtype) return undefined;
    const uuid = unquoted(subtype) === "04" && uuidOf(unquoted(bytes));
    return uuid ? { text: uuid, type: "id", label: "UUID" } : { text: unquoted(bytes), type: "other", label: "binary" };
  },
  $timestamp: (value) => {
    const [seconds, count] = [first(value).field("t"), first(value).field("i")].map((part) => part?.raw);
    return { text: `${seconds}, ${count}`, type: "date", label: "timestamp" };
  },
  $regularExpression: (value) => {
    const [pattern, options] = [first(value).field("pattern"), first(value).field("options")];
    return pattern && options && { text: `/${unquoted(pattern)}/${unquoted(options)}`, type: "other", label: "regular expression" };
  },
  $symbol: (value) => ({ text: first(value).raw, type: "text", label: "symbol" }),
  $code: (value) => ({ text: first(value).raw, type: "other", label: "code" }),
  $minKey: () => ({ text: "MinKey", type: "other" }),
  $maxKey: () => ({ text: "MaxKey", type: "other" }),
  $undefined: () => ({ text: "undefined", type: "other" }),
};

const RELAXED = {
  $numberInt: inner,
  $numberLong: inner,
  $numberDouble: (value) => (/^-?[0-9]/.test(inner(value)) ? inner(value) : undefined),
  $date: (value) => {
    const text = isoOf(value);
    // The format has ISO dates only from 1970 to 9999.
    return text && /^(19[7-9]|[2-9])/.test(text) ? `{"$date":"${text}"}` : undefined;
  },
};

function typeOf(raw) {
  if (raw.startsWith('"')) return "text";
  return /^-?[0-9]/.test(raw) ? "number" : "word";
}

function isoOf(value) {
  const content = first(value);
  const written = unquoted(content.field("$numberLong") ?? content);
  const time = new Date(/^-?\d+$/.test(written) ? Number(written) : written);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

function uuidOf(base64) {
  // 16 bytes.
  if (base64.length !== 24) return undefined;
  try {
    const hex = Array.from(atob(base64), (byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join("");
    return hex.length === 32 && hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  } catch {
    return undefined;
  }
}

/// The text in a value such as {"$numberInt":"5"}.
function inner(value) {
  return unquoted(first(value));
}

function first(value) {
  return value.parts().next().value.value;
}

/// A string's characters. Only for short ones: names and the texts of numbers, ids and dates.
export function unquoted(value) {
  const raw = typeof value === "string" ? value : value.raw;
  if (!raw.startsWith('"')) return raw;
  return raw.includes("\\") ? JSON.parse(raw) : raw.slice(1, -1);
}

/// The text without the blanks between its parts. A regular expression would overflow the stack on
/// a long string.
function compact(raw) {
  if (!raw.startsWith("{")) return raw;
  let [text, from] = ["", 0];
  for (let at = 0; at < raw.length;) {
    const char = raw.charCodeAt(at);
    if (char === QUOTE) {
      at = stringEnd(raw, at);
    } else if (char > 0x20) {
      at += 1;
    } else {
      text += raw.slice(from, at);
      at = blank(raw, at);
      from = at;
    }
  }
  return text + raw.slice(from);
}

/// Returns `true` if the field that begins here is the only one and holds little, as in all
/// documents that stand for one value.
function isAlone(text, at) {
  const content = blank(text, blank(text, stringEnd(text, at)) + 1);
  const end = valueEnd(text, content, Infinity, MOST_MARKS);
  return end !== undefined && isClose(text.charCodeAt(blank(text, end)));
}

function isOpen(char) {
  return char === OPEN_DOCUMENT || char === OPEN_ARRAY;
}

function isClose(char) {
  return char === CLOSE_DOCUMENT || char === CLOSE_ARRAY;
}

/// The next place that is not blank.
function blank(text, at) {
  let next = at;
  while (text.charCodeAt(next) <= 0x20) next += 1;
  return next;
}

/// Behind the string that begins here.
function stringEnd(text, start) {
  for (let at = start; ;) {
    at = text.indexOf('"', at + 1);
    if (at < 0) return text.length;
    let before = at;
    while (text.charCodeAt(before - 1) === BACKSLASH) before -= 1;
    if ((at - before) % 2 === 0) return at + 1;
  }
}

/// Behind the value that begins here; undefined if it has more characters or marks than these. A
/// loop, so that no depth is too deep.
function valueEnd(text, start, most = Infinity, marks = Infinity) {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return within(start, stringEnd(text, start), most);
  if (!isOpen(first)) return within(start, wordEnd(text, start), most);
  let left = marks;
  for (let at = start, depth = 0; at < text.length;) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) {
      at = stringEnd(text, at);
      left -= 1;
      continue;
    }
    at += 1;
    if (isOpen(char)) depth += 1;
    else if (isClose(char)) depth -= 1;
    else if (char !== COMMA) continue;
    left -= 1;
    if (depth === 0) return within(start, at, most);
    if (left < 0 || at - start > most) return undefined;
  }
  return text.length;
}

function within(start, end, most) {
  return end - start <= most ? end : undefined;
}

/// Behind a number, true, false or null.
function wordEnd(text, start) {
  let at = start;
  for (; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (char <= 0x20 || char === COMMA || isClose(char)) break;
  }
  return at;
}
