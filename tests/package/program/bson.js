// Objects of the package bson are written as its own `EJSON.stringify` writes them, and MongoDB
// stores them as what they are.

import assert from "node:assert/strict";

import * as bson from "bson";

import { execute, toExtendedJson } from "./client.js";

const [servers, _id] = process.argv.slice(2);
const oid = new bson.ObjectId("507f1f77bcf86cd799439011");
const document = {
  _id,
  oid,
  long: bson.Long.fromString("-9223372036854775808"),
  int: new bson.Int32(5),
  double: new bson.Double(5),
  negativeZero: new bson.Double(-0),
  nan: new bson.Double(NaN),
  decimal: bson.Decimal128.fromString("1.10"),
  binary: new bson.Binary(Uint8Array.of(0, 255), 128),
  uuid: new bson.UUID("00010203-0405-0607-0809-0a0b0c0d0e0f"),
  timestamp: new bson.Timestamp({ t: 4_294_967_295, i: 2 }),
  like: new bson.BSONRegExp("^a", "xi"),
  symbol: new bson.BSONSymbol("s"),
  code: new bson.Code("function () {}"),
  scoped: new bson.Code("f", { oid, list: [new bson.Int32(1)] }),
  reference: new bson.DBRef("notes", oid, "app", { more: new bson.Double(1) }),
  least: new bson.MinKey(),
  most: new bson.MaxKey(),
};

const written = JSON.parse(toExtendedJson(document));
const theirs = JSON.parse(bson.EJSON.stringify(document, { relaxed: false }));
assert.deepEqual(written, theirs);
assert.equal(Object.keys(written).length, 18);

await execute(servers, { insert: "values", documents: [document] });
const { resultText } = await execute(servers, { find: "values", filter: { _id, oid } });
const [found] = JSON.parse(resultText).cursor.firstBatch;
assert.deepEqual(found, theirs);
console.log("the same");
