"""Values and addresses, as text."""

import datetime
import json
import re
import uuid
from typing import Any
from unittest import TestCase

import bson
import bson.datetime_ms
from bson import json_util

from bellwether_client._frames import address, check_text, command_text, decode, make_id, parse


class Values(TestCase):
    def test_every_value_comes_back(self) -> None:
        value: dict[str, Any] = {
            "int": 1,
            "long": bson.Int64(2),
            "large": 2**62,
            "double": 3.0,
            "date": datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.UTC),
            "far": bson.datetime_ms.DatetimeMS(2**60),
            "id": bson.ObjectId(),
            "bytes": b"\x00\xff",
            "uuid": uuid.uuid4(),
            "decimal": bson.Decimal128("1.50"),
            "time": bson.Timestamp(1, 2),
            "pattern": bson.Regex("^a", "i"),
            "list": [None, True, bson.MaxKey()],
            "min": bson.MinKey(),
        }
        came = decode(json.loads(command_text(value)))
        self.assertEqual(came, value)
        self.assertIsInstance(came["long"], bson.Int64)
        self.assertIsInstance(came["double"], float)
        self.assertEqual(list(came), list(value))

    def test_a_pattern_of_python_is_written(self) -> None:
        text = command_text({"find": "a", "filter": {"x": re.compile("^a", re.ASCII)}})
        self.assertIn('{"$regularExpression":{"pattern":"^a","options":""}}', text)

    def test_what_bson_does_not_have_is_refused(self) -> None:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        values: list[Any] = [{1, 2}, object(), 2**64, {1: "a"}, "\ud800", {"a\0b": 1}, deep]
        for value in values:
            with (
                self.subTest(type(value)),
                self.assertRaises((TypeError, ValueError, OverflowError, bson.errors.BSONError)),
            ):
                command_text({"insert": "a", "documents": [{"x": value}]})

    def test_extended_json_is_written_as_it_is(self) -> None:
        for text in [
            '{"$regex":"^a"}',
            '{"$regex":"^a","$options":"i"}',
            '{"$uuid":"c8edabc3-f738-4ca3-b68d-ab92a91478a3"}',
            '{"$oid":"5f3e2d1c0b0a090807060504"}',
            '{"$date":"2026-11-22T10:00:00Z"}',
            '{"$date":{"$numberLong":"-1"}}',
            '{"$timestamp":{"t":1,"i":2}}',
            '{"$binary":{"base64":"AQID","subType":"80"}}',
            '{"$regularExpression":{"pattern":"^a","options":"im"}}',
            '{"$code":"x","$scope":{"a":1}}',
            '{"$dbPointer":{"$ref":"c","$id":{"$oid":"5f3e2d1c0b0a090807060504"}}}',
            '{"$symbol":"s"}',
            '{"$undefined":true}',
            '{"$minKey":1}',
            '{"$maxKey":1}',
            '{"$numberDecimal":"1.50"}',
            # The server refuses these, and names the field.
            '{"$date":42}',
            '{"$oid":5}',
        ]:
            with self.subTest(text):
                self.assertEqual(command_text({"v": [json.loads(text)]}), f'{{"v":[{text}]}}')

    def test_a_number_keeps_its_type(self) -> None:
        for value, text in [
            (1, "1"),
            (2**31, '{"$numberLong":"2147483648"}'),
            (bson.Int64(1), '{"$numberLong":"1"}'),
            (1.0, '{"$numberDouble":"1.0"}'),
            (-0.0, '{"$numberDouble":"-0.0"}'),
            (float("inf"), '{"$numberDouble":"Infinity"}'),
            (True, "true"),
        ]:
            self.assertEqual(command_text({"v": value}), f'{{"v":{text}}}')

    def test_what_only_looks_like_a_type_stays_a_dictionary(self) -> None:
        for value in [
            {"$regex": "^a"},
            {"$regex": "^a", "$options": "i"},
            {"$uuid": "c8edabc3-f738-4ca3-b68d-ab92a91478a3"},
            {"$date": None},
            {"$oid": "short"},
            {"$oid": "5f3e2d1c0b0a090807060504", "more": 1},
        ]:
            self.assertEqual(decode({"validator": value}), {"validator": value})

    def test_binary_data_keeps_its_subtype(self) -> None:
        for subtype, base64, data in [
            ("03", "AQID", b"\x01\x02\x03"),
            ("04", "AQID", b"\x01\x02\x03"),
            ("80", "", b""),
        ]:
            came = decode({"v": {"$binary": {"base64": base64, "subType": subtype}}})["v"]
            self.assertEqual(came, bson.Binary(data, int(subtype, 16)))
        self.assertIn('"subType":"03"', command_text({"v": bson.Binary(bytes(16), 3)}))

    def test_a_text_is_checked_and_not_read(self) -> None:
        digits = "1" * 5000
        self.assertEqual(check_text(f'{{"a":{digits},"b":1e999}}'), {"a": digits, "b": "1e999"})

    def test_a_frame_that_is_none_is_refused(self) -> None:
        texts: list[str | bytes] = ["", "[]", "1", '{"type":1}', "[" * 100_000, b'{"type":"result"}']
        texts += ['{"type":"hello_ok","epoch":true}', '{"type":"hello_ok","limits":{"max_deadline_ms":"1"}}']
        for text in texts:
            with self.subTest(text[:20]), self.assertRaises(ValueError):
                parse(text)


class Addresses(TestCase):
    def test_an_address_is_completed(self) -> None:
        for server, url in [
            ("127.0.0.1:7001", "ws://127.0.0.1:7001/v1"),
            ("LOCALHOST:7001", "ws://localhost:7001/v1"),
            ("WS://Db_1.example:7001/", "ws://db_1.example:7001/v1"),
            ("[::1]:7001", "ws://[::1]:7001/v1"),
            ("wss://db.example", "wss://db.example:443/v1"),
            ("ws://h:1/s1/v1", "ws://h:1/s1/v1"),
        ]:
            self.assertEqual(address(server), url)

    def test_an_error_names_what_is_wrong(self) -> None:
        for problem, servers in {
            "the scheme must be ws or wss": ["http://a:1", "://a:1"],
            "the host is missing": ["", ":7001", "ws://", "ws://:1", "/v1"],
            "the host is not a name or an address": ["a b:1", "a\n:1", "user:password@a:1", "[a]:1", "::1:1", "ä:1"],
            "the port is missing": ["a", "[::1]", "a/v1"],
            "the port is not a number from 1 to 65535": ["a:0", "a:99999", "a:-1", "a:", "a:x", "a:1 ", "a:1?x", "a:١"],
            "the path holds a character that is not allowed there": ["ws://a/v1?x=1", "a:1/#x", "a:1/ ", "a:1/ä"],
        }.items():
            for server in servers:
                with self.subTest(server), self.assertRaisesRegex(ValueError, f"{problem}; write host:port or"):
                    address(server)

    def test_ids_are_in_the_order_of_their_time(self) -> None:
        self.assertLess(make_id(1), make_id(2))
        self.assertEqual(json_util.loads(json.dumps(make_id(5)))[:13], "00000000-0005")
