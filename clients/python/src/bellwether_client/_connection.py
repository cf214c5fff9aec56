"""One connection to one server."""

import asyncio
import contextlib
from typing import Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State
from websockets.typing import Subprotocol

from ._frames import FINAL, Frame, hello, parse

HELLO_LIMIT = 1.0
"""Seconds a server has for `hello_ok`."""
MAX_REPLY_BYTES = 64 << 20
"""The longest message that is taken.

A server sends 17 MiB at most; a later version may send more.
"""

REFUSALS = {4400, 4401, 4403, 4405, 4406, 4429}
"""Close codes with which a server refuses this client."""


class Lost(Exception):
    """The connection cannot be used, or is no more.

    `code` is the close code that the server sent. `too_long` says that this client refused a
    message for its length. `refused` says that the server will refuse this client until an operator
    changes an option.
    """

    def __init__(self, said: str, code: int | None = None, *, too_long: bool = False, refused: bool = False) -> None:
        super().__init__(said)
        self.code, self.too_long, self.refused = code, too_long, refused


class _Socket(ClientConnection):
    heard = 0.0

    def data_received(self, data: bytes) -> None:
        self.heard = self.loop.time()
        super().data_received(data)


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follows no redirect: only the list says where the servers are."""
        return exc


class Connection:
    """A connection that the server has greeted. It is for one frame at a time and its answer."""

    def __init__(self, socket: ClientConnection, greeting: Frame) -> None:
        assert isinstance(socket, _Socket)
        self._socket = socket
        self.server: str = greeting["server"]
        self.role: str = greeting["role"]
        self.epoch: int = greeting.get("epoch") or 0
        self.coordinator: Frame = greeting.get("coordinator") or {}
        self.server_time_ms: int = greeting["server_time_ms"]
        self.max_message_bytes: int = greeting["limits"]["max_message_bytes"]
        self.max_deadline_ms: int = greeting["limits"]["max_deadline_ms"]

    @classmethod
    async def open(cls, url: str, cluster: str | None, connect_limit: float) -> Self:
        """Connects within `connect_limit` seconds, and greets the server. Raises `Lost`."""
        try:
            # The server offers no compression. Its own pings are answered by the library.
            socket = await _Connect(
                url,
                create_connection=_Socket,
                subprotocols=[Subprotocol("bellwether.v1")],
                compression=None,
                open_timeout=connect_limit,
                ping_interval=None,
                close_timeout=0.25,
                max_size=MAX_REPLY_BYTES,
                # The list names servers; nothing of the surroundings leads elsewhere.
                proxy=None,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            raise Lost(f"it answers HTTP {status}", refused=status in (403, 421)) from error
        except Exception as error:
            raise Lost(f"it cannot be reached: {str(error) or 'no answer'}") from error
        try:
            async with asyncio.timeout(HELLO_LIMIT):
                await socket.send(hello(cluster))
                frame = parse(await socket.recv())
            if frame["type"] == "error":
                raise Lost(str(frame.get("message")), refused=frame.get("code") in FINAL | {"wrong_cluster"})
            return cls(socket, frame)
        except BaseException as error:
            socket.transport.abort()
            match error:
                case ConnectionClosed():
                    raise _lost(error) from error
                case TimeoutError():
                    raise Lost("it does not greet") from error
                case Exception() if not isinstance(error, Lost):
                    raise Lost(f"it does not speak bellwether.v1: {error!r}") from error
            raise

    @property
    def heard(self) -> float:
        """Gives the time at which the last byte arrived, be it of a pong.

        The time is in seconds, by the clock of the event loop.
        """
        return self._socket.heard

    @property
    def is_open(self) -> bool:
        """Gives `True` until one of the two sides ends the connection."""
        return self._socket.state is State.OPEN

    async def exchange(self, frame: str, id: str, answer_type: str) -> Frame:
        """Sends a frame and gives the answer to it, an error or a frame of this type.

        Raises `Lost`.
        """
        belongs_to_all = None
        try:
            await self._socket.send(frame)
            while True:
                answer = parse(await self._socket.recv())
                if answer.get("id") == id and answer["type"] in (answer_type, "error"):
                    return answer
                if answer["type"] == "error" and answer.get("id") is None:
                    belongs_to_all = str(answer.get("message"))
        except ConnectionClosed as error:
            raise _lost(error, belongs_to_all) from error
        except Exception as error:
            # The library takes no message of very many fragments. Asked again, the server would
            # send them again.
            raise Lost(f"its answer cannot be read: {error}", too_long=isinstance(error, WebSocketException)) from error

    async def ping(self) -> None:
        """Asks for a sign of life. `heard` changes when it comes."""
        with contextlib.suppress(ConnectionClosed):
            await self._socket.ping()

    async def close(self) -> None:
        """Says goodbye, and waits 0.25 s at most for the server to do so."""
        try:
            await self._socket.close()
        finally:
            self.abort()

    def abort(self) -> None:
        """Ends the connection without a word."""
        self._socket.transport.abort()


def _lost(error: ConnectionClosed, said: str | None = None) -> Lost:
    too_long = error.sent is not None and error.sent.code == 1009 and not error.rcvd_then_sent
    # A server repeats the code of this client's own close frame.
    received = None if too_long else error.rcvd
    code = received.code if received else None
    if said is None:
        end = f"it closed the connection with {code} {received.reason}" if received else "the connection ended"
        said = end.rstrip()
    return Lost(said, code, too_long=too_long, refused=code in REFUSALS)
