"""The way of a command along the list of servers."""

import socket
import uuid
from collections.abc import Mapping
from typing import Any
from unittest import mock

from websockets.asyncio.server import ServerConnection

from bellwether_client import CommandError, Outcome, ask, execute

from .scripted import (
    Frame,
    ScriptedTestCase,
    Server,
    closes,
    error,
    pass_time,
    refuses_in_the_end,
    result,
    says,
    silence_to_the_end,
)

INSERT = {"insert": "notes", "documents": [{"_id": 1}]}
FIND = {"find": "notes"}


class Passing(ScriptedTestCase):
    async def test_the_coordinator_executes_the_command(self) -> None:
        s1 = Server("s1", result())
        s1.clock_ms = 1_795_345_271_075
        answer = await execute(await self.start(s1), INSERT, cluster="demo")
        self.assertEqual((answer.server, answer.epoch, answer.replayed), ("s1", 1, False))
        self.assertEqual(answer.reply, {"n": 1, "ok": 1.0})
        [frame] = s1.frames
        made = uuid.UUID(answer.id)
        self.assertEqual((frame["id"], made.version, made.variant), (answer.id, 7, uuid.RFC_4122))
        self.assertEqual(made.int >> 80, s1.clock_ms)
        self.assertEqual(list(frame["command"]), ["insert", "documents"])
        # The server gets nearly all of the time.
        self.assertTrue(25_000 < frame["deadline_ms"] < 30_000, frame)

    async def test_a_follower_names_the_coordinator(self) -> None:
        s1, s2, s3 = Server("s1", role="follower"), Server("s2", role="follower"), Server("s3", result())
        urls = await self.start(s1, s2, s3)
        s1.coordinator = s3.named()
        with mock.patch("bellwether_client._passing.STAGGER", 60.0):
            answer = await execute(urls, INSERT)
        self.assertEqual(answer.server, "s3")
        self.assertEqual(s2.hellos, [])

    async def test_a_coordinator_that_is_not_on_the_list_is_named_and_left_alone(self) -> None:
        s1, s3 = Server("s1", role="follower"), Server("s3", result())
        [url, _] = await self.start(s1, s3)
        s1.coordinator, s1.last_hello = s3.named(), 1
        with self.assertRaises(CommandError) as caught:
            await execute([url], INSERT)
        self.assertEqual(caught.exception.outcome, Outcome.NOT_EXECUTED)
        self.assertIn(f"the coordinator is s3 at {s3.url}, which is not on the list", str(caught.exception))
        self.assertEqual(s3.hellos, [])

    async def test_every_try_has_the_same_id(self) -> None:
        s1, s2 = Server("s1", closes(1011)), Server("s2", error("fenced", "unknown"), result(replayed=True))
        answer = await execute(await self.start(s1, s2), INSERT)
        self.assertTrue(answer.replayed)
        self.assertEqual({frame["id"] for frame in s1.frames + s2.frames}, {answer.id})
        self.assertEqual(len(s2.frames), 2)

    async def test_servers_that_cannot_be_reached_or_do_not_greet_are_passed_over(self) -> None:
        refused = socket.create_server(("127.0.0.1", 0))
        gone = "{}:{}".format(*refused.getsockname())
        refused.close()
        s1, s2 = Server("s1"), Server("s2", result())
        s1.greets = False
        answer = await execute([gone, *await self.start(s1, s2)], INSERT)
        self.assertEqual(answer.server, "s2")

    async def test_frames_of_others_are_ignored(self) -> None:
        async def answer(socket, frame) -> None:  # type: ignore[no-untyped-def]
            await says("later")(socket, frame)
            await result({"ok": 0})(socket, {"id": "01a202eb-d594-7f1c-81ad-fe9a6f53dd9f"})
            await result()(socket, frame)

        reply = (await execute(await self.start(Server("s1", answer)), INSERT)).reply
        self.assertEqual(reply["n"], 1)


class Overloaded(ScriptedTestCase):
    async def test_the_same_server_gets_the_command_again_and_not_too_early(self) -> None:
        s1 = Server("s1", error("overloaded", retry_after_ms=400), result())
        s2 = Server("s2", role="follower")
        await execute(await self.start(s2, s1), INSERT)
        self.assertGreaterEqual(s1.times[1] - s1.times[0], 0.4)
        # The server keeps the place for 250 ms, so the client comes back on its connection.
        self.assertEqual((len(s1.hellos), len(s2.hellos)), (1, 1))
        await self.assert_all_closed(s1, s2)

    async def test_a_connection_that_ends_in_the_pause_is_opened_again(self) -> None:
        async def overloaded_and_leaves(socket: ServerConnection, frame: Frame) -> None:
            await error("overloaded", retry_after_ms=200)(socket, frame)
            await socket.close(1012)

        s1 = Server("s1", overloaded_and_leaves, result())
        answer = await execute(await self.start(s1), INSERT)
        self.assertEqual([frame["id"] for frame in s1.frames], [answer.id] * 2)
        self.assertEqual(len(s1.hellos), 2)

    async def test_another_coordinator_takes_the_command_of_a_connection_that_was_kept(self) -> None:
        s2 = Server("s2", result(epoch=2), role="follower")

        async def moves_on(socket: ServerConnection, frame: Frame) -> None:
            s2.role, s2.epoch = "coordinator", 2
            await error("not_coordinator", coordinator=s2.named())(socket, frame)

        s1 = Server("s1", error("overloaded", retry_after_ms=200), moves_on)
        answer = await execute(await self.start(s1, s2), INSERT)
        self.assertEqual((answer.server, len(s1.hellos)), ("s2", 1))
        await self.assert_all_closed(s1, s2)

    async def test_executed_stays_executed_at_the_end_of_time(self) -> None:
        s1 = Server("s1", error("overloaded", "executed", retry_after_ms=50), error("deadline", "unknown"))
        s1.last_hello = 2
        with self.assertRaises(CommandError) as caught:
            await execute(await self.start(s1), INSERT)
        self.assertEqual(caught.exception.outcome, Outcome.EXECUTED)

    async def test_an_overloaded_command_is_not_executed_at_the_end_of_time(self) -> None:
        s1 = Server("s1", error("overloaded", retry_after_ms=60_000))
        with self.assertRaises(CommandError) as caught:
            await execute(await self.start(s1), INSERT, 2.0)
        self.assertEqual(caught.exception.outcome, Outcome.NOT_EXECUTED)
        # The time that a server names is an estimate: half of the time that is left is the longest
        # pause.
        self.assertGreater(len(s1.frames), 1)
        self.assertIn("overloaded", str(caught.exception))


class Outcomes(ScriptedTestCase):
    async def outcome(self, *servers: Server, command: Mapping[str, Any] = INSERT, id: str | None = None) -> Outcome:
        urls = await self.start(*servers)
        for server in servers:
            # Each answer takes one; a server without answers is greeted once.
            server.last_hello = max(1, len(server.answers))
        with self.assertRaises(CommandError) as caught:
            await execute(urls, command, id=id)
        return caught.exception.outcome

    async def test_a_command_that_was_sent_and_not_answered_is_unknown(self) -> None:
        self.assertEqual(await self.outcome(Server("s1", silence_to_the_end)), Outcome.UNKNOWN)

    async def test_a_connection_that_ends_leaves_it_unknown(self) -> None:
        self.assertEqual(await self.outcome(Server("s1", closes(1000), error("draining"))), Outcome.UNKNOWN)

    async def test_a_close_code_can_say_that_it_was_not_executed(self) -> None:
        for code in (4400, 4401, 4408):
            with self.subTest(code):
                self.assertEqual(
                    await self.outcome(Server("s1", closes(code), error("draining"))), Outcome.NOT_EXECUTED
                )
        # A proxy may send those below 4000 while the server executes the command.
        for code in (1001, 1002, 1003, 1007, 1011, 1012, 1013, 4429):
            with self.subTest(code):
                s1 = Server("s1", closes(code), error("draining"))
                self.assertEqual(await self.outcome(s1), Outcome.UNKNOWN)
                self.assertEqual(len(s1.frames), 1 if code == 4429 else 2)

    async def test_a_read_has_no_effect(self) -> None:
        self.assertEqual(await self.outcome(Server("s1", silence_to_the_end), command=FIND), Outcome.NOT_EXECUTED)

    async def test_a_list_with_a_write_may_have_an_effect(self) -> None:
        for last, outcome in [(INSERT, Outcome.UNKNOWN), (FIND, Outcome.NOT_EXECUTED)]:
            both = {"transaction": [FIND, last]}
            self.assertEqual(await self.outcome(Server("s1", silence_to_the_end), command=both), outcome)

    async def test_a_command_that_no_server_was_sent_is_not_executed(self) -> None:
        self.assertEqual(await self.outcome(Server("s1", role="electing")), Outcome.NOT_EXECUTED)

    async def test_an_id_that_is_handed_in_was_sent_before(self) -> None:
        id = "01a202eb-d594-7f1c-81ad-fe9a6f53dd9f"
        self.assertEqual(await self.outcome(Server("s1", role="electing"), id=id), Outcome.UNKNOWN)
        self.assertEqual(await self.outcome(Server("s1", error("id_expired")), id=id), Outcome.UNKNOWN)

    async def test_only_an_answer_under_an_epoch_settles_an_unknown(self) -> None:
        for code, outcome in [
            ("mongo", Outcome.NOT_EXECUTED),
            ("result_too_large", Outcome.NOT_EXECUTED),
            ("id_reused", Outcome.NOT_EXECUTED),
            ("command_not_allowed", Outcome.UNKNOWN),
            ("id_expired", Outcome.UNKNOWN),
        ]:
            with self.subTest(code):
                self.assertEqual(await self.outcome(Server("s1", closes(1000), error(code))), outcome)

    async def test_errors_at_which_a_client_stops(self) -> None:
        for code in ("bad_command", "command_not_allowed", "too_deep", "id_reused", "mongo", "bad_frame"):
            with self.subTest(code):
                s1 = Server("s1", error(code))
                self.assertEqual(await self.outcome(s1), Outcome.NOT_EXECUTED)
                self.assertEqual(len(s1.frames), 1)
        self.assertEqual(await self.outcome(Server("s1", error("reply_not_kept", "executed"))), Outcome.EXECUTED)
        self.assertEqual(await self.outcome(Server("s1", error("mongo", "unknown"))), Outcome.UNKNOWN)

    async def test_no_server_is_sent_the_command_when_the_time_is_nearly_over(self) -> None:
        s1 = Server("s1", refuses_in_the_end)
        with self.assertRaises(CommandError):
            await execute(await self.start(s1), INSERT, 4.0)
        # A tenth of the shortest time is for the way back.
        self.assertGreaterEqual(min(frame["deadline_ms"] for frame in s1.frames), 90)

    async def test_an_error_of_mongodb_has_the_types_of_bson(self) -> None:
        told = {"code": 11000, "index": 0, "keyValue": {"_id": {"$numberLong": "5"}}}
        with self.assertRaises(CommandError) as caught:
            await execute(await self.start(Server("s1", error("mongo", mongo=told))), INSERT)
        self.assertEqual(caught.exception.mongo, {"code": 11000, "index": 0, "keyValue": {"_id": 5}})
        self.assertIn("'keyValue': {'_id': 5}", str(caught.exception))

    async def test_an_error_of_a_later_version_is_treated_by_its_outcome(self) -> None:
        self.assertEqual(await self.outcome(Server("s1", error("later", "unknown"))), Outcome.UNKNOWN)
        self.assertEqual(await self.outcome(Server("s1", error("later"))), Outcome.NOT_EXECUTED)

    async def test_an_id_whose_time_is_refused_is_made_again_once(self) -> None:
        s1, s2 = Server("s1", error("id_expired")), Server("s2", error("id_expired"), result())
        s1.clock_ms, s2.clock_ms, s1.last_hello = 1, 2, 1
        urls = await self.start(s1, s2)
        with self.assertRaises(CommandError) as caught:
            await execute(urls, INSERT)
        self.assertEqual(caught.exception.outcome, Outcome.NOT_EXECUTED)
        times = [uuid.UUID(frame["id"]).int >> 80 for frame in s1.frames + s2.frames]
        self.assertEqual(times, [1, 2])

    async def test_an_id_that_may_be_executed_is_not_made_again(self) -> None:
        s1 = Server("s1", closes(1011), error("id_expired"), result())
        self.assertEqual(await self.outcome(s1), Outcome.UNKNOWN)
        self.assertEqual(len(s1.frames), 2)

    async def test_a_command_that_needs_longer_ends_with_the_word_of_the_server(self) -> None:
        async def needs_longer(socket: ServerConnection, frame: Frame) -> None:
            pass_time(frame["deadline_ms"] / 1000)
            await error("deadline", "unknown")(socket, frame)

        s1 = Server("s1", needs_longer)
        with self.assertRaises(CommandError) as caught:
            await execute(await self.start(s1), INSERT)
        self.assertEqual((caught.exception.code, caught.exception.outcome), ("deadline", Outcome.UNKNOWN))
        self.assertEqual(len(s1.frames), 1)

    async def test_a_list_without_the_coordinator_is_final_after_15_s(self) -> None:
        s1, s2 = Server("s1", role="follower"), Server("s2", role="follower")
        urls = await self.start(s1, s2)
        s1.coordinator = s2.coordinator = {"server": "s3", "url": "ws://127.0.0.1:9/v1"}
        s1.slow_hellos = 8.0
        with mock.patch("bellwether_client._connection.HELLO_LIMIT", 20.0), self.assertRaises(CommandError) as caught:
            await execute(urls, INSERT, 600.0)
        self.assertEqual(caught.exception.outcome, Outcome.NOT_EXECUTED)
        self.assertIn("the coordinator is s3 at ws://127.0.0.1:9/v1, which is not on the list", str(caught.exception))
        self.assertLess(len(s1.hellos), 10)

    async def test_a_hello_that_every_server_refuses_is_final(self) -> None:
        s1, s2 = Server("s1", result()), Server("s2", result())
        s1.refusal = s2.refusal = "bad_frame"
        urls = await self.start(s1, s2)
        with self.assertRaises(CommandError) as caught:
            await execute(urls, INSERT, 60)
        self.assertIn("this is no hello", str(caught.exception))
        # One server that refuses is no reason to stop.
        s2.refusal = None
        self.assertEqual((await execute(urls, INSERT, 60)).server, "s2")

    async def test_another_cluster_is_final_once_all_servers_say_so(self) -> None:
        s1, s2 = Server("s1"), Server("s2")
        with self.assertRaises(CommandError) as caught:
            await execute(await self.start(s1, s2), INSERT, 60, cluster="other")
        self.assertEqual(caught.exception.outcome, Outcome.NOT_EXECUTED)
        self.assertIn("every server on the list refuses", str(caught.exception))


class Sizes(ScriptedTestCase):
    async def test_a_message_that_is_too_long_is_not_sent(self) -> None:
        s1 = Server("s1", result())
        s1.limits["max_message_bytes"] = 1000
        with self.assertRaises(CommandError) as caught:
            await execute(await self.start(s1), {"insert": "notes", "documents": [{"text": "ä" * 500}]})
        self.assertEqual((caught.exception.outcome, s1.frames), (Outcome.NOT_EXECUTED, []))

    async def test_a_message_that_a_server_finds_too_long_is_not_sent_again(self) -> None:
        s1 = Server("s1", closes(1009))
        with self.assertRaises(CommandError) as caught:
            await execute(await self.start(s1), INSERT)
        # Something between may have found the reply too long.
        self.assertEqual((caught.exception.outcome, len(s1.frames)), (Outcome.UNKNOWN, 1))

    async def test_a_long_reply_is_taken(self) -> None:
        text = "x" * 20_000_000
        answer = await execute(await self.start(Server("s1", result({"text": text}))), FIND)
        self.assertEqual(answer.reply, {"text": text})

    async def test_a_reply_that_is_too_long_is_not_asked_for_again(self) -> None:
        cases: list[tuple[Mapping[str, Any], Outcome]] = [(INSERT, Outcome.UNKNOWN), (FIND, Outcome.NOT_EXECUTED)]
        for command, outcome in cases:
            s1 = Server("s1", result({"text": "x" * 2000}))
            urls = await self.start(s1)
            with (
                mock.patch("bellwether_client._connection.MAX_REPLY_BYTES", 1000),
                self.assertRaises(CommandError) as caught,
            ):
                await execute(urls, command)
            self.assertEqual((caught.exception.outcome, len(s1.frames)), (outcome, 1))


class Nonsense(ScriptedTestCase):
    async def test_frames_with_wrong_types_are_none(self) -> None:
        wrong: list[dict[str, Any]] = [
            {"code": 5},
            {"code": "x", "retry_after_ms": "5"},
            {"code": "x", "coordinator": []},
        ]
        for fields in wrong:
            s1 = Server("s1", says("error", outcome="not_executed", **fields))
            s1.last_hello = 1
            with self.subTest(fields), self.assertRaises(CommandError) as caught:
                await execute(await self.start(s1), INSERT)
            self.assertEqual(caught.exception.outcome, Outcome.UNKNOWN)

    async def test_a_coordinator_that_is_no_server(self) -> None:
        wrong: list[dict[str, Any]] = [{}, {"server": 5, "url": 5}, {"url": "x://"}]
        for coordinator in wrong:
            s1 = Server("s1", role="follower")
            s1.coordinator, s1.last_hello = coordinator, 1
            with self.subTest(coordinator), self.assertRaises(CommandError) as caught:
                await execute(await self.start(s1), INSERT)
            self.assertEqual(caught.exception.outcome, Outcome.NOT_EXECUTED)

    async def test_a_result_that_cannot_be_read_is_executed(self) -> None:
        for fields in ({"epoch": 1, "replayed": False}, {"epoch": 1, "result": {}}, {"replayed": True, "result": {}}):
            with self.subTest(fields), self.assertRaises(CommandError) as caught:
                await execute(await self.start(Server("s1", says("result", **fields))), INSERT)
            self.assertEqual(caught.exception.outcome, Outcome.EXECUTED)

    async def test_arguments_that_are_none_are_refused(self) -> None:
        for id in ('"', ""):
            with self.subTest(id), self.assertRaisesRegex(ValueError, "is not the id of a command: give"):
                await execute(["127.0.0.1:1"], INSERT, id=id)
        for deadline in (0.0, -1.0, float("inf"), float("nan")):
            with self.subTest(deadline), self.assertRaisesRegex(ValueError, "deadline"):
                await execute(["127.0.0.1:1"], INSERT, deadline)
        lists: list[list[str] | str] = [[], "127.0.0.1:1", ["127.0.0.1:0"]]
        for servers in lists:
            with self.subTest(servers), self.assertRaisesRegex(ValueError, "server"):
                await execute(servers, INSERT)

    async def test_null_means_that_a_field_is_left_out(self) -> None:
        s1 = Server("s1", error("overloaded", retry_after_ms=None, coordinator=None), result())
        s1.epoch = None
        self.assertEqual((await execute(await self.start(s1), INSERT)).server, "s1")
        self.assertEqual(len(s1.frames), 2)


class Asking(ScriptedTestCase):
    ID = "01a202eb-d594-7f1c-81ad-fe9a6f53dd9f"

    async def test_what_became_of_a_command(self) -> None:
        executed = says("outcome_result", outcome="executed", epoch=7, result={"n": {"$numberInt": "1"}})
        s1 = Server("s1", says("outcome_result", outcome="unknown"), executed)
        outcome_result = await ask(await self.start(s1), self.ID)
        self.assertEqual((outcome_result.outcome, outcome_result.epoch, outcome_result.reply), (Outcome.EXECUTED, 7, {"n": 1}))
        self.assertEqual([frame["type"] for frame in s1.frames], ["outcome", "outcome"])

    async def test_an_error_says_nothing_about_the_command(self) -> None:
        with self.assertRaises(CommandError) as caught:
            await ask(await self.start(Server("s1", error("id_expired", "unknown"))), self.ID)
        self.assertEqual(caught.exception.outcome, Outcome.UNKNOWN)
