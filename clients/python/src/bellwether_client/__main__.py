"""`python -m bellwether_client`: executes one command."""

import argparse
import asyncio
import sys

from bson import json_util

from ._answer import CommandError, Outcome
from ._frames import JSON
from ._one_shot import execute


def main() -> int:
    """Gives the exit status: 0 for a reply, 1 for a command without effect, 2 for wrong arguments, 3 for a command that was
    executed and whose reply cannot be had, 4 for an unknown outcome."""
    parser = argparse.ArgumentParser("bellwether_client", description="Executes a MongoDB command exactly once.")
    parser.add_argument("--servers", required=True, metavar="LIST", help="all servers: host:port,host:port,…")
    parser.add_argument(
        "--deadline", type=float, default=30.0, metavar="S", help="time for everything, in seconds [30]"
    )
    parser.add_argument("--id", help="go on with the command of this id, whose outcome is unknown")
    parser.add_argument("--cluster", help="the cluster that is meant")
    parser.add_argument("command", help="the command, in Extended JSON")
    arguments = parser.parse_args()
    try:
        command = json_util.loads(arguments.command)
        servers = arguments.servers.split(",")
        result = asyncio.run(execute(servers, command, arguments.deadline, id=arguments.id, cluster=arguments.cluster))
    except CommandError as error:
        # Text of a server can hold what a terminal obeys.
        print(ascii(str(error))[1:-1].replace("\\n", "\n"), file=sys.stderr)
        return {Outcome.NOT_EXECUTED: 1, Outcome.EXECUTED: 3, Outcome.UNKNOWN: 4}[error.outcome]
    except (ValueError, TypeError, OverflowError) as error:
        parser.error(ascii(str(error))[1:-1])
    print(json_util.dumps(result.reply, json_options=JSON))
    return 0


if __name__ == "__main__":
    sys.exit(main())
