"""One of the rollouts that are played in a world: what it asks for, its target, and the callers of that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.aws.lambda_rules import Routing
from sandbox.target import Target
from sandbox.traffic import Traffic


@dataclass(slots=True, eq=False)
class Member:
    """`routing` tells the target's alias as it is now, None where it does not exist; `routings` keeps it after every
    change, with the moment (epoch seconds).
    """

    request: object
    target: Target
    traffic: Traffic
    routing: Callable[[], Routing | None]
    routings: list[tuple[float, Routing | None]] = field(default_factory=list)

    def note(self, now: float) -> Routing | None:
        """Before and after a write of the alias: callers until now met the routing until now. What that was, where it
        is another one now; None where it is not.
        """
        self.traffic.catch_up(now)
        before = self.routings[-1][1]
        if self.routing() == before:
            return None
        self.routings.append((now, self.routing()))
        return before
