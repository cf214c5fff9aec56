import assert from "node:assert/strict";
import { test } from "node:test";

import { LONGEST_HISTORY, Storage } from "../../www/storage.js";
import { close, forget, isInterrupted, isOpen, remember, settle } from "../../www/history.js";

/// The storage that a browser offers, with room for this number of characters.
function area(room = Infinity) {
  const kept = new Map();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, text) => {
      if (text.length > room) throw new Error("full");
      kept.set(key, text);
    },
  };
}

const entry = (id, more = {}) => ({ id, command: `{"insert":"${id}"}`, servers: ["ws://a/v1"], at: 1, outcome: "executed", ...more });

test("two tabs add to one history", () => {
  const shared = area();
  const [one, other] = [new Storage(shared), new Storage(shared)];
  one.update((state) => remember(state, entry("a")));
  other.update((state) => remember(state, entry("b")));
  one.update((state) => remember(state, entry("c")));
  assert.deepEqual(other.read().history.map(({ id }) => id), ["c", "b", "a"]);
});

test("without storage, or with a full one, memory does", () => {
  const forbidden = { getItem: () => null, setItem: () => { throw new Error("forbidden"); } };
  for (const place of [null, forbidden]) {
    const storage = new Storage(place);
    storage.update((state) => remember(state, entry("a")));
    storage.update((state) => remember(state, entry("b")));
    assert.deepEqual(storage.read().history.map(({ id }) => id), ["b", "a"]);
  }
});

test("old entries make room for new ones", () => {
  const small = area(2000);
  const storage = new Storage(small);
  for (let at = 0; at < 30; at += 1) storage.update((state) => remember(state, entry(`id-${at}`, { reason: "x".repeat(200) })));
  const kept = new Storage(small).read().history;
  assert.equal(kept[0].id, "id-29");
  assert.ok(kept.length > 1 && kept.length < 30);
});

test("no more than fifty are kept", () => {
  const place = area();
  const storage = new Storage(place);
  for (let at = 0; at < 60; at += 1) storage.update((state) => remember(state, entry(`id-${at}`)));
  assert.equal(JSON.parse(place.getItem("bellwether")).history.length, LONGEST_HISTORY);
  assert.equal(storage.read().history[0].id, "id-59");
});

test("garbage is nothing, and what is sound among it is kept", () => {
  const place = area();
  for (const text of ["{{{", "null", "5", "[]", "{}", '{"history":5}', '{"servers":{"a":1}}']) {
    place.setItem("bellwether", text);
    assert.deepEqual(new Storage(place).read(), { version: 1, history: [] }, text);
  }
  const mixed = { version: 1, servers: "a:1", history: [null, 5, {}, { ...entry("x"), servers: 5 }, entry("good"), { ...entry("y"), outcome: {} },
    { ...entry("z"), at: 1e300 }, { ...entry("v"), ms: {} }] };
  place.setItem("bellwether", JSON.stringify(mixed));
  assert.deepEqual(new Storage(place).read(), { version: 1, servers: "a:1", history: [entry("good")] });
});

test("a newer page's state is left alone", () => {
  const place = area();
  const newer = '{"version":2,"history":{"a":1}}';
  place.setItem("bellwether", newer);
  const storage = new Storage(place);
  storage.update((state) => remember(state, entry("a")));
  assert.equal(place.getItem("bellwether"), newer);
  assert.deepEqual(storage.read().history.map(({ id }) => id), ["a"]);
});

test("an id stands in the history once, and what is learnt of it is added", () => {
  let state = { history: [entry("a", { outcome: "running" }), entry("b")] };
  state = remember(state, entry("b", { outcome: "running" }));
  assert.deepEqual(state.history.map(({ id }) => id), ["b", "a"]);
  state = settle(state, "a", { outcome: "executed", ms: 5 });
  assert.equal(state.history[1].outcome, "executed");
  assert.equal(state.history[0].outcome, "running");
});

test("commands without an id do not replace each other", () => {
  const state = remember({ history: [entry(undefined, { at: 1 })] }, entry(undefined, { at: 2 }));
  assert.equal(state.history.length, 2);
});

test("a closed page leaves its commands to be settled", () => {
  const mine = entry("a", { outcome: "running", page: "p", until: 100 });
  const other = entry("b", { outcome: "running", page: "q", until: 100 });
  assert.equal(isInterrupted(mine, 50), false);
  assert.equal(isInterrupted(mine, 101), true, "its time is up");
  const { history } = close({ history: [mine, other] }, "p");
  assert.deepEqual(history.map((each) => isInterrupted(each, 50)), [true, false]);
  assert.equal(isInterrupted(entry("c", { outcome: "running" }), 50), true);
  assert.equal(isInterrupted(entry("d"), 500), false);
  assert.deepEqual([isOpen(mine, "p"), isOpen(mine, "q"), isOpen(entry("e", { outcome: "unknown" }), "p"), isOpen(entry("f"), "p")],
    [false, true, true, false]);
  assert.equal(isOpen(entry("g", { outcome: "unknown", command: '{"find":"c"}' }), "p"), false, "a read has no effect");
});

test("clearing the history keeps what is under way", () => {
  const running = entry("a", { outcome: "running", page: "p", until: Date.now() + 60_000 });
  const closed = entry("b", { outcome: "running", closed: true });
  assert.deepEqual(forget({ history: [running, closed, entry("c")] }).history, [running]);
});
