import assert from "node:assert/strict";
import { test } from "node:test";

import { commandName, onlyReads, summary } from "../../www/summary.js";

const OK = '"ok":{"$numberDouble":"1.0"}';

test("a reply in one line", () => {
  const cases = [
    ['{"insert":"c"}', `{"n":{"$numberInt":"1"},${OK}}`, "1 document inserted"],
    ['{"delete":"c"}', `{"n":{"$numberInt":"0"},${OK}}`, "0 documents deleted"],
    ['{"update":"c"}', `{"n":{"$numberInt":"3"},"nModified":{"$numberInt":"2"},${OK}}`, "3 matched, 2 changed"],
    ['{"find":"c"}', `{"cursor":{"firstBatch":[{},{}],"id":{"$numberLong":"0"}},${OK}}`, "2 documents"],
    ['{"count":"c"}', `{"n":{"$numberInt":"12345"},${OK}}`, "12\u202f345 documents"],
    ['{"distinct":"c"}', `{"values":["a"],${OK}}`, "1 value"],
    ['{"transaction":[]}', `{"results":[{},{}],${OK}}`, "2 commands, executed as one"],
    ['{"findAndModify":"c"}', `{"value":null,${OK}}`, "no document matched"],
    ['{"drop":"c"}', `{${OK}}`, ""],
  ];
  for (const [command, reply, expected] of cases) assert.equal(summary(command, reply), expected, command);
});

test("a number that has megabytes is cut", () => {
  const digits = "9".repeat(5_000_000);
  const line = summary('{"count":"c"}', `{"n":{"$numberLong":"${digits}"}}`);
  assert.ok(line.length < 50, `${line.length} characters`);
});

test("lists in lists are looked at once", () => {
  const levels = 5000;
  assert.equal(onlyReads(`${'{"transaction":['.repeat(levels)}${"]}".repeat(levels)}`), false);
  assert.equal(onlyReads('{"transaction":[{"transaction":[{"find":"c"}]}]}'), false);
  assert.equal(onlyReads('{"transaction":[]}'), false);
});

test("a command's name is its first field", () => {
  assert.equal(commandName(' {\n "find" : "c", "insert": 1}'), "find");
  assert.equal(commandName("{}"), "");
  assert.equal(commandName("not a command"), "");
  assert.equal(onlyReads('{"aggregate":"c"}'), true);
  assert.equal(onlyReads('{"findAndModify":"c"}'), false);
});

test("a list of commands only reads if all of them do", () => {
  assert.equal(onlyReads('{"transaction":[{"find":"a"},{"count":"b"}]}'), true);
  assert.equal(onlyReads('{"transaction":[{"find":"a"},{"insert":"b"}]}'), false);
  for (const broken of ["", "{", "{}", "[]", "nonsense", '{"transaction":1}', '{"transaction"', '{"constructor":1}']) {
    assert.equal(onlyReads(broken), false, broken);
  }
});
