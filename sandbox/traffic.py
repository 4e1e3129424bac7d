"""The callers of the target's alias: routed by weight, served as each version behaves, and seen in CloudWatch.

Requests are simulated lazily, up to the moment at which somebody looks or changes the alias. Each has its own random
numbers, drawn whatever becomes of it, so the same seed asks the same of both versions: what the candidate failed and
the stable version would have served is counted, not estimated. What only some scenarios have (hanging, answered errors,
throttles) is drawn from sequences of its own, so that a scenario without it has the same requests.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import Random
from typing import Final, NamedTuple

from sandbox.arrivals import Arrivals
from sandbox.aws.clock import Clock
from sandbox.aws.cloudwatch import MINUTE_SECONDS, CloudWatch, Minutes, lambda_minutes
from sandbox.aws.lambda_rules import Routing
from sandbox.aws.statistics import Samples
from sandbox.behaviour import Behaviour, Manner, successes, turn_of, usual_ms, whole_ms
from sandbox.custom_metrics import CustomMetrics
from sandbox.durable import DurableExecutions
from sandbox.scenario_metrics import Metric
from sandbox.scenario_traffic import Bursts, Counts, DayBefore, Outage, ReplayMinute, Throttles

HISTORY_SECONDS: Final = 24 * 3600
_DAY: Final = range(-HISTORY_SECONDS // MINUTE_SECONDS, 0)
_LAST_HOUR_MINUTES: Final = 60
FAILS_SMOKE_TESTS_FROM: Final = 0.5
"""A direct invocation fails where the version fails at least this share of its requests: no smoke test is left to
luck."""


@dataclass(frozen=True, slots=True)
class TrafficCounts:
    """Requests to the alias since the start. `failed_by_candidate`: that the stable version would have served.

    What hangs has failed from its start on, what is throttled is sent to no version, and an error that is answered
    fails as any other does: these are the callers' numbers.
    """

    requests: int
    to_candidate: int
    failed_by_candidate: int
    failed: int


class _Luck(NamedTuple):
    """What is drawn for one request, 0 to 1 each, beside where it goes; 1: nothing of the kind strikes it."""

    failing: float
    pace: float
    hanging: float
    answering: float


@dataclass(slots=True)
class _Served:
    """What one version did in one minute. `errors` are Lambda's, those of what hung included; `answered` are none of
    Lambda's. `durations_ms` are of all that did not hang.
    """

    requests: int = 0
    errors: int = 0
    hung: int = 0
    answered: int = 0
    slow: int = 0
    blamed: int = 0
    durations_ms: Counter[float] = field(default_factory=Counter)


@dataclass(slots=True)
class _Minute:
    """What became of one minute's requests: what each version served, and how many were throttled."""

    served: dict[str, _Served] = field(default_factory=dict)
    throttled: int = 0


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
        bursts: Bursts | None = None,
        day_before: DayBefore | None = None,
        shared_outage: Outage | None = None,
        throttles: Throttles | None = None,
        replay: Sequence[ReplayMinute] = (),
        metrics: Sequence[Metric] = (),
        durable: DurableExecutions | None = None,
        seed: int = 0,
    ) -> None:
        self._clock = clock
        self._cloudwatch = cloudwatch
        self._alias_routing = alias_routing
        self._function = function
        self._alias = alias
        self._arrivals = Arrivals(requests_per_minute, bursts)
        self._day_before = day_before or DayBefore()
        self._stable_behaviour = stable
        self._candidate_behaviour = candidate
        self._outage = shared_outage
        self._throttles = throttles
        self._replay = {minute.t: minute for minute in replay}
        self._metrics = CustomMetrics(cloudwatch, metrics, seed)
        self._durable = durable
        self._seed = seed
        self._started_at = 0.0
        self._stable: str | None = None
        self._minutes: list[_Minute] = []
        self._in_minute = 0
        self._replaying = False
        self._random = Random()
        #: What only some scenarios have, and whether this one has.
        self._words = {
            "hanging": bool(stable.hang_share or candidate.hang_share),
            "answering": bool(stable.answered_error_rate or candidate.answered_error_rate),
            "throttled": throttles is not None,
        }
        self._drawn_too: Callable[[], tuple[float, float, float]] = _nothing
        self._warmed: Counter[str] = Counter()
        self._remembers = False

    # The course of time.

    def start(self, started_at: float) -> None:
        """Begin at a whole minute, on the version that the alias then has; it has served alone for a day before."""
        self._started_at = started_at
        routing = self._alias_routing()
        self._stable = routing[0] if routing else None
        self._open_minute()
        # Executions begin as soon as somebody looks anywhere.
        self._cloudwatch.before_read(self._fill, None if self._durable else self._function)
        if self._durable:
            self._durable.start(self.catch_up)

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
        name = f"{self._seed} minute {len(self._minutes)}"
        self._random = Random(name)
        if any(self._words.values()):
            hanging, answering, throttled = (
                Random(f"{name} {word}").random if has else _never for word, has in self._words.items()
            )
            self._drawn_too = lambda: (hanging(), answering(), throttled())
        self._minutes.append(_Minute())
        self._in_minute = 0
        self._replaying = False

    def _serve(self, minute: int, elapsed: float, routing: Routing) -> None:
        """Serve what is due in a minute of which the share `elapsed` is over."""
        recorded = self._replay.get(minute)
        candidates = [version for version, weight in routing[1].items() if weight > 0]
        if recorded and candidates and not self._replaying:
            # Nobody has seen this minute yet: metrics of a minute arrive after its end.
            self._replaying = True
            self._minutes[minute] = _Minute()
        if not recorded or not self._replaying:
            self._generate(minute, elapsed, routing)
            return
        served = self._minutes[minute].served
        served[self._stable or routing[0]] = self._replayed(recorded.b, elapsed, blamed=False)
        for version in candidates:
            served[version] = self._replayed(recorded.c, elapsed, blamed=True)

    def _replayed(self, counts: Counts, elapsed: float, *, blamed: bool) -> _Served:
        """The recorded counts up to now. Slow is slower than any limit that the stable version's past suggests."""
        due = (counts.n, counts.errors, counts.slow)
        requests, errors, slow = (math.floor(count * elapsed + 1e-9) for count in due)
        quick_ms, slow_ms = whole_ms(self._stable_behaviour.median_ms), whole_ms(10 * self._stable_behaviour.p99_ms)
        durations: Counter[float] = Counter({quick_ms: requests - slow, slow_ms: slow})
        return _Served(requests, errors, slow=slow, blamed=errors if blamed else 0, durations_ms=durations)

    def _generate(self, minute: int, elapsed: float, routing: Routing) -> None:
        due = self._arrivals.due(minute, elapsed)
        version, weights = routing
        other, weight = next(iter(weights.items()), (version, 0.0))
        served = {name: self._minutes[minute].served.setdefault(name, _Served()) for name in (version, other)}
        if due <= self._in_minute:
            return
        manners = {name: self._behaviour(name).at(minute) for name in (version, other)}
        usual = self._stable_behaviour.at(minute)
        draw, drawn_too = self._random.random, self._drawn_too
        timed = self._outage or self._throttles or self._durable
        for index in range(self._in_minute, due):
            routed, failing, in_outage, pace = draw(), draw(), draw(), draw()
            hanging, answering, throttled = drawn_too()
            second = self._arrivals.second(minute, index) if timed else 0.0
            if timed and throttled < self._throttled_share(second):
                self._minutes[minute].throttled += 1
                continue
            name = other if routed < weight else version
            down = bool(timed) and in_outage < self._outage_rate(second)
            luck = _Luck(failing, pace or 0.5, hanging, answering)
            failed = self._count(served[name], name, manners[name], usual, luck, down=down)
            if self._durable:
                self._begin(self._durable, name, self._started_at + second, failed, luck)
        self._in_minute = due

    def _begin(self, executions: DurableExecutions, version: str, at: float, failed: bool, luck: _Luck) -> None:
        """Start the execution of a request: what hangs is out of time later, and so is no failure of an invocation."""
        behaviour = self._behaviour(version)
        hangs = luck.hanging < behaviour.hang_share
        executions.begin(version, at, failed=failed, hung_seconds=behaviour.hang_seconds if hangs else None)

    def _count(self, served: _Served, version: str, manner: Manner, usual: Manner, luck: _Luck, *, down: bool) -> bool:
        """Count a request to a version that serves in this manner; `usual` is how the stable one does, `down`: in an
        outage of both. Whether it failed.
        """
        failing, pace, hanging, answering = luck
        hung = hanging < manner.hang_share
        failed = hung or down or failing < manner.error_rate
        answered = not failed and answering < manner.answered_error_rate
        if (failed or answered) and not down and version != self._stable:
            served.blamed += usual.serves(failing, hanging, answering)
        quick = manner.fails_in_ms if failing < manner.error_rate else None
        duration_ms = quick or manner.duration_ms(pace) + self._cold_start_ms(version)
        served.requests += 1
        served.errors += failed
        served.hung += hung
        served.answered += answered
        served.slow += hung or duration_ms > self._stable_behaviour.p99_ms
        if not hung:
            served.durations_ms[whole_ms(duration_ms)] += 1
        return failed

    def _behaviour(self, version: str) -> Behaviour:
        return self._stable_behaviour if version == self._stable else self._candidate_behaviour

    def _cold_start_ms(self, version: str) -> float:
        """What a version's first requests take longer; the stable version has been warm since the day before."""
        if version == self._stable or self._warmed[version] >= self._candidate_behaviour.cold_starts:
            return 0.0
        self._warmed[version] += 1
        return self._candidate_behaviour.cold_start_ms

    def _outage_rate(self, second: float) -> float:
        return self._outage.error_rate if self._outage and self._outage.lasts_at(second) else 0.0

    def _throttled_share(self, second: float) -> float:
        return self._throttles.share if self._throttles and self._throttles.lasts_at(second) else 0.0

    # What it leaves in CloudWatch.

    def _record(self, minute: int) -> None:
        """Leave a finished minute's metrics at all of AWS Lambda's dimensions for an alias."""
        served = {
            version: self._invoked(cell) for version, cell in self._minutes[minute].served.items() if cell.requests
        }
        at = self._started_at + minute * MINUTE_SECONDS
        together: Counter[float] = Counter()
        for version, cell in served.items():
            together.update(cell.durations_ms)
            dimensions = {**self._at_alias, "ExecutedVersion": version}
            self._cloudwatch.record(at, dimensions, errors=cell.errors - cell.hung, durations_ms=cell.durations_ms)
            self._record_hung(version, cell.hung, at)
            ended, stable = cell.requests - cell.hung, version == self._stable
            self._metrics.record(minute, at, version, stable=stable, requests=ended, answered=cell.answered)
        errors = sum(cell.errors - cell.hung for cell in served.values())
        for dimensions in self._everywhere:
            self._cloudwatch.record(at, dimensions, errors=errors, durations_ms=together)
            self._cloudwatch.record_throttles(at, dimensions, self._minutes[minute].throttled)

    def _invoked(self, cell: _Served) -> _Served:
        """What Lambda counts: of a durable function each replay, and as failed no execution that fails in its code."""
        if self._durable is None:
            return cell
        invocations = 1 + self._durable.replays
        timed = Counter({duration: invocations * count for duration, count in cell.durations_ms.items()})
        return replace(cell, errors=0, hung=0, durations_ms=timed)

    def _record_hung(self, version: str, hung: int, at: float) -> None:
        """Leave what hung from a minute on: at that minute, and as late as it ended."""
        if not hung:
            return
        seconds = self._behaviour(version).hang_seconds
        for dimensions in ({**self._at_alias, "ExecutedVersion": version}, *self._everywhere):
            self._cloudwatch.record(
                at,
                dimensions,
                errors=hung,
                durations_ms={whole_ms(1000 * seconds): hung},
                ended_at=at + MINUTE_SECONDS + seconds,
            )

    @property
    def _everywhere(self) -> tuple[dict[str, str], ...]:
        """The dimensions under which everything counts, whichever version served it."""
        return self._at_alias, {"FunctionName": self._function}

    @property
    def _at_alias(self) -> dict[str, str]:
        return {"FunctionName": self._function, "Resource": f"{self._function}:{self._alias}"}

    def _fill(self, start: float, _end: float) -> None:
        """Record what is missing: what callers did since, and, once somebody asks for it, the day before the start."""
        self.catch_up(self._clock.now())
        if start >= self._started_at or self._remembers or self._stable is None:
            return
        self._remembers = True
        day, usual = self._day_before, self._arrivals
        per_minute = usual.per_minute if day.requests_per_minute is None else day.requests_per_minute
        arrivals = Arrivals(per_minute, None if day.requests_per_minute == 0 else usual.bursts)
        error_rate = self._stable_behaviour.error_rate if day.error_rate is None else day.error_rate
        last_hour = error_rate if day.last_hour_error_rate is None else day.last_hour_error_rate
        rates = (0.0, 0.0) if self._durable else (error_rate, last_hour)
        past = _past(self._seed, arrivals, self._stable_behaviour, rates, self._started_at)
        for dimensions in ({**self._at_alias, "ExecutedVersion": self._stable}, *self._everywhere):
            self._cloudwatch.record_all(dimensions, past)
        answered = self._stable_behaviour.answered_error_rate * (1 - rates[0])
        self._metrics.record_day_before(arrivals, self._stable, self._started_at, _DAY, answered)

    # What others ask.

    @property
    def counts(self) -> TrafficCounts:
        """The totals since the start, up to the last `catch_up`."""
        cells = [(version, cell) for minute in self._minutes for version, cell in minute.served.items()]
        throttled = sum(minute.throttled for minute in self._minutes)
        return TrafficCounts(
            requests=throttled + sum(cell.requests for _, cell in cells),
            to_candidate=sum(cell.requests for version, cell in cells if version != self._stable),
            failed_by_candidate=sum(cell.blamed for _, cell in cells),
            failed=throttled + sum(cell.errors + cell.answered for _, cell in cells),
        )

    def minutes(self) -> list[tuple[int, dict[str, tuple[int, int, int]]]]:
        """Each minute of the rollout so far, the present one included: its number, and for each version that served
        (requests, failed, slow), where slow is above the stable version's p99. Failed as callers saw it: by an error of
        Lambda's, which CloudWatch may have later or not at all, or by one that is answered.
        """
        return [
            (
                number,
                {
                    version: (cell.requests, cell.errors + cell.answered, cell.slow)
                    for version, cell in minute.served.items()
                    if cell.requests
                },
            )
            for number, minute in enumerate(self._minutes)
        ]

    def initialises(self, version: str) -> bool:
        """Whether a new environment of a version comes up now: one that fails every request would not."""
        return self._behaviour(version).rate_at(self._minute_of(self._clock.now())) < 1

    def answer(self, qualifier: str | None, payload: bytes) -> tuple[bytes, str | None]:
        """A direct invocation, such as a smoke test: (payload, function error). It counts in the metrics of what it
        addressed and not as a caller's request. It fails, hangs or answers an error where most of the version's
        requests do.
        """
        version = self._addressed(qualifier)
        behaviour, began_at = self._behaviour(version), self._clock.now()
        hangs = behaviour.hang_share >= FAILS_SMOKE_TESTS_FROM
        manner = behaviour.at(self._minute_of(began_at))
        took_ms = 1000 * behaviour.hang_seconds if hangs else behaviour.median_ms * manner.slowness
        if self._clock.current() is not None:
            self._clock.sleep(took_ms / 1000)
        now = self._clock.now()
        rate = max(behaviour.rate_at(self._minute_of(now)), self._outage_rate(now - self._started_at))
        failed = hangs or rate >= FAILS_SMOKE_TESTS_FROM
        self._record_direct(qualifier, began_at if hangs else now, now if hangs else None, failed, took_ms)
        if failed:
            return json.dumps(_error(version, behaviour.hang_seconds if hangs else None)).encode(), "Unhandled"
        status = 500 if manner.answered_error_rate >= FAILS_SMOKE_TESTS_FROM else 200
        return json.dumps({"statusCode": status, "version": version, "received_bytes": len(payload)}).encode(), None

    def _record_direct(
        self, qualifier: str | None, at: float, ended_at: float | None, failed: bool, took_ms: float
    ) -> None:
        resource = {"Resource": f"{self._function}:{qualifier}"} if qualifier else {}
        whole_function = {"FunctionName": self._function}
        for dimensions in (whole_function, whole_function | resource)[: 1 + len(resource)]:
            self._cloudwatch.record(
                at, dimensions, errors=failed, durations_ms={whole_ms(took_ms): 1}, ended_at=ended_at
            )

    def _minute_of(self, moment: float) -> int:
        return int(moment - self._started_at) // MINUTE_SECONDS

    def _addressed(self, qualifier: str | None) -> str:
        """The version that a qualifier means; through the alias, the one with the most weight."""
        routing = self._alias_routing() if qualifier == self._alias else None
        if routing is None:
            return qualifier or "$LATEST"
        version, weights = routing
        return next((other for other, weight in weights.items() if weight > FAILS_SMOKE_TESTS_FROM), version)


def _never() -> float:
    return 1.0


def _nothing() -> tuple[float, float, float]:
    return 1.0, 1.0, 1.0


def _error(version: str, hung_seconds: float | None) -> dict[str, object]:
    """What Lambda answers of an invocation that failed; as the runtime words a handler's time-out where it hung."""
    if hung_seconds is not None:
        return {
            "errorMessage": f"Error: Task timed out after {hung_seconds:.2f} seconds",
            "errorType": "Sandbox.Timedout",
        }
    return {"errorMessage": f"Version {version} failed.", "errorType": "RuntimeError", "stackTrace": []}


@lru_cache(maxsize=64)
def _past(
    seed: int, arrivals: Arrivals, stable: Behaviour, error_rates: tuple[float, float], started_at: float
) -> Minutes:
    """What the day before left of each metric, by the minute: the same in every story of a seed, and never changed.

    `error_rates` are those of the day and of its last hour.
    """
    minutes: dict[int, tuple[int, Samples]] = {}
    for minute in _DAY:
        requests = arrivals.in_minute(minute)
        if requests:
            rate = error_rates[minute >= -_LAST_HOUR_MINUTES]
            errors = successes(Random(f"{seed} minute {minute}"), requests, rate)
            quick = errors if stable.fails_in_ms else 0
            turn = turn_of(arrivals.before(minute), requests)
            durations_ms = Counter(usual_ms(stable, requests - quick, turn)) if requests > quick else Counter()
            if stable.fails_in_ms:
                durations_ms += Counter({whole_ms(stable.fails_in_ms): quick})
            minutes[int(started_at) + minute * MINUTE_SECONDS] = errors, durations_ms
    return lambda_minutes(minutes)
