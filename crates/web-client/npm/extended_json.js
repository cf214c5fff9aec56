// Values of JavaScript as MongoDB Extended JSON, and back.

/**
 * The highest number of levels in a value. MongoDB stores at most 200 levels, and Extended JSON
 * adds objects of its own.
 */
const DEEPEST = 250;

/** The flags of a RegExp that mean the same as an option in MongoDB. */
const OPTIONS = "imsu";

/** The longest place that a message names in full, in characters. */
const LONGEST_PLACE = 200;

// A method of a built-in class works on the values of every realm, and fails on an object that only
// looks like one.
const timeOf = asked(Date, "getTime");
const patternOf = asked(RegExp, "source");
const lengthOf = asked(ArrayBuffer, "byteLength");
const sharedLengthOf = asked(globalThis.SharedArrayBuffer, "byteLength");

/**
 * Returns a function that calls a method or getter of the class on an object. It gives `undefined`
 * if the method refuses the object.
 */
function asked(type, name) {
  const { get, value = get } = Object.getOwnPropertyDescriptor(type?.prototype ?? {}, name) ?? {};
  return (object) => {
    try {
      return value.call(object);
    } catch {
      return undefined;
    }
  };
}

/** The reason why a value cannot be written. The place is added where all of it is known. */
class Refused {
  constructor(problem, type = TypeError) {
    this.problem = problem;
    this.type = type;
  }
}

/** Writes a value as MongoDB Extended JSON. */
export function toExtendedJson(value) {
  // The names that lead to the present value, and the objects that hold it.
  const at = { path: [], open: [] };
  try {
    return write(value, at);
  } catch (error) {
    const path = placeOf(at.path);
    const place = path.length > LONGEST_PLACE ? `${path.slice(0, LONGEST_PLACE / 2)}…${path.slice(-LONGEST_PLACE / 2)}` : path;
    const { problem = `cannot be read: ${error?.message}`, type = TypeError } = error instanceof Refused ? error : {};
    throw Object.assign(new type(`${place || "the value"} ${problem}`, { cause: error }), { path });
  }
}

function write(value, at) {
  switch (typeof value) {
    case "object":
      return value === null ? "null" : writeObject(value, at);
    case "string":
      return textOf(value);
    case "number":
      return numberOf(value);
    case "boolean":
      return String(value);
    case "bigint":
      if (BigInt.asIntN(64, value) !== value) throw new Refused("is a bigint that does not fit into 64 bits", RangeError);
      return `{"$numberLong":"${value}"}`;
    case "undefined":
      throw new Refused("is undefined; leave it out, or write null");
    default:
      throw new Refused(`is a ${typeof value}, which is no value in MongoDB`);
  }
}

function textOf(text) {
  if (/\p{Surrogate}/u.test(text)) throw new Refused("holds half of a surrogate pair, which cannot be written as UTF-8");
  return JSON.stringify(text);
}

/**
 * An integer that is not exact has been a double all along: its digits would be read as those of
 * another integer.
 */
function numberOf(value) {
  const isPlain = Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value);
  if (Object.is(value, -0)) return '{"$numberDouble":"-0.0"}';
  return isPlain ? String(value) : `{"$numberDouble":"${value}"}`;
}

function writeObject(value, at) {
  if (at.open.includes(value)) throw new Refused("contains itself");
  if (at.open.length === DEEPEST) throw new Refused(`is nested deeper than ${DEEPEST} levels`);
  at.open.push(value);
  const hasParts = isPlain(value) || Array.isArray(value) || typeof value.toExtendedJSON === "function";
  const written = (!hasParts && builtIn(value)) || writeParts(value, at);
  at.open.pop();
  return written;
}

/** Returns `true` for an object that has no class, of whatever realm, and inherits no fields. */
function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return (prototype === null || isRoot(prototype)) && Object.prototype.toString.call(value) === "[object Object]";
}

/**
 * Returns `true` for the `Object.prototype` of a realm, and for an empty object that inherits
 * nothing.
 */
function isRoot(prototype) {
  if (Object.getPrototypeOf(prototype) !== null) return false;
  return Object.hasOwn(prototype, "isPrototypeOf") || Reflect.ownKeys(prototype).length === 0;
}

/** Writes an object of a built-in class; `undefined` for all others. */
function builtIn(value) {
  const time = timeOf(value);
  if (time !== undefined) {
    if (Number.isNaN(time)) throw new Refused("is a Date that is no date", RangeError);
    refuseFields(value);
    return `{"$date":{"$numberLong":"${time}"}}`;
  }
  const pattern = patternOf(value);
  if (pattern !== undefined) {
    const other = Array.from(value.flags).find((flag) => !OPTIONS.includes(flag));
    if (other) throw new Refused(`is a RegExp with the flag ${other}, which is no option in MongoDB; it takes i, m, s and u`);
    refuseFields(value);
    return `{"$regularExpression":{"pattern":${textOf(unescaped(pattern, value.flags))},"options":"${value.flags}"}}`;
  }
  const bytes = bytesOf(value);
  return bytes && `{"$binary":{"base64":"${base64(bytes)}","subType":"00"}}`;
}

/**
 * MongoDB takes no `\u`, which Bun writes for every character that is not ASCII. The pattern gets
 * the character itself, or `\x` for one that could have a meaning. Without the flag u, `\u{5}` is
 * the letter u, five times.
 */
function unescaped(pattern, flags) {
  return pattern.replace(/\\(?:u([\da-fA-F]{4})|u\{([\da-fA-F]+)\}|[^])/g, (escape, short, long) => {
    const code = parseInt(short ?? (flags.includes("u") ? long : undefined), 16);
    if (Number.isNaN(code)) return escape;
    return code < 0x80 ? `\\x${code.toString(16).padStart(2, "0")}` : String.fromCodePoint(code);
  });
}

function bytesOf(value) {
  if (ArrayBuffer.isView(value)) {
    if (value.BYTES_PER_ELEMENT > 1) {
      throw new Refused(`is a ${nameOf(value)}; write its numbers with Array.from, or its bytes as a Uint8Array`);
    }
    // The bytes of a typed array are fields as well: to look for others would take a text for each
    // byte.
    if (!value.BYTES_PER_ELEMENT) refuseFields(value);
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  if (lengthOf(value) === undefined && sharedLengthOf(value) === undefined) return undefined;
  refuseFields(value);
  return new Uint8Array(value);
}

/**
 * Refuses an object that has fields in addition to its elements, of which it has `count`: MongoDB's
 * value cannot hold them.
 */
function refuseFields(value, count = 0) {
  const name = Object.keys(value)[count] ?? symbolIn(value);
  if (name !== undefined) {
    throw new Refused(`is of the class ${nameOf(value)} and has a field ${String(name)}, which would be lost; write both as fields of an object`);
  }
}

/**
 * A field whose name is a symbol, if there is one. Like all fields that are not enumerable, a
 * hidden one does not count.
 */
function symbolIn(value) {
  return Object.getOwnPropertySymbols(value).find((each) => Object.getOwnPropertyDescriptor(value, each)?.enumerable);
}

function base64(bytes) {
  let characters = "";
  for (let from = 0; from < bytes.length; from += 4096) characters += String.fromCharCode(...bytes.subarray(from, from + 4096));
  return btoa(characters);
}

function writeArray(array, at) {
  const written = [];
  for (let index = 0; index < array.length; index += 1) written.push(writePart(array, index, at));
  refuseFields(array, array.length);
  return `[${written}]`;
}

function writeParts(value, at) {
  if (Object.hasOwn(value, "_bsontype")) throw new Refused("has a field _bsontype, which is kept for the classes of the package bson");
  const convert = value.toExtendedJSON ?? (value._bsontype ? refuseOld() : value.toJSON);
  const isConverted = typeof convert === "function";
  // Canonical is meant by the argument. A toJSON gets its field's name.
  const other = isConverted ? convert.call(value, value.toExtendedJSON ? { relaxed: false } : String(at.path.at(-1) ?? "")) : value;
  if (other !== value) return write(other, at);
  if (Array.isArray(value)) return writeArray(value, at);
  if (!isConverted && !isPlain(value)) return writeBoxed(value);
  const symbol = symbolIn(value);
  if (symbol) throw new Refused(`has a field whose name is ${String(symbol)}, which is no name in MongoDB`);
  return `{${Object.keys(value).map((name) => `${JSON.stringify(name)}:${writePart(value, name, at)}`)}}`;
}

function refuseOld() {
  throw new Refused("is of a version of the package bson that is too old; use version 4 or newer");
}

function writePart(holder, name, at) {
  at.path.push(name);
  if (typeof name === "string") textOf(name);
  const written = write(holder[name], at);
  at.path.pop();
  return written;
}

/** Writes what `new Number(1)` and the like hold. Other objects of a class have no meaning. */
function writeBoxed(value) {
  const [, name] = /^\[object (String|Number|Boolean|BigInt)\]$/.exec(Object.prototype.toString.call(value)) ?? [];
  if (name) {
    refuseFields(value, name === "String" ? value.length : 0);
    return write(value.valueOf());
  }
  const type = nameOf(value);
  if (type === "Object") throw new Refused("inherits from another object, whose fields would be lost; write them as its own");
  throw new Refused(`is an object of the class ${type}, which is no value in MongoDB; write a plain object, an array or text`);
}

function nameOf(value) {
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  return (tag === "Object" && value.constructor?.name) || tag;
}

/** The place of a value as JavaScript writes it: `deletes[0].q["a.b"]`. */
function placeOf(path) {
  return path.reduce((place, name) => {
    if (typeof name === "number") return `${place}[${name}]`;
    if (!/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name)) return `${place}[${JSON.stringify(name)}]`;
    return place ? `${place}.${name}` : name;
  }, "");
}

/** Reads MongoDB Extended JSON into values. */
export function fromExtendedJson(text) {
  return JSON.parse(text, (_, value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    const [name, ...more] = Object.keys(value);
    const inner = value[name];
    if (more.length > 0 || (typeof inner !== "string" && name !== "$date")) return value;
    switch (name) {
      case "$numberInt":
      case "$numberDouble": {
        const number = Number(inner || NaN);
        return Number.isNaN(number) && inner !== "NaN" ? value : number;
      }
      case "$numberLong": {
        if (!/^-?\d+$/.test(inner)) return value;
        const long = BigInt(inner);
        return Number.isSafeInteger(Number(long)) ? Number(long) : long;
      }
      case "$date": {
        // Its number has been read by now. If no Date can hold it, it is written as it was.
        const isCount = typeof inner === "bigint" || Number.isSafeInteger(inner);
        const isText = typeof inner === "string" && /^\d{4}-/.test(inner);
        const date = new Date(isCount ? Number(inner) : isText ? inner : NaN);
        if (!Number.isNaN(date.getTime())) return date;
        return isCount ? { $date: { $numberLong: String(inner) } } : value;
      }
      default:
        return value;
    }
  });
}
