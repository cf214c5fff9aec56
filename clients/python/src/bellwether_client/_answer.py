"""Answers to a command, as the caller sees them."""

from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """The outcome of a command.

    It is never worse than the truth: a read, for example, is never `UNKNOWN`.
    """

    EXECUTED = "executed"
    """The command has had its effect, once."""
    NOT_EXECUTED = "not_executed"
    """The command has had no effect and will have none.

    This is always so for a read that failed.
    """
    UNKNOWN = "unknown"
    """The command may have had its effect, or may still have it.

    Execute it again with the same id, or `ask`.
    """


@dataclass(frozen=True)
class Result:
    """The reply to a command that was executed."""

    id: str
    server: str
    """The id of the server that answered."""
    epoch: int
    replayed: bool
    """`True` if this is the stored reply of an earlier try."""
    reply: dict[str, Any]
    """MongoDB's reply, with the types of the package `bson`."""


@dataclass(frozen=True)
class OutcomeResult:
    """The answer to `ask`."""

    id: str
    outcome: Outcome
    epoch: int | None
    reply: dict[str, Any] | None
    """The reply, if the command was executed and its reply was kept."""


@dataclass(eq=False)
class CommandError(Exception):
    """The command has no reply. `outcome` says if it was executed.

    As text, the error holds no character that a terminal obeys, even if a server sent some.
    """

    message: str
    outcome: Outcome
    _: KW_ONLY
    id: str | None = None
    """The id of the command; `None` if no server was sent it."""
    code: str | None = None
    """The code of the server's error; `None` if the client itself gave up."""
    hint: str | None = None
    mongo: dict[str, Any] | None = None
    """MongoDB's own error, if it refused the command, with the types of the package `bson`."""
    servers: dict[str, str] = field(default_factory=dict)
    """The last word of each server, by its address."""

    def __str__(self) -> str:
        parts = [f"{self.message} (outcome: {self.outcome}{f', id: {self.id}' if self.id else ''})"]
        parts += [self.hint] if self.hint else []
        parts += [f"MongoDB says {self.mongo}"] if self.mongo else []
        parts += [f"{address}: {said}" for address, said in self.servers.items()]
        return "\n  ".join(map(printable, parts))


def printable(text: str) -> str:
    """Escapes the characters that a terminal obeys, or does not show, as `\\x1b`."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
