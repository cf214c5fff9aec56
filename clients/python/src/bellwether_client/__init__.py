"""A client of Bellwether: executes MongoDB commands exactly once through a list of servers.

It is written from `docs/protocol.md`, which describes the protocol `bellwether.v1`.
"""

from ._answer import CommandError, Outcome, OutcomeResult, Result
from ._frames import make_id
from ._one_shot import ask, execute

__all__ = ["CommandError", "Outcome", "OutcomeResult", "Result", "ask", "execute", "make_id"]
