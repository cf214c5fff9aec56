"""Connections: where they lead, and that none stays open."""

import asyncio
import contextlib
from unittest import mock

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from bellwether_client import CommandError, Outcome, execute

from .scripted import Frame, ScriptedTestCase, Server, error, raw, result, silence

INSERT = {"insert": "notes", "documents": [{"_id": 1}]}


class NoneStaysOpen(ScriptedTestCase):
    async def test_after_a_reply(self) -> None:
        s1, s2 = Server("s1", role="follower"), Server("s2", result())
        await execute(await self.start(s1, s2), INSERT)
        await self.assert_all_closed(s1, s2)

    async def test_a_server_that_is_being_greeted_is_not_greeted_again(self) -> None:
        async def drains_late(socket: ServerConnection, frame: Frame) -> None:
            # The client greets s2 when s1 has been silent for 1 s.
            while not s2.hellos:
                await asyncio.sleep(0.01)
            await error("draining")(socket, frame)

        s1, s2 = Server("s1", drains_late), Server("s2", result())
        s2.delay = 0.3
        with (
            mock.patch("bellwether_client._connection.HELLO_LIMIT", 20.0),
            mock.patch("bellwether_client._passing.STAGGER", 60.0),
        ):
            await execute(await self.start(s1, s2), INSERT)
        self.assertEqual(len(s2.hellos), 1)
        await self.assert_all_closed(s1, s2)

    async def test_after_an_answer_that_is_none(self) -> None:
        for text in ("nonsense", "[]", '{"type":"error","id":5}', "[" * 100_000):
            with self.subTest(text[:30]):
                s1 = Server("s1", raw(text), result())
                await execute(await self.start(s1), INSERT)
                self.assertEqual(len(s1.frames), 2)
                await self.assert_all_closed(s1)

    async def test_after_a_task_was_cancelled(self) -> None:
        for holds in (True, False):
            with self.subTest(holds=holds):
                s1, s2 = Server("s1", silence), Server("s2", role="follower")
                s1.greets = holds
                task = asyncio.create_task(execute(await self.start(s1, s2), INSERT))
                while not (s1.frames if holds else s1.hellos):
                    await asyncio.sleep(0.01)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                await self.assert_all_closed(s1, s2)

    async def test_after_a_task_was_cancelled_while_it_says_goodbye(self) -> None:
        s1 = Server("s1", role="electing")
        task = asyncio.create_task(execute(await self.start(s1), INSERT))
        while not s1.hellos:
            await asyncio.sleep(0)
        # It hears no goodbye, so the client waits for its one.
        s1.connections[0].transport.pause_reading()
        await asyncio.sleep(0.05)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        # A write tells the server that the client is no longer there.
        with self.assertRaises(ConnectionClosed):
            async with asyncio.timeout(10):
                while True:
                    await s1.connections[0].ping()
                    await asyncio.sleep(0.05)


class OnlyTheListCounts(ScriptedTestCase):
    async def test_a_redirect_is_not_followed(self) -> None:
        s1 = Server("s1", result())
        await self.start(s1)

        async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {s1.url}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            writer.close()

        listening = await self.enterAsyncContext(await asyncio.start_server(redirect, "127.0.0.1", 0))
        host, port = listening.sockets[0].getsockname()
        with self.assertRaises(CommandError) as caught:
            await execute([f"{host}:{port}"], INSERT, 0.5)
        self.assertEqual((caught.exception.outcome, s1.hellos), (Outcome.NOT_EXECUTED, []))
        self.assertIn("HTTP 302", str(caught.exception))
