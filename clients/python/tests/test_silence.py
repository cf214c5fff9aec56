"""A server that has the command and says nothing."""

import asyncio

from websockets.asyncio.server import ServerConnection

from bellwether_client import CommandError, Outcome, execute

from .scripted import Frame, ScriptedTestCase, Server, deafness, result, silence, trickles

INSERT = {"insert": "notes", "documents": [{"_id": 1}]}
FIND = {"find": "notes"}


class Silence(ScriptedTestCase):
    async def test_a_larger_epoch_takes_the_command_from_a_silent_server(self) -> None:
        s1, s2 = Server("s1", silence), Server("s2", result(epoch=2), epoch=2)
        answer = await execute(await self.start(s1, s2), INSERT)
        self.assertEqual((answer.server, answer.epoch), ("s2", 2))
        self.assertEqual([frame["id"] for frame in s1.frames], [answer.id])

    async def test_the_same_epoch_does_not(self) -> None:
        s1, s2 = Server("s1", silence), Server("s2", result())
        s2.last_hello = 1
        with self.assertRaises(CommandError) as caught:
            await execute(await self.start(s1, s2), INSERT)
        self.assertEqual(caught.exception.outcome, Outcome.UNKNOWN)
        self.assertEqual((len(s1.frames), len(s2.hellos), s2.frames), (1, 2, []))

    async def test_a_server_that_is_slow_keeps_the_command(self) -> None:
        async def slow(socket, frame) -> None:  # type: ignore[no-untyped-def]
            asyncio.get_running_loop().call_later(3.5, lambda: asyncio.ensure_future(result()(socket, frame)))

        s1 = Server("s1", slow)
        await execute(await self.start(s1), INSERT)
        self.assertEqual((len(s1.frames), len(s1.hellos)), (1, 1))

    async def test_a_dead_connection_is_replaced(self) -> None:
        s1 = Server("s1", deafness, result(replayed=True))
        answer = await execute(await self.start(s1), INSERT)
        self.assertEqual([frame["id"] for frame in s1.frames], [answer.id] * 2)

    async def test_a_long_reply_on_a_slow_network_is_waited_for(self) -> None:
        s1 = Server("s1", trickles("x" * 100_000, 8, 0.4))
        answer = await execute(await self.start(s1), FIND)
        self.assertEqual(len(answer.reply["text"]), 100_000)
        self.assertEqual((len(s1.frames), len(s1.hellos)), (1, 1))

    async def test_a_silent_server_is_given_up_although_no_other_is_coordinator(self) -> None:
        s1 = Server("s1", deafness, result(replayed=True))
        # It is paused for a while. The client tries it pass by pass, not after 16 and 32 s.
        s1.ungreeted = {2: 8.0, 3: 1.0, 4: 1.0}
        answer = await execute(await self.start(s1), INSERT)
        self.assertTrue(answer.replayed)
        self.assertEqual([frame["id"] for frame in s1.frames], [answer.id] * 2)

    async def test_a_connection_after_a_dead_one_has_twice_the_time(self) -> None:
        # A long command on a slow network leaves the server as silent as a dead connection does.
        async def slow(socket: ServerConnection, frame: Frame) -> None:
            socket.transport.pause_reading()
            await asyncio.sleep(2.5)
            socket.transport.resume_reading()
            await result()(socket, frame)

        s1 = Server("s1", deafness, slow, silence)
        await execute(await self.start(s1), INSERT)
        self.assertEqual(len(s1.frames), 2)
