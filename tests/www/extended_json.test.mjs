import assert from "node:assert/strict";
import { test } from "node:test";

import { print, read, shown } from "../../www/extended_json.js";

const relaxed = (text) => shown(read(text), true);

test("fields keep their order and integers their digits", () => {
  const text = '{"10":{"$numberLong":"9007199254740993"},"2":{"$numberDouble":"1.0"},"b":1,"a":[1,2]}';
  assert.equal(print(read(text), false), `{
  "10": {"$numberLong":"9007199254740993"},
  "2": {"$numberDouble":"1.0"},
  "b": 1,
  "a": [
    1,
    2
  ]
}`);
  assert.match(print(read(text), true), /"10": 9007199254740993,\n {2}"2": 1\.0,/);
});

test("what is printed says the same as what was read", () => {
  const text = '{ "a" : [ ] , "b":{ }, "c": [[1],{"d":"}],{\\"[\\\\"}], "e": null, "é\\u0000": -1.5e3 , "f":"" }';
  assert.deepEqual(JSON.parse(print(read(text), false)), JSON.parse(text));
  assert.match(print(read(text), true), /"a": \[\],\n {2}"b": \{\},/);
});

test("quotes and backslashes do not end a text early", () => {
  const fields = [...read('{"a":"\\\\","b":"\\"","c":"\\\\\\"}","d":2}').parts()];
  assert.deepEqual(fields.map(({ name, value }) => [name, value.raw]), [
    ['"a"', '"\\\\"'], ['"b"', '"\\""'], ['"c"', '"\\\\\\"}"'], ['"d"', "2"],
  ]);
});

test("values are shown as people read them", () => {
  const cases = [
    ['{"$oid":"507f1f77bcf86cd799439011"}', "507f1f77bcf86cd799439011", "ObjectId"],
    ['{"$numberInt":"-5"}', "-5", undefined],
    ['{"$numberLong":"-9223372036854775808"}', "-9223372036854775808", undefined],
    ['{"$numberDouble":"-0.0"}', "-0.0", undefined],
    ['{"$numberDouble":"NaN"}', "NaN", undefined],
    ['{"$numberDecimal":"1.10"}', "1.10", "decimal"],
    ['{"$date":{"$numberLong":"-1"}}', "1969-12-31T23:59:59.999Z", "date"],
    ['{"$date":"2024-02-29T00:00:00Z"}', "2024-02-29T00:00:00.000Z", "date"],
    ['{"$binary":{"base64":"AAECAwQFBgcICQoLDA0ODw==","subType":"04"}}', "00010203-0405-0607-0809-0a0b0c0d0e0f", "UUID"],
    ['{"$binary":{"base64":"AAE=","subType":"00"}}', "AAE=", "binary"],
    ['{"$timestamp":{"t":1700000000,"i":2}}', "1700000000, 2", "timestamp"],
    ['{"$regularExpression":{"pattern":"a\\\\d","options":"i"}}', "/a\\d/i", "regular expression"],
    ['{"$minKey":1}', "MinKey", undefined],
    ['"a\\nb"', '"a\\nb"', undefined],
    ["true", "true", undefined],
  ];
  for (const [text, expected, label] of cases) {
    const { text: found, label: foundLabel } = relaxed(text);
    assert.deepEqual([found, foundLabel], [expected, label], text);
    assert.equal(shown(read(text), false).text, text);
  }
});

test("a date beyond what JavaScript can say stays as it is", () => {
  const far = '{"$date":{"$numberLong":"9223372036854775807"}}';
  assert.equal(relaxed(far).text, far);
  assert.equal(print(read(far), true), far);
  // Relaxed Extended JSON writes years before 1970 as numbers.
  assert.equal(print(read('{"$date":{"$numberLong":"-1"}}'), true), '{"$date":{"$numberLong":"-1"}}');
  assert.equal(print(read('{"$date":{"$numberLong":"0"}}'), true), '{"$date":"1970-01-01T00:00:00.000Z"}');
});

test("a leaf of many megabytes is shown and printed", () => {
  const bytes = "A".repeat(15_000_000);
  const leaves = [
    [`{ "$binary" : {"base64": "${bytes}", "subType": "00"} }`, `{"$binary":{"base64":"${bytes}","subType":"00"}}`],
    [`{"$binary":{"base64":"${bytes}","subType":"04"}}`, `{"$binary":{"base64":"${bytes}","subType":"04"}}`],
    [`{"$symbol": "${"\\\"".repeat(4_000_000)}"}`, `{"$symbol":"${"\\\"".repeat(4_000_000)}"}`],
    [`{"$code"${" ".repeat(4_000_000)}: "f"}`, '{"$code":"f"}'],
    [`{"$numberLong": "${"9".repeat(15_000_000)}"}`, `{"$numberLong":"${"9".repeat(15_000_000)}"}`],
    [`"${"\\u00e9".repeat(1_000_000)}"`, `"${"\\u00e9".repeat(1_000_000)}"`],
  ];
  // Compared by hand: a report of a difference would take all memory.
  for (const [text, expected] of leaves) {
    assert.ok(shown(read(text), false).text === expected, text.slice(0, 40));
    assert.ok(print(read(text), false) === expected, text.slice(0, 40));
    assert.ok(shown(read(text), true).text.length > 0, text.slice(0, 40));
  }
});

test("only what stands for one value is taken for one", () => {
  for (const text of ['{"$set":{"a":1}}', '{"$oid":"x","b":1}', '{"a":{"$oid":"x"}}', '{"$code":"f","$scope":{}}', "{}"]) {
    assert.equal(read(text).kind, "document", text);
  }
  assert.equal(read('{"$code":"f"}').kind, "leaf");
});

test("no depth is too deep", () => {
  const deep = "[".repeat(10_000) + "]".repeat(10_000);
  const printed = print(read(deep), true);
  assert.equal(printed.replace(/\s/g, ""), deep);
  assert.ok(printed.length < 500 * deep.length, "the indent grows without end");
});

test("printing stops where it takes more than is wanted", () => {
  const deep = "[".repeat(1_000_000) + "]".repeat(1_000_000);
  assert.equal(print(read(deep), true, 10_000), undefined);
  assert.equal(print(read("[1]"), true, 10_000), "[\n  1\n]");
});

test("parts are counted as they are read", () => {
  for (const text of ["[]", "{}", "[ ]", "[1]", '[ "a,]" , {"b":[1,2]}, 3 ]', '{"a,":",","b":[],"c":{"d":1,"e":2}}', '["\\\"",1]']) {
    assert.equal(read(text).count(), [...read(text).parts()].length, text);
    assert.equal(read(text).end, text.length, text);
  }
});

test("a value that only begins like one of Extended JSON is a document, however much is in it", () => {
  const levels = 100_000;
  const text = `${'{"$oid":'.repeat(levels)}1${"}".repeat(levels)}`;
  assert.equal(read(text).kind, "document");
  assert.equal(read(`{"$binary":{"base64":"${"A".repeat(1_000_000)}","subType":"00"}}`).kind, "leaf");
  assert.equal(read(text).isWithin(100), false);
  assert.equal(read("[1,2]").isWithin(100), true);
});
