// The part of the package that needs no browser: values to Extended JSON and back. Tests of
// www/pkg, as it is published.

import assert from "node:assert/strict";
import test from "node:test";
import { runInNewContext } from "node:vm";

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

test("an integer that is not exact is written as the double it is", () => {
  assert.equal(
    toExtendedJson([2 ** 53 - 1, 2 ** 53, -(2 ** 60), 1e19, 1e300]),
    '[9007199254740991,{"$numberDouble":"9007199254740992"},{"$numberDouble":"-1152921504606847000"},'
      + '{"$numberDouble":"10000000000000000000"},{"$numberDouble":"1e+300"}]',
  );
});

test("a RegExp is written with the flags that MongoDB has", () => {
  assert.equal(toExtendedJson(/^a\/"\n/), '{"$regularExpression":{"pattern":"^a\\\\/\\"\\\\n","options":""}}');
  assert.equal(toExtendedJson({ $not: /é/sumi }), '{"$not":{"$regularExpression":{"pattern":"é","options":"imsu"}}}');
});

test("a RegExp's escapes that MongoDB does not know are written as the characters they mean", () => {
  const pattern = (like) => JSON.parse(toExtendedJson(like)).$regularExpression.pattern;
  assert.equal(pattern(/\u00e9\xe9[\u2028]\\u0041\U0041/), "é\\xe9[\u2028]\\\\u0041\\U0041");
  assert.equal(pattern(/\u002e\u0000/), "\\x2e\\x00");
  assert.equal(pattern(/\ud83d\ude00\u{1F600}\u{2e}/u), "😀😀\\x2e");
  assert.equal(pattern(/\u{5}/), "\\u{5}");
  assert.throws(() => toExtendedJson(/\ud83d/), /half of a surrogate pair/);
});

test("everything that holds single bytes is written as binary", () => {
  const bytes = Uint8Array.of(9, 1, 2, 9);
  const views = [
    bytes.subarray(1, 3), new DataView(bytes.buffer, 1, 2), Uint8ClampedArray.of(1, 2), Int8Array.of(1, 2), Buffer.from([1, 2]),
    Uint8Array.of(1, 2).buffer, new SharedArrayBuffer(2),
  ];
  const written = views.map((view) => JSON.parse(toExtendedJson(view)).$binary.base64);
  assert.deepEqual(written, ["AQI=", "AQI=", "AQI=", "AQI=", "AQI=", "AQI=", "AAA="]);
});

test("values of another realm are written as those of this one", () => {
  const text = `({
    at: new Date(5), like: /^a/i, bytes: new Uint8Array([1, 2]), buffer: new Uint8Array([1, 2]).buffer, long: 5n,
    list: [1, { a: new Date(6) }], none: null, bare: Object.create(null),
  })`;
  assert.equal(
    toExtendedJson(runInNewContext(text)),
    '{"at":{"$date":{"$numberLong":"5"}},"like":{"$regularExpression":{"pattern":"^a","options":"i"}},'
      + '"bytes":{"$binary":{"base64":"AQI=","subType":"00"}},"buffer":{"$binary":{"base64":"AQI=","subType":"00"}},'
      + '"long":{"$numberLong":"5"},"list":[1,{"a":{"$date":{"$numberLong":"6"}}}],"none":null,"bare":{}}',
  );
});

test("objects that say how they are written are taken at their word", () => {
  class Money {
    constructor(text) {
      this.text = text;
    }

    toExtendedJSON({ relaxed }) {
      return { $numberDecimal: this.text, relaxed };
    }
  }
  class Named {
    toJSON(name) {
      return { name, at: new Date(5) };
    }
  }
  class Itself {
    a = 1;

    toJSON() {
      return this;
    }
  }
  assert.equal(toExtendedJson([new Money("1.10")]), '[{"$numberDecimal":"1.10","relaxed":false}]');
  assert.equal(toExtendedJson({ x: [new Named()] }), '{"x":[{"name":"0","at":{"$date":{"$numberLong":"5"}}}]}');
  assert.equal(toExtendedJson({ x: new Itself() }), '{"x":{"a":1}}');
  assert.equal(toExtendedJson(new URL("http://a/b")), '"http://a/b"');
  assert.equal(toExtendedJson([new Number(5), new String("a"), new Boolean(false), Object(5n)]), '[5,"a",false,{"$numberLong":"5"}]');
});

test("an object has the fields that JSON.stringify sees", () => {
  const hidden = Object.defineProperties({ a: 1 }, { b: { value: 2 }, [Symbol("c")]: { value: 3 } });
  const read = { get a() { return 1; } };
  const bare = Object.assign(Object.create(null), { a: 1 });
  // As Node.js makes them of a query string: of a class without a name and without fields.
  const query = Object.assign(Object.create(Object.create(null)), { a: 1 });
  for (const value of [hidden, read, bare, query, Object.freeze({ a: 1 })]) {
    assert.equal(toExtendedJson(value), '{"a":1}');
    assert.equal(JSON.stringify(value), '{"a":1}');
  }
});

test("an object of a class that says how it is written may be an array or a Date", () => {
  class Page extends Array {
    toJSON() {
      return { rows: [...this] };
    }
  }
  class Day extends Date {
    toExtendedJSON() {
      return this.toISOString().slice(0, 10);
    }
  }
  class Moment extends Date {}
  assert.equal(toExtendedJson(Page.of(1, 2)), '{"rows":[1,2]}');
  assert.equal(toExtendedJson([new Day(0)]), '["1970-01-01"]');
  assert.equal(toExtendedJson(new Moment(5)), '{"$date":{"$numberLong":"5"}}');
});

test("a date that no Date holds comes back as it was, and is the same when it is sent again", () => {
  const last = 8_640_000_000_000_000n;
  for (const ms of [last + 1n, -last - 1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)]) {
    const text = `{"at":{"$date":{"$numberLong":"${ms}"}}}`;
    const read = fromExtendedJson(text);
    assert.deepEqual(read, JSON.parse(text));
    assert.equal(toExtendedJson(read), text);
  }
  for (const ms of [last, -last, 0n, -1n]) {
    const text = `{"at":{"$date":{"$numberLong":"${ms}"}}}`;
    assert.equal(fromExtendedJson(text).at.getTime(), Number(ms));
    assert.equal(toExtendedJson(fromExtendedJson(text)), text);
  }
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

test("what a server writes wrongly stays as it is", () => {
  const text = '{"a":{"$numberLong":"x"},"b":{"$numberDouble":"x"},"c":{"$numberInt":"0x"},"d":{"$date":"x"},"e":{"$numberLong":true},'
    + '"f":{"$numberInt":""},"g":{"$numberDouble":true},"h":{"$date":true},"i":{"$date":1.5},"j":{"$date":"5"},"k":{"$date":["2024-01-01"]}}';
  assert.deepEqual(fromExtendedJson(text), JSON.parse(text));
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
