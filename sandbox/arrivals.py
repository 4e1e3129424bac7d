"""When the callers of an alias call: evenly spaced, so many a minute, and in bursts more or fewer of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from sandbox.aws.cloudwatch import MINUTE_SECONDS
from sandbox.scenario_traffic import Bursts


@dataclass(frozen=True, slots=True)
class Arrivals:
    """So many requests a minute, and others during `bursts`. Minutes are numbered from the start of the rollout, those
    before it downwards from -1; seconds count from there too.
    """

    per_minute: float
    bursts: Bursts | None = None

    def in_minute(self, minute: int) -> int:
        """How many requests a minute brings: a rate below one a minute brings one every so many minutes."""
        return self.before(minute + 1) - self.before(minute)

    def before(self, minute: int) -> int:
        """The number of a minute's first request: those before the start have negative ones."""
        due = self.per_minute * minute
        if self.bursts:
            more = self.bursts.requests_per_minute - self.per_minute
            due += more * _burst_seconds(self.bursts, minute * MINUTE_SECONDS) / MINUTE_SECONDS
        return math.floor(due + 1e-9)

    def due(self, minute: int, elapsed: float) -> int:
        """How many of a minute's requests have come when the share `elapsed` of it is over."""
        in_all = self.in_minute(minute)
        return min(in_all, math.ceil(in_all * self._part(minute, elapsed) - 1e-9))

    def second(self, minute: int, index: int) -> float:
        """The second at which a minute's request number `index` comes, the first being 0."""
        part = index / self.in_minute(minute)
        if self.bursts is None:
            return (minute + part) * MINUTE_SECONDS
        pieces = _pieces(self, minute)
        left = part * sum(piece.requests for piece in pieces)
        for piece in pieces:
            if left < piece.requests:
                return piece.begins + left / piece.requests * piece.seconds
            left -= piece.requests
        return (minute + 1.0) * MINUTE_SECONDS

    def _part(self, minute: int, elapsed: float) -> float:
        """The share of a minute's requests that a share of its time brings."""
        if self.bursts is None:
            return elapsed
        pieces, now = _pieces(self, minute), (minute + elapsed) * MINUTE_SECONDS
        come = sum(piece.requests * min(max((now - piece.begins) / piece.seconds, 0.0), 1.0) for piece in pieces)
        in_all = sum(piece.requests for piece in pieces)
        return come / in_all if in_all else elapsed


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a minute in which requests come evenly: the second at which it begins, its length, and how many."""

    begins: float
    seconds: float
    requests: float


@lru_cache(maxsize=256)
def _pieces(arrivals: Arrivals, minute: int) -> tuple[_Piece, ...]:
    """A minute, cut where bursts begin and end."""
    bursts, begin, end = arrivals.bursts, minute * MINUTE_SECONDS, (minute + 1) * MINUTE_SECONDS
    found, at = [], float(begin)
    for begins, ends in _bursts(bursts, begin, end) if bursts else ():
        found.append((at, begins, arrivals.per_minute))
        found.append((begins, ends, bursts.requests_per_minute if bursts else 0.0))
        at = ends
    found.append((at, float(end), arrivals.per_minute))
    return tuple(
        _Piece(begins, ends - begins, rate * (ends - begins) / MINUTE_SECONDS)
        for begins, ends, rate in found
        if ends > begins
    )


def _bursts(bursts: Bursts, begin: float, end: float) -> Iterator[tuple[float, float]]:
    """Beginning and end of each burst between two seconds on one side of the start, cut off at both."""
    number = math.floor((begin - bursts.first_second) / bursts.every_seconds)
    if begin >= 0:
        number = max(number, 0)
    while (begins := bursts.first_second + number * bursts.every_seconds) < end:
        ends = min(begins + bursts.seconds, end)
        if ends > begin:
            yield max(begins, float(begin)), ends
        number += 1


def _burst_seconds(bursts: Bursts, second: float) -> float:
    """For how many seconds there have been bursts from the start up to a second; before the start a negative number."""
    first = float(bursts.first_second)
    if second < 0:
        return _periodic(bursts, second - first) - _periodic(bursts, -first)
    return _periodic(bursts, max(second - first, 0.0))


def _periodic(bursts: Bursts, seconds: float) -> float:
    """How much of so many seconds since a burst began is in bursts, that one included."""
    whole, rest = divmod(seconds, bursts.every_seconds)
    return whole * bursts.seconds + min(rest, bursts.seconds)
