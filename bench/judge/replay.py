"""The real judge on recorded rollouts: what it would have made of every poll, as the peers' rules are asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from bench.judge import cases as recorded
from bench.judge import rules
from bench.judge.cases import Case, History
from bench.judge.score import Outcome, Verdict
from tidegate.analysis.comparison import compare
from tidegate.analysis.measurement import Counts, Minute, Shift, TrafficBaseline

RULE: Final = "tidegate"
#: The cases say which requests were slow, so the p99 behind it may be any.
P99_MS: Final = 1.0
#: Of a case that knows nothing of the day before.
NO_HISTORY: Final = TrafficBaseline(p99_ms=P99_MS)
#: When every datapoint has arrived and settled, in minutes after the last one.
ALL_IN_MINUTES: Final = 5


def replay_all(cases: Iterable[Case]) -> dict[str, dict[str, Outcome]]:
    """The judge's outcomes, then every peer's, by rule and case id."""
    cases = tuple(cases)
    return {RULE: {case.id: replay(case) for case in cases}, **rules.replay_all(cases)}


def replay(case: Case) -> Outcome:
    """Poll the judge every minute, and once more when the bake is over and all data are in."""
    for now in range(1, len(case.minutes) + 1):
        if _says([minute for minute in case.minutes if minute.t < now and minute.seen_at <= now], case, now) == "fail":
            return "fail", now
    if not case.minutes:
        return "inconclusive", None
    return _says(case.minutes, case, case.minutes[-1].t + 1 + ALL_IN_MINUTES), None


def _says(visible: Sequence[recorded.Minute], case: Case, now: int) -> Verdict:
    """The verdict of one poll on the minutes that are visible. The weights are known without any datapoint."""
    shifts = _shifts(case, now)
    if not shifts:
        return "inconclusive"
    minutes = [_observed(minute) for minute in visible]
    evidence = compare(case.judge.judge(), minutes, shifts, 60 * now, _day_before(case.history)).evidence
    if any(one.convicted_at is not None for one in evidence):
        return "fail"
    return "pass" if all(one.proven for one in evidence if one.metric.proves) else "inconclusive"


def _day_before(history: History | None) -> TrafficBaseline:
    if history is None:
        return NO_HISTORY
    p99_ms = P99_MS if history.p99_known else None
    return TrafficBaseline(history.requests, history.errors, history.requests_per_minute, p99_ms)


def _shifts(case: Case, now: int) -> tuple[Shift, ...]:
    starts = (case.minutes[step.start].t for step in case.steps)
    return tuple(
        Shift(60 * start, 100 * step.weight) for start, step in zip(starts, case.steps, strict=True) if start < now
    )


def _observed(minute: recorded.Minute) -> Minute:
    return Minute(60 * minute.t, _counts(minute.stable), _counts(minute.candidate))


def _counts(counts: recorded.Counts) -> Counts:
    """No datapoint of requests means no requests. A count that is missing although there were some is unknown."""
    return Counts(counts.n, counts.errors, counts.n, counts.slow) if counts.n else Counts()
