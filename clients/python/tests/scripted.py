"""Servers that say what a test tells them to."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Self
from unittest import IsolatedAsyncioTestCase

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode
from websockets.typing import Subprotocol

Frame = dict[str, Any]
Answer = Callable[[ServerConnection, Frame], Awaitable[None]]

LIMITS = {
    "max_message_bytes": 1 << 20,
    "max_depth": 100,
    "max_result_bytes": 4 << 20,
    "max_deadline_ms": 60_000,
    "retention_ms": 86_400_000,
}


def result(reply: Any = None, replayed: bool = False, epoch: int = 1) -> Answer:
    """Answers with a reply."""

    async def answer(socket: ServerConnection, frame: Frame) -> None:
        body = reply if reply is not None else {"n": {"$numberInt": "1"}, "ok": {"$numberDouble": "1.0"}}
        said = {"type": "result", "id": frame["id"], "epoch": epoch, "replayed": replayed, "result": body}
        await socket.send(json.dumps(said))

    return answer


def says(type: str, **fields: Any) -> Answer:
    """Answers with this frame."""

    async def answer(socket: ServerConnection, frame: Frame) -> None:
        await socket.send(json.dumps({"type": type, "id": frame["id"], **fields}))

    return answer


def error(code: str, outcome: str = "not_executed", **fields: Any) -> Answer:
    """Answers with an error."""
    return says("error", code=code, outcome=outcome, message=f"this is {code}", **fields)


def closes(code: int) -> Answer:
    """Closes the connection instead of an answer."""

    async def answer(socket: ServerConnection, _: Frame) -> None:
        await socket.close(code, "as scripted")

    return answer


async def silence(_: ServerConnection, __: Frame) -> None:
    """Does not answer, but answers pings."""


async def silence_to_the_end(_: ServerConnection, __: Frame) -> None:
    """Does not answer until all time is over."""
    end_of_time()


async def refuses_in_the_end(socket: ServerConnection, frame: Frame) -> None:
    """Answers when the time that the client gave is over."""
    pass_time(frame["deadline_ms"] / 1000)
    await error("draining")(socket, frame)


def trickles(text: str, pieces: int, pause: float) -> Answer:
    """Answers with a reply that comes in pieces, as on a slow network.

    No pong comes before its end.
    """

    async def answer(socket: ServerConnection, frame: Frame) -> None:
        said = {"type": "result", "id": frame["id"], "epoch": 1, "replayed": False, "result": {"text": text}}
        message = WebSocketFrame(Opcode.TEXT, json.dumps(said).encode()).serialize(mask=False)
        socket.transport.pause_reading()
        for start in range(0, len(message), len(message) // pieces + 1):
            socket.transport.write(message[start : start + len(message) // pieces + 1])
            await asyncio.sleep(pause)
        socket.transport.resume_reading()

    return answer


def raw(text: str) -> Answer:
    """Answers with a text that need not be a frame."""

    async def answer(socket: ServerConnection, _: Frame) -> None:
        await socket.send(text)

    return answer


async def deafness(socket: ServerConnection, _: Frame) -> None:
    """Does not answer, and reads nothing more, as if the way to it were cut."""
    socket.transport.pause_reading()


class Server:
    """A scripted server.

    Each command takes the next of its answers; the last of them is for all that follow.
    """

    def __init__(self, name: str, *answers: Answer, role: str = "coordinator", epoch: int | None = 1) -> None:
        self.name, self.role, self.epoch = name, role, epoch
        self.answers = list(answers)
        self.coordinator: Frame | None = None
        self.cluster = "demo"
        self.limits = dict(LIMITS)
        self.clock_ms = 0
        self.hellos: list[Frame] = []
        self.frames: list[Frame] = []
        self.texts: list[str | bytes] = []
        self.connections: list[ServerConnection] = []
        self.times: list[float] = []
        self.greets = True
        self.refusal: str | None = None
        """The code of the error with which it answers each hello."""
        self.slow_hellos = 0.0
        """Seconds that pass at each hello."""
        self.delay = 0.0
        """Seconds before it greets."""
        self.ungreeted: dict[int, float] = {}
        """The hellos, counted from 1, that have no answer, and the seconds that pass at each."""
        self.last_hello = 1_000
        """At the next `hello` after this one, all time is over."""
        self.url = ""

    def named(self) -> Frame:
        """Names this server as the coordinator."""
        return {"server": self.name, "url": self.url}

    async def serve(self, stack: AsyncExitStack) -> Self:
        """Listens until the stack is closed."""
        listening = await stack.enter_async_context(
            serve(
                self._talk,
                "127.0.0.1",
                0,
                subprotocols=[Subprotocol("bellwether.v1")],
                ping_interval=None,
                close_timeout=0.1,
                compression=None,
            )
        )
        port = next(iter(listening.sockets)).getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}/v1"
        return self

    async def _talk(self, socket: ServerConnection) -> None:
        self.connections.append(socket)
        try:
            hello = json.loads(await socket.recv())
            self.hellos.append(hello)
            if len(self.hellos) > self.last_hello:
                end_of_time()
                self.greets = False
            if self.refusal:
                refused = {
                    "type": "error",
                    "code": self.refusal,
                    "outcome": "not_executed",
                    "message": "this is no hello",
                }
                await socket.send(json.dumps(refused))
                return await socket.close(4400)
            pass_time(self.slow_hellos)
            ungreeted = self.ungreeted.get(len(self.hellos))
            pass_time(ungreeted or 0.0)
            if not self.greets or ungreeted is not None:
                await socket.wait_closed()
            await asyncio.sleep(self.delay)
            if hello.get("cluster", self.cluster) != self.cluster:
                wrong = {
                    "type": "error",
                    "code": "wrong_cluster",
                    "outcome": "not_executed",
                    "message": "wrong cluster",
                }
                await socket.send(json.dumps(wrong))
                return await socket.close(4403)
            greeting = {
                "type": "hello_ok",
                "cluster": self.cluster,
                "server": self.name,
                "role": self.role,
                "epoch": self.epoch,
                "coordinator": self.named() if self.role == "coordinator" else self.coordinator,
                "server_time_ms": self.clock_ms or time.time_ns() // 1_000_000,
                "limits": self.limits,
                "a_later_field": 1,
            }
            await socket.send(json.dumps(greeting))
            async for text in socket:
                self.texts.append(text)
                frame = json.loads(text)
                self.frames.append(frame)
                self.times.append(time.monotonic())
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                await answer(socket, frame)
        except ConnectionClosed:
            pass


def pass_time(seconds: float) -> None:
    """Sets the clock of the event loop ahead."""
    loop = asyncio.get_running_loop()
    ahead = loop.time() - time.monotonic() + seconds
    loop.time = lambda: time.monotonic() + ahead  # type: ignore[method-assign]


def end_of_time() -> None:
    """Sets the clock so far ahead that every deadline is over. No test waits for one."""
    pass_time(1_000)


class ScriptedTestCase(IsolatedAsyncioTestCase):
    """A test with scripted servers."""

    async def asyncSetUp(self) -> None:
        # A test's clock jumps, which a loop in debug mode takes for slow callbacks.
        asyncio.get_running_loop().slow_callback_duration = float("inf")
        self.stack = await self.enterAsyncContext(AsyncExitStack())

    async def start(self, *servers: Server) -> list[str]:
        """Starts the servers and gives their addresses."""
        return [(await server.serve(self.stack)).url for server in servers]

    async def assert_all_closed(self, *servers: Server) -> None:
        """Fails if a client has left a connection to one of the servers open."""
        for server in servers:
            for connection in server.connections:
                async with asyncio.timeout(10):
                    await connection.wait_closed()
