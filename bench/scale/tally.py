"""What handlers call while a crowd is played: how often, how many a second, and what of it is throttled."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container
from dataclasses import dataclass

from sandbox.aws.boundary import Call
from sandbox.aws.quotas import quota_of
from sandbox.world import World


@dataclass(frozen=True, slots=True)
class Rate:
    """Attempts at an API, the throttled ones and the SDK's retries included: in all, and a second of virtual time."""

    calls: int
    throttled: int
    mean: float
    peak: int


class Tally:
    """Counts every handler's attempts in a world from now on; APIs are named as their quota is, or as the call."""

    def __init__(self, world: World, quotas: Container[str]) -> None:
        self._world = world
        self._quotas = quotas
        self._began_at = world.clock.now()
        self._seconds: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._throttled_before = Counter(world.boundary.throttled)
        world.boundary.listen(self._note)

    def _note(self, call: Call) -> None:
        self._seconds[self._api(call.name)][int(call.at - self._began_at)] += 1

    def _api(self, call: str) -> str:
        return quota_of(call, self._quotas) or call

    @property
    def throttled(self) -> dict[str, dict[str, int]]:
        """How many attempts were throttled, by handler and call, most first."""
        found: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (handler, call), times in (self._world.boundary.throttled - self._throttled_before).most_common():
            found[handler][call] = times
        return dict(sorted(found.items(), key=lambda each: -sum(each[1].values())))

    def rates(self) -> dict[str, Rate]:
        """By API, most calls first."""
        seconds = max(self._world.clock.now() - self._began_at, 1.0)
        refused: Counter[str] = Counter()
        for calls in self.throttled.values():
            for call, times in calls.items():
                refused[self._api(call)] += times
        found = {
            api: Rate(counted.total(), refused[api], round(counted.total() / seconds, 2), max(counted.values()))
            for api, counted in self._seconds.items()
        }
        return dict(sorted(found.items(), key=lambda each: -each[1].calls))
