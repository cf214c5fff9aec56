"""The two things a caller can do."""

from collections.abc import Iterable, Mapping
from typing import Any

from ._answer import CommandError, Outcome, OutcomeResult, Result
from ._frames import Frame, command_text, decode, only_reads
from ._passing import Passing


async def execute(
    servers: Iterable[str],
    command: Mapping[str, Any],
    deadline: float = 30.0,
    *,
    id: str | None = None,
    cluster: str | None = None,
) -> Result:
    """Executes a MongoDB command once, whatever happens to the servers, and gives its reply.

    `servers` are all servers of the cluster, nearest first, as `host:port` or `ws://host:port/v1`.
    `deadline` is the time in seconds for everything, more than 0. `cluster` is the name of the
    cluster that is meant, if a wrong one shall be refused. `id` is given only to go on with a
    command whose outcome is unknown: the command must then be the same.

    Raises `CommandError`, whose `outcome` says if the command was executed. Raises `ValueError` for
    wrong arguments, and the errors of `bson.encode` for a command that cannot be written. A task
    that is cancelled leaves the outcome of a write unknown.
    """
    reads = only_reads(command)
    server, answer = await execute_text(servers, command_text(command), reads, deadline, id, cluster)
    return Result(answer["id"], server, answer["epoch"], answer["replayed"], decode(answer["result"]))


async def execute_text(
    servers: Iterable[str], text: str, reads: bool, deadline: float, id: str | None, cluster: str | None
) -> tuple[str, Frame]:
    """Executes a command that is one JSON object as text.

    Gives the id of the server that answered, and its `result`.

    Raises `CommandError`, and `ValueError` for wrong arguments.
    """

    def frame(id: str, deadline_ms: int) -> str:
        # The text of the command stands in the frame as it is: its fields keep their order.
        return f'{{"type":"command","id":"{id}","deadline_ms":{deadline_ms},"command":{text}}}'

    server, answer = await Passing(servers, frame, "result", deadline, cluster, id, reads).run()
    if missing := {"epoch", "replayed", "result"} - {name for name in answer if answer[name] is not None}:
        outcome = Outcome.NOT_EXECUTED if reads else Outcome.EXECUTED
        problem = f"the reply of {server} cannot be read: it has no {', '.join(sorted(missing))}"
        raise CommandError(problem, outcome, id=answer["id"])
    return server, answer


async def ask(servers: Iterable[str], id: str, deadline: float = 30.0, *, cluster: str | None = None) -> OutcomeResult:
    """Asks the servers for the outcome of the command with this id. Asking executes nothing.

    The arguments are those of `execute`. An answer `NOT_EXECUTED` is final once the deadline of the
    last try is over.

    Raises `CommandError` with the outcome `UNKNOWN` if no server knew it, and `ValueError` for
    wrong arguments.
    """

    def frame(id: str, deadline_ms: int) -> str:
        return f'{{"type":"outcome","id":"{id}","deadline_ms":{deadline_ms}}}'

    _, answer = await Passing(servers, frame, "outcome_result", deadline, cluster, id).run()
    try:
        reply = decode(answer["result"]) if answer.get("result") is not None else None
        return OutcomeResult(id, Outcome(answer["outcome"]), answer.get("epoch"), reply)
    except Exception as error:
        raise CommandError(f"the answer cannot be read: {error!r}", Outcome.UNKNOWN, id=id) from error
