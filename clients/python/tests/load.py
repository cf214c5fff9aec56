"""Clients that write to a real cluster until standard input ends.

Arguments: the number of clients, then the servers. Each insert has no `_id`, so that one that is
executed twice leaves two documents. For each there is one line of JSON: its key, the last outcome
that its client got, and the outcomes before that. `tests/tests/python` runs this program and kills
servers meanwhile.
"""

import asyncio
import json
import os
import sys
from typing import Any

from bellwether_client import CommandError, Outcome, ask, execute

PATIENT, HASTY = 30.0, 0.4


async def client(number: int, servers: list[str], stop: asyncio.Event) -> None:
    """Inserts one document after another.

    Every other client has so little time that outcomes are left unknown.
    """
    count = 0
    while not stop.is_set():
        key = f"{number}-{count}"
        count += 1
        first = HASTY if number % 2 else PATIENT
        command = {"insert": "python", "documents": [{"key": key}]}
        told: list[str] = []
        try:
            try:
                await execute(servers, command, first)
            except CommandError as error:
                told.append(str(error))
                if error.outcome is not Outcome.UNKNOWN or first is PATIENT or error.id is None:
                    raise
                await settle(servers, command, error.id, told)
            told_in_the_end = Outcome.EXECUTED
            await read_it(servers, key)
        except CommandError as error:
            told.append(str(error))
            told_in_the_end = error.outcome
        say(key=key, outcome=told_in_the_end, patient=first is PATIENT, told=told)


async def settle(servers: list[str], command: dict[str, Any], id: str, told: list[str]) -> None:
    """Asks for the outcome of a command, and executes it if it was not executed."""
    outcome_result = await ask(servers, id, PATIENT)
    told.append(f"asked: {outcome_result.outcome}")
    result = await execute(servers, command, PATIENT, id=id)
    if outcome_result.outcome is Outcome.EXECUTED and not result.replayed:
        raise SystemExit(f"{id} was executed, and then once more: {told}")


async def read_it(servers: list[str], key: str) -> None:
    """A read that was sent after a write was answered must see the write."""
    try:
        found = await execute(servers, {"find": "python", "filter": {"key": key}}, PATIENT)
    except CommandError as error:
        if error.outcome is not Outcome.NOT_EXECUTED:
            raise SystemExit(f"a read has no effect: {error}") from error
        raise SystemExit(f"a patient read failed: {error}") from error
    if len(found.reply["cursor"]["firstBatch"]) != 1:
        raise SystemExit(f"{key} was acknowledged, and is read as {found.reply}")


def say(**fields: Any) -> None:
    """Prints a line of JSON."""
    print(json.dumps(fields), flush=True)


async def main() -> None:
    clients, servers = int(sys.argv[1]), sys.argv[2:]
    stop = asyncio.Event()
    # Standard input ends when the test has seen enough, or is gone.
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()
    loop.add_reader(stdin, lambda: None if os.read(stdin, 1024) else stop.set())
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number, servers, stop))
        await stop.wait()
        loop.remove_reader(stdin)


asyncio.run(main())
