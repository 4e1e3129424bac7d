"""The real judge on recorded rollouts: what it would have made of every poll, as the peers' rules are asked."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median_low
from typing import Final

import numpy as np

from bench.judge import cases as recorded
from bench.judge import rules
from bench.judge.cases import Case, History
from bench.judge.score import Outcome, Verdict
from tidegate.analysis.comparison import Comparison, compare
from tidegate.analysis.health import HealthPolicy
from tidegate.analysis.measurement import Counts, Minute, Shift, TrafficBaseline
from tidegate.planning.pace import FLINCH_SECONDS, MAX_FLINCHES
from tidegate.planning.strategy import lowered_percent

RULE: Final = "tidegate"
#: The cases say which requests were slow, so the p99 behind it may be any.
P99_MS: Final = 1.0
#: Of a case that knows nothing of the day before.
NO_HISTORY: Final = TrafficBaseline(p99_ms=P99_MS)
#: How often a rollout that flinches is replayed.
RUNS: Final = 50
#: A flinch that is not cleared ends with the extension.
_LONGEST_FLINCH_SECONDS: Final = FLINCH_SECONDS + HealthPolicy().max_extension_seconds
#: When every datapoint has arrived and settled, in minutes after the last one.
ALL_IN_MINUTES: Final = 5


@dataclass(frozen=True, slots=True)
class _Lowered:
    """The weight of a flinch, in percent, from the minute `since` on, `until` that one; None: it lasts."""

    weight_percent: float
    since: int
    until: int | None = None

    def covers(self, t: int) -> bool:
        """Whether it holds in the minute `t`, or came just when that began."""
        return self.since <= t and (self.until is None or t <= self.until)


def replay_all(cases: Iterable[Case], *, flinches: bool = True) -> dict[str, dict[str, Outcome]]:
    """The judge's outcomes, then every peer's, by rule and case id."""
    cases = tuple(cases)
    return {RULE: {case.id: replay(case, flinches=flinches) for case in cases}, **rules.replay_all(cases)}


def replay(case: Case, *, flinches: bool = True) -> Outcome:
    """Poll the judge every minute, and once more when the bake is over and all data are in.

    Where it flinches, the candidate's later counts are scaled by the new weight over the recorded one: a coin keeps
    each request or not, with a fixed seed; what comes of it is the mean of so many runs (`RUNS`).
    """
    first = _Run(case, 0, flinches=flinches).outcome()
    if not first.flinches:
        return first
    runs = [first, *(_Run(case, number, flinches=flinches).outcome() for number in range(1, RUNS))]
    hurt, failed = fmean(run.hurt or 0.0 for run in runs), [run for run in runs if run.verdict == "fail"]
    if 2 * len(failed) <= RUNS:
        proven = all(run.verdict == "pass" for run in runs)
        return Outcome("pass" if proven else "inconclusive", None, hurt, first.flinches)
    # One that only the end of the recording saw failed after all that did so before.
    usual = median_low(math.inf if run.minute is None else run.minute for run in failed)
    return Outcome("fail", None if usual == math.inf else round(usual), hurt, first.flinches)


class _Run:
    """One course of a recorded rollout, with the weights that the judge's flinches make of the recorded ones."""

    def __init__(self, case: Case, number: int, *, flinches: bool) -> None:
        self._case = case
        self._rng = np.random.default_rng([zlib.crc32(case.id.encode()), number])
        self._left = MAX_FLINCHES if flinches else 0
        self._minutes = list(case.minutes)
        self._kept = [1.0] * len(case.minutes)
        #: The weights of flinches, in percent, and the minutes from which up to which they hold.
        self._lowered: list[_Lowered] = []

    def outcome(self) -> Outcome:
        for now in range(1, len(self._minutes) + 1):
            self._serve(now - 1)
            seen = [minute for minute in self._minutes if minute.t < now and minute.seen_at <= now]
            found = self._compare(seen, now)
            if any(one.convicted_at is not None for one in found.evidence) or self._gives_up(found, now):
                return self._ended("fail", now)
            self._react(found, seen, now)
        if not self._minutes:
            return self._ended("inconclusive")
        found = self._compare(self._minutes, self._minutes[-1].t + 1 + ALL_IN_MINUTES)
        if any(one.convicted_at is not None for one in found.evidence):
            return self._ended("fail")
        proven = all(one.proven for one in found.evidence if one.metric.proves)
        return self._ended("pass" if proven else "inconclusive")

    def _ended(self, verdict: Verdict, minute: int | None = None) -> Outcome:
        excess = self._case.truth.expected_excess if self._case.truth.label == "bad" else ()
        served = zip(excess, self._kept, strict=False)
        hurt = [one * kept for one, kept in served][: minute if verdict == "fail" else None]
        return Outcome(verdict, minute, sum(hurt), len(self._lowered))

    def _compare(self, seen: Sequence[recorded.Minute], now: int) -> Comparison:
        """The verdict of one poll on the minutes that are visible. The weights are known without any datapoint."""
        if not (shifts := self._shifts(now)):
            return Comparison()
        minutes = [_observed(minute) for minute in seen]
        return compare(self._case.judge.judge(), minutes, shifts, 60 * now, _day_before(self._case.history))

    def _gives_up(self, found: Comparison, now: int) -> bool:
        """Whether a flinch ends in grave doubt, at the end of the extension: that is rolled back."""
        return found.grave and self._is_low and self._lasted(now) >= _LONGEST_FLINCH_SECONDS

    @property
    def _is_low(self) -> bool:
        return bool(self._lowered) and self._lowered[-1].until is None

    def _lasted(self, now: int) -> int:
        """How long the present flinch has lasted, in seconds."""
        return 60 * (now - self._lowered[-1].since)

    def _react(self, found: Comparison, seen: Sequence[recorded.Minute], now: int) -> None:
        if self._is_low:
            began, lasted = self._lowered[-1].since, self._lasted(now)
            learnt = any(began <= minute.t < now - 1 and minute.candidate.n for minute in seen)
            cleared = learnt and not found.uneasy
            if lasted >= FLINCH_SECONDS and (cleared or lasted >= _LONGEST_FLINCH_SECONDS):
                self._lowered[-1] = replace(self._lowered[-1], until=now)
        elif found.startling and self._left:
            weight = self._shifts(now)[-1].weight_percent
            if (lowered := lowered_percent(weight)) < weight:
                self._left -= 1
                self._lowered.append(_Lowered(lowered, now))

    def _serve(self, t: int) -> None:
        """Scale the candidate's counts of a minute that is served at a lowered weight."""
        if not self._is_low:
            return
        for position, minute in enumerate(self._minutes):
            if minute.t == t and minute.weight:
                kept = min(1.0, self._lowered[-1].weight_percent / (100 * minute.weight))
                self._kept[position] = kept
                self._minutes[position] = replace(minute, candidate=self._some(minute.candidate, kept))

    def _some(self, counts: recorded.Counts, share: float) -> recorded.Counts:
        if not counts.n:
            return counts
        kept = int(self._rng.binomial(counts.n, share))
        bad = [
            None
            if bad is None
            else int(self._rng.hypergeometric(min(bad, counts.n), counts.n - min(bad, counts.n), kept))
            for bad in (counts.errors, counts.slow)
        ]
        return recorded.Counts(kept, *bad) if kept else recorded.NO_DATAPOINTS

    def _shifts(self, now: int) -> tuple[Shift, ...]:
        """The recorded weights, but for those that a flinch has kept from being set; and the flinches' own."""
        planned = [(self._case.minutes[step.start].t, 100 * step.weight) for step in self._case.steps]
        held = [(t, weight) for t, weight in planned if not any(one.covers(t) for one in self._lowered)]
        down = [(one.since, one.weight_percent) for one in self._lowered]
        up = [
            (one.until, [weight for t, weight in planned if t <= one.until][-1])
            for one in self._lowered
            if one.until is not None
        ]
        return tuple(Shift(60 * t, weight) for t, weight in sorted([*held, *down, *up]) if t < now)


def _day_before(history: History | None) -> TrafficBaseline:
    if history is None:
        return NO_HISTORY
    p99_ms = P99_MS if history.p99_known else None
    return TrafficBaseline(history.requests, history.errors, history.requests_per_minute, p99_ms)


def _observed(minute: recorded.Minute) -> Minute:
    return Minute(60 * minute.t, _counts(minute.stable), _counts(minute.candidate))


def _counts(counts: recorded.Counts) -> Counts:
    """No datapoint of requests means no requests. A count that is missing although there were some is unknown."""
    return Counts(counts.n, counts.errors, counts.n, counts.slow) if counts.n else Counts()
