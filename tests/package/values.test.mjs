// What the package does without a browser: values to Extended JSON and back. Tests of www/pkg, as it is published.

import assert from "node:assert/strict";
import test from "node:test";

import { fromExtendedJson, toExtendedJson } from "../../www/pkg/index.js";

test("values of JavaScript are written as what they are", () => {
  const value = {
    b: 1,
    a: [true, null, "ü", 1.5],
    long: 2n ** 63n - 1n,
    smallest: -(2n ** 63n),
    date: new Date("1969-12-31T23:59:59.999Z"),
    bytes: new Uint8Array([0, 255]),
    none: NaN,
    most: -Infinity,
    zero: -0,
    left_out: undefined,
  };
  assert.equal(
    toExtendedJson(value),
    '{"b":1,"a":[true,null,"ü",1.5],"long":{"$numberLong":"9223372036854775807"},'
      + '"smallest":{"$numberLong":"-9223372036854775808"},"date":{"$date":{"$numberLong":"-1"}},'
      + '"bytes":{"$binary":{"base64":"AP8=","subType":"00"}},"none":{"$numberDouble":"NaN"},'
      + '"most":{"$numberDouble":"-Infinity"},"zero":{"$numberDouble":"-0.0"}}',
  );
});

test("a view of bytes is written without what is around it", () => {
  const view = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
  assert.equal(toExtendedJson(view), '{"$binary":{"base64":"AgM=","subType":"00"}}');
});

test("many bytes are written", () => {
  const written = JSON.parse(toExtendedJson(new Uint8Array(300_000).fill(7)));
  assert.equal(atob(written.$binary.base64).length, 300_000);
});

test("what cannot be written exactly is refused", () => {
  assert.throws(() => toExtendedJson({ n: 2n ** 63n }), RangeError);
  assert.throws(() => toExtendedJson({ id: { _bsontype: "ObjectId" } }), TypeError);
  assert.throws(() => toExtendedJson({ at: new Date(NaN) }), Error);
});

test("Extended JSON is read into values of JavaScript", () => {
  const text = '{"int":{"$numberInt":"-5"},"double":{"$numberDouble":"1.5"},"none":{"$numberDouble":"NaN"},'
    + '"most":{"$numberDouble":"Infinity"},"safe":{"$numberLong":"9007199254740991"},'
    + '"long":{"$numberLong":"9007199254740993"},"date":{"$date":{"$numberLong":"86400000"}},'
    + '"relaxed":{"$date":"1970-01-02T00:00:00Z"}}';
  assert.deepEqual(fromExtendedJson(text), {
    int: -5,
    double: 1.5,
    none: NaN,
    most: Infinity,
    safe: 9007199254740991,
    long: 9007199254740993n,
    date: new Date(86_400_000),
    relaxed: new Date(86_400_000),
  });
});

test("what JavaScript has no value for stays as it is, and can be sent back", () => {
  const text = '{"_id":{"$oid":"66a5b6c7d8e9f0a1b2c3d4e5"},"price":{"$numberDecimal":"1.10"},'
    + '"bytes":{"$binary":{"base64":"AP8=","subType":"00"}},"at":{"$timestamp":{"t":1,"i":2}},'
    + '"like":{"$regularExpression":{"pattern":"^a","options":"i"}},"least":{"$minKey":1},'
    + '"far":{"$date":{"$numberLong":"9007199254740993"}}}';
  const read = fromExtendedJson(text);
  assert.equal(read._id.$oid, "66a5b6c7d8e9f0a1b2c3d4e5");
  assert.deepEqual(JSON.parse(toExtendedJson(read)), JSON.parse(text));
});

test("a document that only looks like Extended JSON stays a document", () => {
  const text = '{"a":{"$numberInt":"1","more":true},"b":{"$date":{"nested":1}},"c":{},"d":[]}';
  assert.deepEqual(fromExtendedJson(text), JSON.parse(text));
});

test("a field called __proto__ is a field", () => {
  const read = fromExtendedJson('{"__proto__":{"$numberInt":"1"}}');
  assert.equal(Object.getOwnPropertyDescriptor(read, "__proto__").value, 1);
  assert.equal(toExtendedJson(read), '{"__proto__":1}');
});
