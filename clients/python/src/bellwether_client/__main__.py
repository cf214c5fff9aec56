"""`python -m bellwether_client`: executes one command."""

import argparse
import asyncio
import json
import os
import sys
from typing import Never, TextIO

from ._answer import CommandError, Outcome, printable
from ._frames import check_text, only_reads
from ._one_shot import execute_text


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        super().error(printable(message))


def main() -> int:
    """Gives the exit status: 0 for a reply, 1 for a command without effect, 2 for wrong arguments.

    3 stands for a command that was executed and whose reply cannot be had, 4 for an unknown
    outcome.
    """
    parser = _Parser("bellwether_client", description="Executes a MongoDB command exactly once.")
    parser.add_argument("--servers", required=True, metavar="LIST", help="all servers: host:port,host:port,…")
    parser.add_argument(
        "--deadline", type=float, default=30.0, metavar="S", help="time for everything, in seconds [30]"
    )
    parser.add_argument("--id", help="go on with the command of this id, whose outcome is unknown")
    parser.add_argument("--cluster", help="the cluster that is meant")
    parser.add_argument("command", help="the command, in Extended JSON; it is sent as it is")
    given = parser.parse_args()
    servers = [server for part in given.servers.split(",") if (server := part.strip())]
    text = given.command.removeprefix("\ufeff")
    try:
        reads = only_reads(check_text(text))
        _, answer = asyncio.run(execute_text(servers, text, reads, given.deadline, given.id, given.cluster))
        # No string holds a character that a terminal obeys: `json` escapes all but the last of
        # ASCII.
        reply = json.dumps(answer["result"]).replace("\x7f", "\\u007f")
        return 0 if _print(reply, sys.stdout) else 3
    except CommandError as error:
        _print(str(error), sys.stderr)
        return {Outcome.NOT_EXECUTED: 1, Outcome.EXECUTED: 3, Outcome.UNKNOWN: 4}[error.outcome]
    except ValueError as error:
        parser.error(str(error))


def _print(text: str, stream: TextIO | None) -> bool:
    """Prints a line. Returns `False` if no program reads the stream."""
    if stream is None:
        return False
    try:
        print(text, file=stream, flush=True)
    except OSError:
        # At its end, Python would try once more to write what it has kept.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
