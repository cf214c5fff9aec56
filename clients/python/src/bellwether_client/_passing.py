"""Passes one frame along the list of servers until one answers.

`docs/protocol.md` describes it step by step.
"""

import asyncio
import contextlib
import math
import random
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from ._answer import CommandError, Outcome
from ._connection import Connection, Lost
from ._frames import FINAL, Frame, address, decode, make_id

STAGGER = 0.25
"""Seconds after which this client also greets the next server, if one is slow."""
SILENCE = 1.0
"""Seconds without a byte after which the others are greeted; twice as long each time."""
GIVE_UP = 3
"""Looks at the others, over 7 s, in which the server that has the command must answer a ping."""
SHORTEST_TRY = 0.1
"""With less time left, in seconds, no server is sent the command."""
UNLISTED = 15.0
"""Seconds after which servers are believed that a coordinator is not on the list."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
"""Seconds between two passes: twice as long each time."""

_NOT_LISTED = ", which is not on the list"

# Errors after which no earlier try with the same id can have had an effect, nor can a later one.
_SETTLING = {"id_reused", "mongo", "result_too_large"}
# Close codes at which a client stops, and those that say that the one frame that was sent was not
# executed.
_FAULTS = {1009, 4400, 4401, 4429}
_NOT_EXECUTED = {4400, 4401, 4408, 4410}


@dataclass(eq=False)
class _Server:
    url: str
    name: str | None = None
    """The server's own id, once it has greeted."""
    greeting: asyncio.Task[Connection] | None = None
    started: float = 0.0
    said: str = "it was not tried"
    refuses: bool = False
    """It will refuse this client until an operator changes an option."""
    unlisted_since: float | None = None
    """The time since which it has named coordinators that are not on the list, and nothing else."""


@dataclass(eq=False)
class _Holder:
    """The server that has the command."""

    server: _Server
    connection: Connection
    since: float
    way_back: float
    """Seconds that are kept for the way of the answer."""
    answer: asyncio.Task[Frame]
    silence: float = SILENCE
    """The length of silence at which the others are greeted next."""
    pinged: float = 0.0
    missed: int = 0
    """The number of looks at the others since the ping, without a sign of life."""

    def next_look(self) -> float:
        """Gives the time at which the others are greeted next: 1, 3 and 7 s after a ping that is
        not answered.
        """
        if self.misses(0):
            return self.pinged + ((2 << self.missed) - 1) * SILENCE
        return max(self.since, self.connection.heard) + self.silence

    def misses(self, looks: int) -> bool:
        """Returns `True` if the ping was not answered before that many looks after it."""
        return self.connection.heard < self.pinged and self.missed >= looks


@dataclass(eq=False)
class Passing:
    """One command, or one question, on its way along the list."""

    addresses: Iterable[str]
    frame: Callable[[str, int], str]
    """Writes the frame that is sent, with an id and a time limit in milliseconds."""
    answer_type: str
    deadline: float
    cluster: str | None = None
    id: str | None = None
    reads: bool = False
    _queue: deque[_Server] = field(default_factory=deque)
    _holder: _Holder | None = None
    _passes: int = -1
    _next_start: float = 0.0
    _paused_until: float = 0.0
    _not_before: float = 0.0
    """The time before which no server is sent the command, as an overloaded one asked."""
    _kept: tuple[_Server, Connection] | None = None
    """The overloaded server, and its connection, on which it gets the command after the pause."""
    _redirected: bool = False
    _executed: bool = False
    _dead: int = 0
    """The number of connections that were given up as dead.

    The next has as many looks more, since a long command on a slow network delays the pong, too.
    """
    _background: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        if isinstance(self.addresses, str):
            raise ValueError("the servers are a list of addresses, not one text")  # noqa: TRY004
        self._servers = [_Server(url) for url in dict.fromkeys(map(address, self.addresses))]
        if not self._servers:
            raise ValueError("the list of servers is empty: name at least one, such as 127.0.0.1:7001")
        if not 0 < self.deadline < math.inf:
            raise ValueError(f"the deadline is {self.deadline} s: it must be more than 0 and finite")
        # The caller has sent an id that it passes in, and this client does not know with which end.
        self._unsettled = self.id is not None
        self._may_make_another = self.id is None
        if self.id is not None:
            try:
                self.id = str(UUID(self.id))
            except ValueError as error:
                form = "give the UUID that an earlier error named, or that make_id made"
                raise ValueError(f"{self.id!r} is not the id of a command: {form}") from error

    async def run(self) -> tuple[str, Frame]:
        """Gives the id of the server that answered, and its answer. Raises `CommandError`."""
        self._end = self._now() + self.deadline
        try:
            while (now := self._now()) < self._end:
                wait = max(min(self._advance(now), self._end) - now, 0)
                tasks: list[asyncio.Task[Any]] = [server.greeting for server in self._servers if server.greeting]
                tasks += [self._holder.answer] if self._holder else []
                if tasks:
                    await asyncio.wait(tasks, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(wait)
                if (holder := self._holder) and holder.answer.done() and (answer := self._answered(holder)):
                    return holder.connection.server, answer
                for server in self._servers:
                    if server.greeting and server.greeting.done():
                        self._greeted(server, server.greeting)
            self._unsettled |= self._holder is not None
            raise self._error(f"no server has executed the command within {self.deadline:g} s", servers=True)
        except CommandError:
            raise
        except Exception as error:
            # Each failure of a server or the network gives the caller the outcome and the id.
            self._unsettled |= self.id is not None
            raise self._error(f"this client has failed: {error!r}", servers=True) from error
        finally:
            await self._leave()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # Steps 2, 6 and 7: whom to greet now. Gives the time at which to look again.

    def _advance(self, now: float) -> float:
        if holder := self._holder:
            if now >= holder.next_look():
                self._look(holder, now)
            return holder.next_look() if self._holder else now
        if (kept := self._kept) and now >= self._paused_until:
            server, connection = kept
            self._leave_kept(close=not connection.is_open)
            if connection.is_open:
                with contextlib.suppress(ValueError):
                    self._queue.remove(server)
                self._hand_over(server, connection, now)
                return now
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

    def _look(self, holder: _Holder, now: float) -> None:
        if holder.misses(0):
            holder.missed += 1
        else:
            holder.pinged, holder.missed = now, 0
            holder.silence *= 2
            self._spawn(holder.connection.ping())
        if holder.misses(GIVE_UP + self._dead):
            return self._give_up(holder)
        for server in self._servers:
            if server is not holder.server or holder.misses(1 + self._dead):
                self._greet(server, now)

    def _begin_pass(self, now: float) -> None:
        self._passes += 1
        if self._not_before > now:
            self._paused_until = self._not_before
        elif self._passes:
            pause = min(SHORTEST_PAUSE * 2 ** min(self._passes - 1, 10), LONGEST_PAUSE)
            self._paused_until = now + pause * random.uniform(0.5, 1.0)
        self._redirected = False
        # Servers whose greeting is still under way are left out of this pass.
        self._queue = deque(server for server in self._servers if server.greeting is None)

    def _greet(self, server: _Server, now: float) -> None:
        if server.greeting is None:
            server.started = now
            limit = 2.0 * min(self._passes + 1, 3)
            server.greeting = asyncio.create_task(Connection.open(server.url, self.cluster, limit))

    # Steps 2, 4 and 6: what to do with a server that has greeted, or has not.

    def _greeted(self, server: _Server, greeting: asyncio.Task[Connection]) -> None:
        now = self._next_start = self._now()
        server.greeting = None
        unlisted_since, server.unlisted_since = server.unlisted_since, None
        try:
            connection = greeting.result()
        except asyncio.CancelledError:
            # Python 3.11 cancels a task whose limit ends at the very moment at which it is done.
            server.said = "it does not answer in time"
            return
        except Lost as error:
            server.said, server.refuses = str(error), error.refused
            if self._holder is None and all(server.refuses for server in self._servers):
                raise self._error("every server on the list refuses this client", servers=True) from error
            return
        server.name, server.refuses = connection.server, False
        is_coordinator = connection.role == "coordinator"
        if holder := self._holder:
            is_newer = is_coordinator and connection.epoch > holder.connection.epoch
            if is_newer or server is holder.server and holder.misses(1 + self._dead):
                self._give_up(holder)
        if is_coordinator and self._holder is None and now >= self._not_before:
            return self._hand_over(server, connection, now)
        self._spawn(connection.close())
        if is_coordinator:
            server.said = f"{server.name} is coordinator"
            if self._holder is None and server not in self._queue:
                self._queue.appendleft(server)
        else:
            where = self._follow(connection.coordinator)
            server.said = f"{server.name} is {connection.role}{where}"
            if where.endswith(_NOT_LISTED):
                server.unlisted_since = unlisted_since or now
            if max(other.unlisted_since or now for other in self._servers) <= now - UNLISTED:
                raise self._error("the coordinator is not on the list of servers", servers=True)

    def _follow(self, coordinator: Frame) -> str:
        """Goes to the coordinator that a server names, once per pass and only if it is on the list.

        Gives text on it.
        """
        name, url = coordinator.get("server"), coordinator.get("url")
        with contextlib.suppress(ValueError):
            url = address(str(url))
        named = [other for other in self._servers if other.url == url or name and other.name == name]
        if named and named[0] in self._queue and not self._redirected:
            self._redirected = True
            self._queue.remove(named[0])
            self._queue.appendleft(named[0])
        where = "" if named else _NOT_LISTED
        return f", the coordinator is {name} at {url or '?'}{where}" if name else ""

    def _leave_kept(self, *, close: bool = True) -> None:
        if self._kept and close:
            self._spawn(self._kept[1].close())
        self._kept = None

    def _hand_over(self, server: _Server, connection: Connection, now: float) -> None:
        self._leave_kept()
        left = self._end - now
        if left < min(SHORTEST_TRY, self.deadline / 2):
            return self._spawn(connection.close())
        self.id = self.id or make_id(connection.server_time_ms)
        # Time that the server's last answer, at the end of its time, needs to come back.
        way_back = min(left / 10, 0.5)
        frame = self.frame(self.id, min(math.ceil((left - way_back) * 1000), connection.max_deadline_ms))
        if (size := len(frame.encode())) > (limit := connection.max_message_bytes):
            self._spawn(connection.close())
            raise self._error(f"the command is {size} bytes long as a message; {server.name} takes {limit} at most")
        answer = asyncio.create_task(connection.exchange(frame, self.id, self.answer_type))
        self._holder = _Holder(server, connection, now, way_back, answer)
        server.said = f"{server.name} has the command and has not answered: it may need a longer deadline"

    def _give_up(self, holder: _Holder) -> None:
        self._dead += holder.misses(1 + self._dead)
        self._unsettled = True
        holder.server.said = f"{holder.server.name} had the command and fell silent"
        self._holder = None
        holder.answer.cancel()
        holder.connection.abort()

    # Step 5: the answer, or the end of the connection.

    def _answered(self, holder: _Holder) -> Frame | None:
        """Gives the answer at which to stop; `None` to go on.

        Raises `CommandError` at an error that is final.
        """
        server, self._holder = holder.server, None
        now = self._next_start = self._now()
        if holder.answer.exception() is None and holder.answer.result().get("code") == "overloaded":
            # The server keeps a place for a short time. A new connection could come too late.
            self._kept = server, holder.connection
        else:
            self._spawn(holder.connection.close())
        try:
            answer = holder.answer.result()
        except Lost as error:
            server.said = str(error)
            self._unsettled |= error.code not in _NOT_EXECUTED
            if error.too_long:
                raise self._error("the reply is longer than this client takes: ask for less") from error
            if error.code in _FAULTS:
                raise self._error(f"{server.name} refuses the command: {error}") from error
            return None
        code, outcome = answer.get("code"), answer.get("outcome")
        if answer["type"] != "error" and outcome != "unknown":
            return answer
        server.said = f"{server.name}: {answer.get('message') or 'the command waits in its queue'}"
        self._executed |= outcome == "executed"
        if outcome == "not_executed" and code in _SETTLING:
            self._unsettled = False
        self._unsettled |= outcome not in ("not_executed", "executed")
        if code == "id_expired" and outcome == "not_executed" and self._may_make_another and not self._unsettled:
            # The clock of the server from which the time in the id came may have been wrong.
            self.id, self._may_make_another = None, False
        elif code in FINAL or code == "deadline" and self._end - now <= holder.way_back:
            raise self._error(str(answer.get("message")), answer)
        if code != "overloaded":
            server.said += self._follow(answer.get("coordinator") or {})
            return None
        # This pass is over. The next one begins with this server, since no other can execute the
        # command.
        self._servers.sort(key=lambda other: other is not server)
        if wait_ms := answer.get("retry_after_ms"):
            # The server tells each command a time of its own, so that one has no jitter.
            self._not_before = now + max(SHORTEST_PAUSE, min(wait_ms, (self._end - now) * 500) / 1000)
        self._begin_pass(now)
        return None

    # Step 9: the end.

    def _error(self, message: str, answer: Frame | None = None, *, servers: bool = False) -> CommandError:
        if self._executed:
            outcome = Outcome.EXECUTED
        elif self._unsettled and not self.reads:
            outcome = Outcome.UNKNOWN
        else:
            outcome = Outcome.NOT_EXECUTED
        told = {name: decode((answer or {}).get(name)) for name in ("code", "hint", "mongo")}
        last_words = {server.url: server.said for server in self._servers} if servers else {}
        return CommandError(message, outcome, id=self.id, servers=last_words, **told)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _leave(self) -> None:
        """Ends everything that is under way.

        Nothing stays open, even if the caller's task is cancelled meanwhile.
        """
        for server in self._servers:
            if server.greeting:
                server.greeting.add_done_callback(_abandon)
                server.greeting.cancel()
        self._leave_kept()
        if self._holder:
            self._give_up(self._holder)
        await asyncio.gather(*self._background, return_exceptions=True)


def _abandon(greeting: asyncio.Task[Connection]) -> None:
    """Ends a connection that is not needed any more.

    The server may have greeted before the task could be cancelled.
    """
    if not greeting.cancelled() and greeting.exception() is None:
        greeting.result().abort()
