import assert from "node:assert/strict";
import { test } from "node:test";

import { knownServers, statusAddress, statusIn } from "../../www/cluster.js";
import { summarized } from "../../www/cluster_view.js";

const sound = {
  server: "s1", role: "coordinator", epoch: 3, number: "5", since_ms: 1000, coordinator: { server: "s1", url: "ws://a/v1" },
  peers: [{ server: "s2", url: "ws://b/v1", number: "4", connected: true }], mongodb: { available: false, primary: null, error: "gone" },
};

test("a server's status is read", () => {
  assert.deepEqual(statusIn(sound), {
    server: "s1", role: "coordinator", epoch: 3, number: "5", since_ms: 1000,
    coordinator: { server: "s1", url: "ws://a/v1", connected: false },
    peers: [{ server: "s2", url: "ws://b/v1", connected: true }],
    mongodb: { available: false, error: "gone" },
  });
});

test("of an answer in another form, only what is sound is kept", () => {
  const odd = [null, 5, "x", true, [], {}, { server: 5 }, [null], -1, 1e300, "", "constructor", "__proto__", NaN];
  for (const [name, usual] of Object.entries(sound)) {
    for (const value of odd) {
      let status;
      try {
        status = statusIn({ ...sound, [name]: value });
      } catch (error) {
        assert(["server", "peers"].includes(name), `${name}: ${JSON.stringify(value)}: ${error}`);
        continue;
      }
      assert.deepEqual(Object.keys(status), Object.keys(sound));
      assert.equal(typeof status.role, "string");
      assert(status.since_ms === undefined || !Number.isNaN(new Date(status.since_ms).getTime()), `${value}`);
      assert(status.peers.every((peer) => typeof peer.server === "string" && typeof peer.connected === "boolean"));
      assert(status.number === undefined || BigInt(status.number) >= 0n);
      assert.equal(typeof summarized([{ url: "ws://a/v1", status, silentSince: null }]), "string", `${name}: ${usual}`);
    }
  }
  for (const none of [null, undefined, 5, "x", [], {}, { server: "s1" }, { server: "s1", peers: {} }]) {
    assert.throws(() => statusIn(none), JSON.stringify(none));
  }
});

test("what a server says at length is cut", () => {
  const peers = Array.from({ length: 1000 }, (_, at) => ({ server: `s${at}` }));
  const status = statusIn({ ...sound, peers, mongodb: { error: "x".repeat(1_000_000) } });
  assert.equal(status.peers.length, 100);
  assert.equal(status.mongodb.error.length, 500);
});

test("the status is asked for under the path that a proxy has put the server under", () => {
  assert.equal(statusAddress("ws://a:7001/v1"), "http://a:7001/status");
  assert.equal(statusAddress("wss://gate.example/s1/v1"), "https://gate.example/s1/status");
});

test("the page finds its own server under the path it came from", async (context) => {
  const asked = [];
  context.mock.method(globalThis, "fetch", async (address) => {
    asked.push(String(address));
    return Response.json({ ...sound, server: "s2", peers: [null, { server: "s0" }, { server: "s3", url: "ws://c/v1" }], coordinator: null });
  });
  globalThis.document = { baseURI: "https://gate.example/s1/?x=1#command=%7B%7D" };
  assert.deepEqual(await knownServers(), ["wss://gate.example/s1/v1", "ws://c/v1"]);
  assert.deepEqual(asked, ["https://gate.example/s1/status"]);
});
