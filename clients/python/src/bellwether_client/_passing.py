"""Passes one frame along the list of servers until one answers, as `docs/protocol.md` describes it, step by step."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from ._answer import CommandError, Outcome
from ._connection import Connection, Lost
from ._frames import Frame, address, make_id

STAGGER = 0.25
"""Seconds after which the next server is greeted beside one that is slow."""
SILENCE = 1.0
"""Seconds without an answer after which the others are greeted; twice as long each time."""

# Errors at which a client stops.
_FINAL = {
    "bad_command", "bad_frame", "command_not_allowed", "id_expired", "id_reused", "mongo", "reply_not_kept",
    "result_too_large", "too_deep",
}  # fmt: skip
# Errors after which no earlier try with the same id can have had an effect, nor can a later one.
_SETTLING = {"id_reused", "mongo", "result_too_large"}
# Close codes at which a client stops, and those that say that the one frame that was sent was not executed.
_FAULTS = {1002, 1003, 1007, 1009, 4400, 4401, 4429}
_NOT_EXECUTED = {1012, 4400, 4401, 4408}


@dataclass(eq=False)
class _Server:
    url: str
    name: str | None = None
    """The server's own id, once it has greeted."""
    greeting: asyncio.Task[Connection] | None = None
    started: float = 0.0
    said: str = "it was not tried"
    refuses: bool = False
    """It will refuse this client until somebody changes an option."""


@dataclass(eq=False)
class _Holder:
    """The server that has the command."""

    server: _Server
    connection: Connection
    since: float
    answer: asyncio.Task[Frame]
    pong: asyncio.Task[None] | None = None
    silence: float = SILENCE
    """The length of silence at which the others are greeted next."""
    is_deaf: bool = False
    """It did not answer a ping before the next look: the connection is dead, or the server is paused."""

    @property
    def is_silent(self) -> bool:
        return self.silence > SILENCE


def _seconds(millis: object) -> float:
    """The time that a server names in milliseconds; none where it names none."""
    return millis / 1000 if isinstance(millis, int) and 0 <= millis < 1 << 53 else 0.0


@dataclass(eq=False)
class Passing:
    """One command, or one question, on its way along the list."""

    addresses: Iterable[str]
    frame: Callable[[str, int], str]
    """Writes the frame that is sent, with an id and a time limit in milliseconds."""
    deadline: float
    cluster: str | None = None
    id: str | None = None
    reads: bool = False
    _servers: list[_Server] = field(default_factory=list)
    _queue: deque[_Server] = field(default_factory=deque)
    _holder: _Holder | None = None
    _passes: int = -1
    _next_start: float = 0.0
    _paused_until: float = 0.0
    _not_before: float = 0.0
    _redirected: bool = False
    _executed: bool = False
    _closing: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._servers = [_Server(url) for url in dict.fromkeys(map(address, self.addresses))]
        if not self._servers:
            raise ValueError("the list of servers is empty")
        # An id that is handed in was sent before, and nobody knows with which end.
        self._unsettled = self.id is not None
        self.id = self.id and str(UUID(self.id))

    async def run(self) -> tuple[str, Frame]:
        """Gives the id of the server that answered, and its `result` or `fate`. Raises `CommandError`."""
        self._end = self._now() + self.deadline
        try:
            while (now := self._now()) < self._end:
                wake = min(self._advance(now), self._end)
                tasks: list[asyncio.Task[Connection] | asyncio.Task[Frame]]
                tasks = [server.greeting for server in self._servers if server.greeting]
                tasks += [self._holder.answer] if self._holder else []
                if tasks:
                    await asyncio.wait(tasks, timeout=max(wake - now, 0), return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(max(wake - now, 0))
                if self._holder and self._holder.answer.done():
                    holder, self._holder = self._holder, None
                    if (answer := self._answered(holder)) is not None:
                        return holder.connection.server, answer
                for server in self._servers:
                    if server.greeting and server.greeting.done():
                        self._greeted(server)
            raise self._out_of_time()
        except CommandError:
            raise
        except Exception as error:
            # Whatever a server or the network has done: the caller is told the outcome and the id.
            self._unsettled = True
            raise self._error(f"this client has failed: {error!r}", servers=True) from error
        finally:
            await self._leave()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # Steps 2, 6 and 7: whom to greet now. Gives the time at which to look again.

    def _advance(self, now: float) -> float:
        if holder := self._holder:
            if now >= holder.since + holder.silence:
                holder.silence *= 2
                holder.is_deaf = holder.pong is not None and not holder.pong.done()
                if not holder.is_deaf:
                    holder.pong = asyncio.create_task(holder.connection.answers_pings())
                    holder.pong.add_done_callback(_take_exception)
                for server in self._servers:
                    if server.greeting is None and (server is not holder.server or holder.is_deaf):
                        self._greet(server, now)
            return holder.since + holder.silence
        if not self._queue and now >= self._paused_until:
            young = [server.started + STAGGER for server in self._servers if server.greeting]
            if self._passes >= 0 and now < max(young, default=0.0):
                return max(young)
            self._begin_pass(now)
        start = max(self._next_start, self._paused_until)
        if self._queue and now >= start:
            self._greet(self._queue.popleft(), now)
            start = self._next_start = now + STAGGER
        return start

    def _begin_pass(self, now: float) -> None:
        self._passes += 1
        if self._passes > 0:
            pause = min(0.02 * 2 ** min(self._passes - 1, 10), 1.0)
            # An overloaded server tells each command a time of its own, so that one has no jitter.
            self._paused_until = max(now + pause * random.uniform(0.5, 1.0), self._not_before)
        self._redirected = False
        # Servers whose greeting is still under way are left out of this pass.
        self._queue = deque(server for server in self._servers if server.greeting is None)

    def _greet(self, server: _Server, now: float) -> None:
        server.started = now
        limit = 2.0 * min(self._passes + 1, 3)
        server.greeting = asyncio.create_task(Connection.open(server.url, self.cluster, limit))

    # Steps 2, 4 and 6: what to do with a server that has greeted, or has not.

    def _greeted(self, server: _Server) -> None:
        task, server.greeting = server.greeting, None
        assert task is not None
        self._next_start = self._now()
        try:
            connection = task.result()
        except Lost as error:
            server.said, server.refuses = str(error), error.refused
            if self._holder is None and all(server.refuses for server in self._servers):
                raise self._error("every server on the list refuses this client", servers=True) from error
            return
        server.name, server.refuses = connection.server, False
        if connection.role == "coordinator":
            server.said = f"{connection.server} is coordinator"
            holder = self._holder
            if holder is None and self._now() >= self._not_before:
                return self._hand_over(server, connection)
            if holder is None:
                self._queue.appendleft(server)
            elif (
                holder.is_silent
                and connection.epoch > holder.connection.epoch
                or holder.is_deaf
                and server is holder.server
            ):
                self._give_up(holder)
                return self._hand_over(server, connection)
        else:
            self._follow(server, connection.role, connection.coordinator)
        self._close(connection)

    def _follow(self, server: _Server, role: str, coordinator: Frame) -> None:
        """Goes to the coordinator that a server names, once per pass and only if it is on the list."""
        name, url = coordinator.get("server"), coordinator.get("url")
        server.said = f"{server.name} is {role}" + (f", the coordinator is {name} at {url or '?'}" if name else "")
        named = [other for other in self._servers if other.url == _url(url) or (name and other.name == name)]
        if name and not named:
            server.said += ", which is not on the list"
        if named and named[0] in self._queue and not self._redirected:
            self._redirected = True
            self._queue.remove(named[0])
            self._queue.appendleft(named[0])

    def _hand_over(self, server: _Server, connection: Connection) -> None:
        now = self._now()
        if now >= self._end:
            return self._close(connection)
        self.id = self.id or make_id(connection.server_time_ms)
        left_ms = (self._end - now) * 1000
        # What the server's own word at the end of its time needs to come back.
        way_back = min(left_ms / 10, 500)
        deadline_ms = int(min(left_ms - way_back, connection.max_deadline_ms))
        frame = self.frame(self.id, deadline_ms)
        limit = connection.max_message_bytes
        if (size := len(frame.encode())) > limit:
            self._close(connection)
            raise self._error(
                f"the command is {size} bytes long as a message; {connection.server} takes {limit} at most"
            )
        self._holder = _Holder(server, connection, now, asyncio.create_task(connection.exchange(frame, self.id)))
        server.said = f"{connection.server} has the command and has not answered: it may need a longer deadline"

    def _give_up(self, holder: _Holder) -> None:
        self._unsettled = True
        holder.server.said = f"{holder.connection.server} had the command and fell silent"
        self._holder = None
        holder.answer.cancel()
        holder.connection.abort()

    # Step 5: the answer, or the end of the connection.

    def _answered(self, holder: _Holder) -> Frame | None:
        """Gives the answer at which to stop; `None` to go on. Raises `CommandError` at an error that is final."""
        server, self._next_start = holder.server, self._now()
        try:
            answer = holder.answer.result()
        except Lost as error:
            server.said = str(error)
            self._unsettled |= error.code not in _NOT_EXECUTED
            if error.too_long:
                raise self._error("the reply is longer than this client takes: ask for less") from error
            if error.code in _FAULTS:
                raise self._error(f"{holder.connection.server} refuses the command: {error}") from error
            return None
        self._close(holder.connection)
        if answer["type"] == "result" or (answer["type"] == "fate" and answer["outcome"] != "unknown"):
            return answer
        code, outcome = answer.get("code"), answer.get("outcome")
        server.said = f"{holder.connection.server}: {answer.get('message', 'the command waits in its queue')}"
        self._executed |= outcome == "executed" and answer["type"] == "error"
        if outcome == "not_executed" and code in _SETTLING:
            self._unsettled = False
        self._unsettled |= outcome not in ("not_executed", "executed")
        if code in _FINAL:
            raise self._error(str(answer.get("message")), answer)
        if code == "overloaded":
            # This pass is over. The next one begins with this server, since no other can execute the command.
            self._not_before = self._now() + _seconds(answer.get("retry_after_ms"))
            if self._not_before >= self._end:
                raise self._error(str(answer.get("message")), answer)
            self._servers.sort(key=lambda other: other is not server)
            self._begin_pass(self._now())
        elif code == "not_coordinator":
            self._follow(server, "follower", answer.get("coordinator") or {})
        return None

    # Step 9: the end.

    def _out_of_time(self) -> CommandError:
        self._unsettled |= self._holder is not None
        return self._error(f"no server has executed the command within {self.deadline:g} s", servers=True)

    def _error(self, message: str, answer: Frame | None = None, *, servers: bool = False) -> CommandError:
        if self._executed:
            outcome = Outcome.EXECUTED
        elif self._unsettled and not self.reads:
            outcome = Outcome.UNKNOWN
        else:
            outcome = Outcome.NOT_EXECUTED
        answer = answer or {}
        return CommandError(
            message,
            outcome,
            id=self.id,
            code=answer.get("code"),
            hint=answer.get("hint"),
            mongo=answer.get("mongo"),
            servers={server.url: server.said for server in self._servers} if servers else {},
        )

    def _close(self, connection: Connection) -> None:
        task = asyncio.create_task(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _leave(self) -> None:
        greetings = [server.greeting for server in self._servers if server.greeting]
        for greeting in greetings:
            greeting.cancel()
        if self._holder:
            self._holder.answer.cancel()
            self._holder.connection.abort()
        for greeted in await asyncio.gather(*greetings, return_exceptions=True):
            if isinstance(greeted, Connection):
                greeted.abort()
        await asyncio.gather(*self._closing, return_exceptions=True)


def _url(named: object) -> str | None:
    """Gives a URL that a server named in the form of those on the list."""
    try:
        return address(named) if isinstance(named, str) else None
    except ValueError:
        return None


def _take_exception(task: asyncio.Task[None]) -> None:
    """Takes the exception of a task for which nobody waits, or `asyncio` would complain."""
    if not task.cancelled():
        task.exception()
