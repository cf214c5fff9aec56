import assert from "node:assert/strict";
import { test } from "node:test";

import { summarized } from "../../www/cluster_view.js";
import { lineAt, placeOf } from "../../www/editor.js";
import { commandIn, linkTo } from "../../www/share.js";
import { ago, lasted, milliseconds } from "../../www/time.js";
import * as verdicts from "../../www/verdict.js";
import { ended, sentence } from "../../www/words.js";

const tried = (more) => ({ url: "ws://a:1/v1", ms: 3, hinted: false, sent: false, outcome: "not_executed", text: "", ...more });

test("a row's kind follows what became of the command", () => {
  const kinds = [
    [{ code: "executed", outcome: "executed", sent: true }, "done", "Executed"],
    [{ code: "answered", outcome: "not_executed" }, "done", "Answered"],
    [{ code: "not_coordinator" }, "next", "Not the coordinator"],
    [{ code: "unreachable" }, "failed", "Not reachable"],
    [{ code: "connect_timeout" }, "failed", "Timed out"],
    [{ code: "overtaken" }, "idle", "Overtaken"],
    [{ code: "lost", outcome: "unknown", sent: true }, "unknown", "Unknown"],
    [{ code: "cancelled" }, "idle", "Cancelled"],
    [{ code: "cancelled", outcome: "unknown", sent: true }, "unknown", "Unknown"],
    [{ code: "command_not_allowed", sent: true }, "failed", "Refused"],
    [{ code: "from_the_future", outcome: "unknown" }, "unknown", "Unknown"],
    [{ code: "from_the_future" }, "failed", "Refused"],
  ];
  for (const [given, kind, title] of kinds) {
    const words = ended(tried(given));
    assert.deepEqual([words.kind, words.title], [kind, title], JSON.stringify(given));
  }
});

test("a row does not say twice that a server is not the coordinator", () => {
  const text = (said) => ended(tried({ code: "not_coordinator", text: said })).text;
  assert.equal(text("is a follower; coordinator is s1 at ws://a:1/v1"), "s1 is");
  assert.equal(text("is a follower; coordinator is s1"), "s1 is");
  assert.equal(text("is in an election and knows no coordinator"), "it is in an election and knows no coordinator");
});

test("of a text that has megabytes the beginning is shown", () => {
  const long = "a".repeat(5_000_000);
  assert.ok(sentence(long).length < 2100);
  // Each of these could be where the name of the coordinator begins.
  const row = ended(tried({ code: "not_coordinator", text: `is ${"; coordinator is a at ".repeat(200_000)}\n` }));
  assert.ok(row.text.length < 2100);
  const { reason, hint } = verdicts.failure({ outcome: "not_executed", reason: long, hint: long }, { kind: "execute" });
  assert.ok(reason.length < 2100 && hint.length < 2100);
  const answer = { replayed: false, epoch: 1, server: "ws://a:1/v1", attempts: [{ url: "ws://a:1/v1", server: long }] };
  assert.ok(verdicts.executed(answer, 1).reason.length < 2100);
});

test("only an unsettled command is offered again", () => {
  const error = (more) => ({ message: "m", reason: "r", hint: "Do this.", code: "x", ...more });
  const ways = (given, attempt) => verdicts.failure(error(given), { kind: "execute", ...attempt }).again;
  assert.deepEqual(ways({ outcome: "unknown", id: "1" }), ["check", "same", "new"]);
  assert.deepEqual(ways({ outcome: "not_executed", id: "1" }), []);
  assert.deepEqual(ways({ outcome: "executed", id: "1", code: "overloaded" }), ["same"]);
  assert.deepEqual(ways({ outcome: "executed", id: "1", code: "reply_not_kept" }), []);
  assert.deepEqual(ways({ outcome: "unknown" }, { kind: "check", id: "1" }), ["check", "same", "new"]);
});

test("an error of the page itself settles nothing once the command was sent", () => {
  const crash = new Error("boom");
  assert.equal(verdicts.failure(crash, { kind: "execute", id: "1" }).outcome, "unknown");
  assert.equal(verdicts.failure(crash, { kind: "execute" }).outcome, "not_executed");
});

test("a command that only reads has no effect, whatever became of it", () => {
  for (const command of ['{"find":"c"}', '{"transaction":[{"count":"c"}]}']) {
    const { outcome, title, hint, again } = verdicts.failure({ outcome: "unknown", id: "1", reason: "r", hint: "Ask." }, { kind: "execute", id: "1", command });
    assert.deepEqual([outcome, title, again], ["not_executed", "No reply", []]);
    assert.match(hint, /no effect/);
  }
  const write = verdicts.failure({ outcome: "unknown", id: "1", reason: "r" }, { kind: "execute", id: "1", command: '{"insert":"c"}' });
  assert.equal(write.outcome, "unknown");
});

test("codes that name what every object has are codes like others", () => {
  for (const code of ["constructor", "__proto__", "toString"]) {
    assert.equal(ended(tried({ code })).title, "Refused");
    assert.equal(typeof ended(tried({ code, text: "t" })).text, "string");
  }
});

test("what MongoDB refused is counted from one", () => {
  const mongo = { code: 11000, codeName: "DuplicateKey", message: "m", index: 1, command: 0 };
  const { hint } = verdicts.failure({ outcome: "not_executed", reason: "r", hint: "", mongo }, { kind: "execute" });
  assert.equal(hint, "It was command 1 of the list. It was entry 2 of the command.");
});

test("an outcome in words", () => {
  const outcomeResult = (more) => ({ server: "ws://a:1/v1", attempts: [{ url: "ws://a:1/v1", server: "s1" }], ...more });
  const done = verdicts.outcomeResult(outcomeResult({ outcome: "executed", epoch: 3, resultText: "{}" }), '{"insert":"c"}');
  assert.equal(done.reason, "s1 says: it was executed in epoch 3.");
  assert.deepEqual(done.again, []);
  const read = verdicts.outcomeResult(outcomeResult({ outcome: "not_executed" }), '{"find":"c"}');
  assert.match(read.hint, /only read/);
  assert.deepEqual(read.again, []);
  assert.match(verdicts.outcomeResult(outcomeResult({ outcome: "not_executed" }), '{"insert":"c"}').hint, /same id/);
  assert.equal(verdicts.outcomeResult(outcomeResult({ outcome: "unknown" }), "{}").outcome, "unknown");
});

test("a link holds the command and nothing else, and gives it back as it was", () => {
  const command = '{ "find" :  "a",\n\t"filter": {"%": "é #&=\\u0000 😀"} }';
  const link = new URL(linkTo(command, "http://127.0.0.1:7001/?x=1#old"));
  assert.equal(link.href.replace(link.hash, ""), "http://127.0.0.1:7001/?x=1");
  assert.equal(commandIn(link.hash), command);
  assert.equal(commandIn("#servers"), undefined);
  assert.equal(commandIn("#command=%E0%A4%A"), null);
  const half = new URL(linkTo("a\ud83d😀", "http://127.0.0.1:7001/"));
  assert.equal(commandIn(half.hash), "a\ufffd😀");
});

test("one sentence says who is coordinator", () => {
  const server = (role, epoch, more) => ({ url: "ws://a/v1", silentSince: null, status: { server: `s${epoch}`, role, epoch, peers: [] }, ...more });
  assert.equal(summarized([server("coordinator", 1), server("coordinator", 2)]), "s2 is coordinator in epoch 2");
  assert.equal(summarized([server("coordinator", 1, { silentSince: 5 }), server("follower", 1)]), "No coordinator at the moment");
  assert.equal(summarized([server("coordinator", 1, { silentSince: 5 })]), "No server answers");
  assert.equal(summarized([{ url: "ws://a/v1", status: null, silentSince: null }]), "Asking the servers");
  assert.equal(summarized([]), "No servers listed");
});

test("a place in the text from line and column", () => {
  const text = '{\n  "a": "😀", x\n}';
  assert.equal(text.slice(placeOf(text, 2, 13)), "x\n}");
  assert.equal(text.slice(placeOf(text, 1, 1)), text);
  assert.equal(placeOf(text, 99, 99), text.length);
});

test("a new line is indented like the last one, and deeper inside a bracket", () => {
  assert.equal(lineAt("{", 1).indent, "  ");
  assert.equal(lineAt("{\n  \"a\": 1,", 11).indent, "  ");
  assert.equal(lineAt("{\n  \"a\": [ ", 11).indent, "    ");
  assert.equal(lineAt("a", 1).indent, "");
});

test("times as people say them", () => {
  assert.deepEqual([0, 59_999, 60_000, 7_200_000, 200_000_000, -5].map(lasted), ["0 s", "59 s", "1 min", "2 h", "2 d", "0 s"]);
  assert.equal(ago(1000), "just now");
  assert.equal(ago(180_000), "3 min ago");
  assert.deepEqual([12.4, 9999, 12_345].map(milliseconds), ["12 ms", "9999 ms", "12.3 s"]);
});
