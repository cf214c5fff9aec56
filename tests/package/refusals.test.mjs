// Values that have no meaning in MongoDB are refused, each with its place. Tests of www/pkg, as it
// is published.

import assert from "node:assert/strict";
import test from "node:test";
import { runInNewContext } from "node:vm";

import { toExtendedJson } from "../../www/pkg/index.js";

function refusal(value) {
  try {
    return `written: ${toExtendedJson(value)}`;
  } catch (error) {
    return error;
  }
}

class Point {
  x = 1;
}

class Rootless extends null {}

class Old {
  get _bsontype() {
    return "ObjectID";
  }

  toJSON() {
    return "507f1f77bcf86cd799439011";
  }
}

const detached = new Uint8Array(2);
structuredClone(detached.buffer, { transfer: [detached.buffer] });

test("what has no meaning is refused, whatever JSON makes of it", () => {
  const foreign = runInNewContext("({ map: new Map([[1, 2]]), error: new Error('x'), none: undefined, call: () => 1 })");
  const cases = [
    [undefined, /is undefined; leave it out, or write null/],
    [() => 1, /is a function/],
    [Symbol("x"), /is a symbol/],
    [new Map([[1, 2]]), /of the class Map/],
    [new Set([1]), /of the class Set/],
    [new WeakMap(), /of the class WeakMap/],
    [new WeakSet(), /of the class WeakSet/],
    [new Error("x"), /of the class Error/],
    [Promise.resolve(1), /of the class Promise/],
    [new URLSearchParams("a=1"), /of the class URLSearchParams/],
    [new Point(), /of the class Point/],
    [Object.create({ inherited: 1 }), /inherits from another object/],
    [Object.create(Object.assign(Object.create(null), { inherited: 1 })), /inherits from another object/],
    [Object.create(Object.create(Object.create(null))), /inherits from another object/],
    [Object.create(Rootless.prototype), /of the class Rootless/],
    [Object.assign(Object.create({ inherited: 1 }), { own: 1 }), /inherits from another object/],
    [runInNewContext("Object.create({ inherited: 1 })"), /inherits from another object/],
    [[1].values(), /of the class Array Iterator/],
    [(function* () {})(), /of the class Generator/],
    [(function () { return arguments; })(1), /of the class Arguments/],
    [globalThis, /of the class global/],
    [Math, /of the class Math/],
    [foreign.map, /of the class Map/],
    [foreign.error, /of the class Error/],
    [foreign.none, /is undefined/],
    [foreign.call, /is a function/],
    [new Float64Array(1), /is a Float64Array; write its numbers/],
    [new Uint16Array(1), /is a Uint16Array/],
    [new BigInt64Array(1), /is a BigInt64Array/],
    [detached, /detached/],
    [/a/g, /the flag g/],
    [/a/y, /the flag y/],
    [/a/d, /the flag d/],
    [new Date(NaN), /is a Date that is no date/],
    [2n ** 63n, /does not fit into 64 bits/],
    [-(2n ** 63n) - 1n, /does not fit into 64 bits/],
    ["\ud83d", /half of a surrogate pair/],
    [{ "\ude00": 1 }, /half of a surrogate pair/],
    [{ [Symbol("ne")]: 5 }, /a field whose name is Symbol\(ne\)/],
    [{ _bsontype: "ObjectId", id: "507f1f77bcf86cd799439011" }, /a field _bsontype/],
    [new Old(), /too old/],
    [Object.assign([1], { more: 2 }), /of the class Array and has a field more/],
    [Object.assign([1], { [Symbol("more")]: 2 }), /of the class Array and has a field Symbol\(more\)/],
    [Object.assign(new Date(), { zone: "UTC" }), /of the class Date and has a field zone/],
    [Object.assign(new Date(), { [Symbol("zone")]: 1 }), /of the class Date and has a field Symbol\(zone\)/],
    [Object.assign(new Date(), { toJSON: () => "x" }), /of the class Date and has a field toJSON/],
    [runInNewContext("Object.assign(new Date(), { zone: 1 })"), /of the class Date and has a field zone/],
    [Object.assign(/a/, { options: "i" }), /of the class RegExp and has a field options/],
    [Object.assign(new ArrayBuffer(2), { subType: 4 }), /of the class ArrayBuffer and has a field subType/],
    [Object.assign(new SharedArrayBuffer(2), { subType: 4 }), /of the class SharedArrayBuffer and has a field subType/],
    [Object.assign(new DataView(new ArrayBuffer(2)), { subType: 4 }), /of the class DataView and has a field subType/],
    [Object.assign(new Number(5), { unit: "kg" }), /of the class Number and has a field unit/],
    [Object.assign(new String("ab"), { lang: "en" }), /of the class String and has a field lang/],
    [new Proxy(new Date(), {}), /not a Date/],
    [new Proxy(new Map(), {}), /of the class Map/],
  ];
  for (const [value, problem] of cases) {
    const error = refusal({ a: [null, value] });
    assert(error instanceof Error, `${String(problem)}: ${error}`);
    assert.match(error.message, problem);
    assert(error.message.startsWith("a[1]"), error.message);
    assert(error.path.startsWith("a[1]"), error.path);
  }
});

test("the place is named in the writer's own value", () => {
  const place = (value) => refusal(value).path;
  assert.equal(place({ delete: "notes", deletes: [{ q: { owner: undefined }, limit: 0 }] }), "deletes[0].q.owner");
  assert.equal(place({ find: "notes", filter: { "a.b": { $in: [1, , 3] } } }), 'filter["a.b"].$in[1]');
  assert.equal(place({ 0: { "": { 'x"y': undefined } } }), '["0"][""]["x\\"y"]');
  assert.equal(place({ é: { toJSON: () => ({ b: undefined }) } }), "é.b");
  assert.equal(place(undefined), "");
  assert.match(refusal(undefined).message, /^the value is undefined/);
});

test("objects that cannot be read are refused, with what was thrown", () => {
  const boom = new Error("boom");
  const cases = [
    [{ get a() { throw boom; } }, "a", /boom/],
    [{ a: { toJSON() { throw boom; } } }, "a", /boom/],
    [{ a: { toExtendedJSON() { throw boom; } } }, "a", /boom/],
    [{ a: new Proxy({}, { ownKeys() { throw boom; } }) }, "a", /boom/],
    [{ a: new Proxy({}, { getPrototypeOf() { throw boom; } }) }, "a", /boom/],
    [{ get a() { throw undefined; } }, "a", /undefined/],
  ];
  for (const [value, path, problem] of cases) {
    const error = refusal(value);
    assert.match(error.message, problem);
    assert.equal(error.path, path);
  }
  assert.equal(refusal(cases[0][0]).cause, boom);
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  assert.equal(refusal({ a: proxy }).path, "a");
});

test("a value that contains itself is refused, one that stands in two places is not", () => {
  const cycle = { a: [{}] };
  cycle.a[0].b = cycle;
  assert.match(refusal(cycle).message, /^a\[0\]\.b contains itself/);
  const endless = { toJSON: () => ({ again: endless }) };
  assert.match(refusal({ endless }).message, /contains itself/);
  const fresh = () => ({ toJSON: () => ({ a: fresh() }) });
  assert.match(refusal(fresh()).message, /nested deeper than 250 levels/);
  const shared = { x: 1 };
  assert.equal(toExtendedJson([shared, shared]), '[{"x":1},{"x":1}]');
});

test("a value that is nested too deep is refused, and its place is shortened", () => {
  const nested = (levels) => {
    let value = 1;
    for (let level = 0; level < levels; level += 1) value = { a: value };
    return value;
  };
  assert.equal(JSON.stringify(nested(250)), toExtendedJson(nested(250)));
  for (const levels of [251, 100_000]) {
    const { message, path } = refusal(nested(levels));
    assert.match(message, /nested deeper than 250 levels/);
    assert(message.length < 300, message);
    assert.equal(path.length, 499);
  }
});
