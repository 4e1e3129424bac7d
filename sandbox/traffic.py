"""The callers of the target's alias: routed by weight, served as each version behaves, and seen in CloudWatch.

Requests are simulated lazily, up to the moment at which somebody looks or changes the alias. Each has its own random
numbers, drawn whatever becomes of it, so the same seed asks the same of both versions: what the candidate failed and
the stable version would have served is counted, not estimated.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from statistics import NormalDist
from typing import Final

from sandbox.aws.clock import Clock
from sandbox.aws.cloudwatch import MINUTE_SECONDS, CloudWatch, LambdaMinutes, Samples, lambda_minutes
from sandbox.aws.lambda_rules import Routing
from sandbox.scenario import Counts, Outage, ReplayMinute

HISTORY_SECONDS: Final = 24 * 3600
FAILS_SMOKE_TESTS_FROM: Final = 0.5
"""A direct invocation fails where the version fails at least this share of its requests: no smoke test is left to
luck."""

_SHOW_P99: Final = 600
"""As many requests, evenly spread over a distribution, show its p99."""

_GOLDEN: Final = (math.sqrt(5) - 1) / 2
_NORMAL: Final = NormalDist()
_Z99: Final = _NORMAL.inv_cdf(0.99)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a version serves: which share of requests fails (by minute of the rollout where given, the last value
    holding on), log-normal durations, and how much longer its first requests take.
    """

    error_rate: float = 0.001
    median_ms: float = 80.0
    p99_ms: float = 400.0
    error_rate_by_minute: tuple[float, ...] = ()
    cold_start_ms: float = 0.0
    cold_starts: int = 0

    def rate_at(self, minute: int) -> float:
        """The error rate in a minute of the rollout; before it, the plain one."""
        if not self.error_rate_by_minute or minute < 0:
            return self.error_rate
        return self.error_rate_by_minute[min(minute, len(self.error_rate_by_minute) - 1)]

    def duration_ms(self, quantile: float) -> float:
        """The duration at a quantile between 0 and 1, both exclusive."""
        return self.median_ms * math.exp(_spread(self.median_ms, self.p99_ms) * _NORMAL.inv_cdf(quantile))


@lru_cache
def _spread(median_ms: float, p99_ms: float) -> float:
    return math.log(p99_ms / median_ms) / _Z99


@dataclass(frozen=True, slots=True)
class TrafficCounts:
    """Requests to the alias since the start. `failed_by_candidate`: that the stable version would have served."""

    requests: int
    to_candidate: int
    failed_by_candidate: int
    failed: int


@dataclass(slots=True)
class _Served:
    """What one version did in one minute."""

    requests: int = 0
    errors: int = 0
    slow: int = 0
    blamed: int = 0
    durations_ms: Counter[float] = field(default_factory=Counter)


class Traffic:
    """Callers of one alias, evenly spaced. `alias_routing` tells the alias's version and weights, None for no alias.

    The stable version is the alias's own at the start, every other one behaves as the candidate.
    """

    def __init__(
        self,
        clock: Clock,
        cloudwatch: CloudWatch,
        alias_routing: Callable[[], Routing | None],
        function: str,
        alias: str,
        *,
        requests_per_minute: float,
        stable: Behaviour,
        candidate: Behaviour,
        shared_outage: Outage | None = None,
        replay: Sequence[ReplayMinute] = (),
        seed: int = 0,
    ) -> None:
        self._clock = clock
        self._cloudwatch = cloudwatch
        self._alias_routing = alias_routing
        self._function = function
        self._alias = alias
        self._per_minute = requests_per_minute
        self._stable_behaviour = stable
        self._candidate_behaviour = candidate
        self._outage = shared_outage
        self._replay = {minute.t: minute for minute in replay}
        self._seed = seed
        self._started_at = 0.0
        self._stable: str | None = None
        self._minutes: list[dict[str, _Served]] = []
        self._in_minute = 0
        self._replaying = False
        self._random = Random()
        self._warmed: Counter[str] = Counter()
        self._remembers = False

    # The course of time.

    def start(self, started_at: float) -> None:
        """Begin at a whole minute, on the version that the alias then has; it has served alone for a day before."""
        self._started_at = started_at
        routing = self._alias_routing()
        self._stable = routing[0] if routing else None
        self._open_minute()
        self._cloudwatch.before_read(self._fill)

    def catch_up(self, now: float) -> None:
        """Serve every request up to `now` (exclusive) under the routing in force; call it before that changes."""
        if not self._minutes:
            return
        routing = self._alias_routing()
        if routing and self._stable is None:
            self._stable = routing[0]
        while True:
            minute = len(self._minutes) - 1
            elapsed = now - self._started_at - minute * MINUTE_SECONDS
            if elapsed <= 0:
                return
            if routing:
                self._serve(minute, min(elapsed / MINUTE_SECONDS, 1.0), routing)
            if elapsed < MINUTE_SECONDS:
                return
            self._record(minute)
            self._open_minute()

    def _open_minute(self) -> None:
        self._random = Random(f"{self._seed} minute {len(self._minutes)}")
        self._minutes.append({})
        self._in_minute = 0
        self._replaying = False

    def _serve(self, minute: int, elapsed: float, routing: Routing) -> None:
        """Serve what is due in a minute of which the share `elapsed` is over."""
        recorded = self._replay.get(minute)
        candidates = [version for version, weight in routing[1].items() if weight > 0]
        if recorded and candidates and not self._replaying:
            # Nobody has seen this minute yet: metrics of a minute arrive after its end.
            self._replaying = True
            self._minutes[minute] = {}
        if not recorded or not self._replaying:
            self._generate(minute, elapsed, routing)
            return
        self._minutes[minute][self._stable or routing[0]] = self._replayed(recorded.b, elapsed, blamed=False)
        for version in candidates:
            self._minutes[minute][version] = self._replayed(recorded.c, elapsed, blamed=True)

    def _replayed(self, counts: Counts, elapsed: float, *, blamed: bool) -> _Served:
        """The recorded counts up to now. Slow is slower than any limit that the stable version's past suggests."""
        due = (counts.n, counts.errors, counts.slow)
        requests, errors, slow = (math.floor(count * elapsed + 1e-9) for count in due)
        quick_ms, slow_ms = _whole(self._stable_behaviour.median_ms), _whole(10 * self._stable_behaviour.p99_ms)
        durations: Counter[float] = Counter({quick_ms: requests - slow, slow_ms: slow})
        return _Served(requests, errors, slow, errors if blamed else 0, durations)

    def _generate(self, minute: int, elapsed: float, routing: Routing) -> None:
        in_all = _due_in(self._per_minute, minute)
        due = min(in_all, math.ceil(in_all * elapsed - 1e-9))
        version, weights = routing
        other, weight = next(iter(weights.items()), (version, 0.0))
        rates = {name: self._behaviour(name).rate_at(minute) for name in (version, other)}
        usual_rate = self._stable_behaviour.rate_at(minute)
        served = {name: self._minutes[minute].setdefault(name, _Served()) for name in (version, other)}
        draw, outage = self._random.random, self._outage
        for index in range(self._in_minute, due):
            routed, failing, in_outage, pace = draw(), draw(), draw(), draw()
            name = other if routed < weight else version
            down = bool(outage) and in_outage < self._outage_rate((minute + index / in_all) * MINUTE_SECONDS)
            failed = down or failing < rates[name]
            blamed = failed and name != self._stable and not down and failing >= usual_rate
            duration_ms = self._behaviour(name).duration_ms(pace or 0.5) + self._cold_start_ms(name)
            self._count(served[name], failed, blamed, duration_ms)
        self._in_minute = max(self._in_minute, due)

    def _count(self, served: _Served, failed: bool, blamed: bool, duration_ms: float) -> None:
        served.requests += 1
        served.errors += failed
        served.blamed += blamed
        served.slow += duration_ms > self._stable_behaviour.p99_ms
        served.durations_ms[_whole(duration_ms)] += 1

    def _behaviour(self, version: str) -> Behaviour:
        return self._stable_behaviour if version == self._stable else self._candidate_behaviour

    def _cold_start_ms(self, version: str) -> float:
        """What a version's first requests take longer; the stable version has been warm since the day before."""
        if version == self._stable or self._warmed[version] >= self._candidate_behaviour.cold_starts:
            return 0.0
        self._warmed[version] += 1
        return self._candidate_behaviour.cold_start_ms

    def _outage_rate(self, second: float) -> float:
        outage = self._outage
        return outage.error_rate if outage and outage.from_second <= second < outage.to_second else 0.0

    # What it leaves in CloudWatch.

    def _record(self, minute: int) -> None:
        """Leave a finished minute's metrics at all of AWS Lambda's dimensions for an alias."""
        served = {version: cell for version, cell in self._minutes[minute].items() if cell.requests}
        at = self._started_at + minute * MINUTE_SECONDS
        together: Counter[float] = Counter()
        for version, cell in served.items():
            together.update(cell.durations_ms)
            dimensions = {**self._at_alias, "ExecutedVersion": version}
            self._cloudwatch.record(at, dimensions, errors=cell.errors, durations_ms=cell.durations_ms)
        errors = sum(cell.errors for cell in served.values())
        for dimensions in (self._at_alias, {"FunctionName": self._function}):
            self._cloudwatch.record(at, dimensions, errors=errors, durations_ms=together)

    @property
    def _at_alias(self) -> dict[str, str]:
        return {"FunctionName": self._function, "Resource": f"{self._function}:{self._alias}"}

    def _fill(self, start: float, _end: float) -> None:
        """Record what is missing: what callers did since, and, once somebody asks for it, the day before the start."""
        self.catch_up(self._clock.now())
        if start >= self._started_at or self._remembers or self._stable is None:
            return
        self._remembers = True
        past = _past(self._seed, self._per_minute, self._stable_behaviour, self._started_at)
        for dimensions in (
            {**self._at_alias, "ExecutedVersion": self._stable},
            self._at_alias,
            {"FunctionName": self._function},
        ):
            self._cloudwatch.record_all(dimensions, past)

    # What others ask.

    @property
    def counts(self) -> TrafficCounts:
        """The totals since the start, up to the last `catch_up`."""
        cells = [(version, cell) for minute in self._minutes for version, cell in minute.items()]
        return TrafficCounts(
            requests=sum(cell.requests for _, cell in cells),
            to_candidate=sum(cell.requests for version, cell in cells if version != self._stable),
            failed_by_candidate=sum(cell.blamed for _, cell in cells),
            failed=sum(cell.errors for _, cell in cells),
        )

    def minutes(self) -> list[tuple[int, dict[str, tuple[int, int, int]]]]:
        """Each minute of the rollout so far, the present one included: its number, and for each version that served
        (requests, errors, slow), where slow is above the stable version's p99.
        """
        return [
            (
                number,
                {version: (cell.requests, cell.errors, cell.slow) for version, cell in minute.items() if cell.requests},
            )
            for number, minute in enumerate(self._minutes)
        ]

    def initialises(self, version: str) -> bool:
        """Whether a new environment of a version comes up now: one that fails every request would not."""
        minute = int(self._clock.now() - self._started_at) // MINUTE_SECONDS
        return self._behaviour(version).rate_at(minute) < 1

    def answer(self, qualifier: str | None, payload: bytes) -> tuple[bytes, str | None]:
        """A direct invocation, such as a smoke test: (payload, function error). It counts in the metrics of what it
        addressed and not as a caller's request, and fails where the version's error rate is high.
        """
        version = self._addressed(qualifier)
        if self._clock.current() is not None:
            self._clock.sleep(self._behaviour(version).median_ms / 1000)
        now = self._clock.now()
        minute = int(now - self._started_at) // MINUTE_SECONDS
        behaviour = self._behaviour(version)
        failed = max(behaviour.rate_at(minute), self._outage_rate(now - self._started_at)) >= FAILS_SMOKE_TESTS_FROM
        resource = {"Resource": f"{self._function}:{qualifier}"} if qualifier else {}
        whole_function = {"FunctionName": self._function}
        for dimensions in (whole_function, whole_function | resource)[: 1 + len(resource)]:
            self._cloudwatch.record(now, dimensions, errors=failed, durations_ms={_whole(behaviour.median_ms): 1})
        if failed:
            error = {"errorMessage": f"Version {version} failed.", "errorType": "RuntimeError", "stackTrace": []}
            return json.dumps(error).encode(), "Unhandled"
        return json.dumps({"statusCode": 200, "version": version, "received_bytes": len(payload)}).encode(), None

    def _addressed(self, qualifier: str | None) -> str:
        """The version that a qualifier means; through the alias, the one with the most weight."""
        routing = self._alias_routing() if qualifier == self._alias else None
        if routing is None:
            return qualifier or "$LATEST"
        version, weights = routing
        return next((other for other, weight in weights.items() if weight > FAILS_SMOKE_TESTS_FROM), version)


def _due_in(per_minute: float, minute: int) -> int:
    """How many requests a minute brings: a rate below one a minute brings one every so many minutes."""
    return _due_before(per_minute, minute + 1) - _due_before(per_minute, minute)


def _due_before(per_minute: float, minute: int) -> int:
    """The number of a minute's first request: those before the start have negative ones."""
    return math.floor(per_minute * minute + 1e-9)


@lru_cache(maxsize=64)
def _past(seed: int, per_minute: float, stable: Behaviour, started_at: float) -> LambdaMinutes:
    """What the day before left of each metric, by the minute: the same in every story of a seed, and never changed."""
    minutes: dict[int, tuple[int, Samples]] = {}
    for minute in range(-HISTORY_SECONDS // MINUTE_SECONDS, 0):
        requests = _due_in(per_minute, minute)
        if requests:
            errors = _successes(Random(f"{seed} minute {minute}"), requests, stable.error_rate)
            durations_ms = _usual_ms(stable, requests, _turn(_due_before(per_minute, minute), requests))
            minutes[int(started_at) + minute * MINUTE_SECONDS] = errors, durations_ms
    return lambda_minutes(minutes)


def _turns(requests: int) -> int:
    """How many minutes of so many requests show a distribution's p99; at most an hour."""
    return max(1, min(60, math.ceil(_SHOW_P99 / requests)))


def _turn(first: int, requests: int) -> int:
    """Whose turn a minute is, by the number of its first request: any few that follow each other are spread out."""
    return int(_turns(requests) * (first // requests * _GOLDEN % 1))


@lru_cache(maxsize=256)
def _usual_ms(behaviour: Behaviour, requests: int, turn: int) -> Samples:
    """What so many usual requests take, spread evenly over the behaviour's distribution.

    A few would never reach its p99, so minutes take turns: each looks at quantiles of its own.
    """
    offset = (turn + 0.5) / _turns(requests)
    usual = (behaviour.duration_ms((index + offset) / requests) for index in range(requests))
    return Counter(_whole(duration) for duration in usual)


def _whole(duration_ms: float) -> int:
    return max(1, round(duration_ms))


def _successes(random: Random, trials: int, rate: float) -> int:
    """How many of so many trials succeed: a binomial draw that costs as much as it has successes."""
    if rate <= 0 or rate >= 1:
        return trials if rate >= 1 else 0
    successes, trial = 0, 0
    while True:
        trial += 1 + int(math.log(1.0 - random.random()) / math.log1p(-rate))
        if trial > trials:
            return successes
        successes += 1
