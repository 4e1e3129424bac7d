"""The user's own limits, held against the candidate's counts.

A raw ratio cries wolf: one error in ten requests is not "10 % errors". A limit counts as crossed only where
so many failures would be improbable for a candidate that is exactly at the limit (a one-sided exact binomial
test); a ratio above the limit that may still be chance is suspect, and holds the rollout.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tidegate.analysis.binomial import upper_tail
from tidegate.analysis.check import Check, Finding
from tidegate.analysis.health import HealthPolicy
from tidegate.analysis.measurement import Counts

#: What a limit is called in the request.
KEYS: Final = frozenset({"max_error_percent", "max_duration_p99_ms"})
#: How improbable the failures must be at the limit itself before they convict.
CONVICTION_P_VALUE = 0.01
#: Among too few requests, this many failures at least.
FEWEST_FAILURES = 3
#: A p99 limit says: at most this share of the requests is slower.
P99_SLOW_PERCENT = 1


def checks(
    health: HealthPolicy, step: Counts, rollout: Counts, beaten_percent: float | None = None
) -> tuple[Check, ...]:
    """Every limit that is set, held against the counts of this step and of the whole rollout, whichever is worse.

    What the rollout has shown before does not make a step healthy that nobody has seen yet. `beaten_percent` is how
    often the stable version fails, where the candidate clearly fails less.
    """
    found = []
    if health.max_error_percent is not None:
        both = [(counts.errors or 0, counts.requests) for counts in (step, rollout)]
        errors = _worse("errors", "max_error_percent", health.max_error_percent, both, health.minimum_invocations)
        found.append(_held_against_both(errors, health.max_error_percent, beaten_percent or 0.0))
    if health.max_duration_p99_ms is not None:
        both = [(counts.over_limit or 0, counts.requests) for counts in (step, rollout)]
        name = f"slower than {health.max_duration_p99_ms:g} ms"
        found.append(_worse(name, "max_duration_p99_ms", P99_SLOW_PERCENT, both, health.minimum_invocations))
    return tuple(found)


def _held_against_both(check: Check, limit_percent: float, beaten_percent: float) -> Check:
    """The check; ignored where the stable version is beyond the limit, and further than the candidate: to go back to it
    would cross the limit by more.
    """
    crossed = isinstance(check.value, float) and limit_percent < check.value < beaten_percent
    if not crossed:
        return check
    why = f"{check}, and {beaten_percent:.3g} % of the stable version's"
    return replace(check, finding=Finding.IGNORED, convicts=False, sentence=why)


def _worse(name: str, key: str, limit_percent: float, windows: list[tuple[int, int]], minimum: int) -> Check:
    shares = [_share(name, limit_percent, count, requests, minimum) for count, requests in windows]
    return replace(max(shares, key=lambda check: check.finding.severity), covers=key)


def _share(name: str, limit_percent: float, count: int, requests: int, minimum: int) -> Check:
    percent = 100 * count / requests if requests else None
    beyond = percent is not None and percent > limit_percent
    if beyond and _is_no_chance(count, requests, limit_percent, minimum):
        finding = Finding.HARMFUL
    elif beyond:
        finding = Finding.SUSPECT
    else:
        finding = Finding.HEALTHY if requests >= minimum else Finding.UNKNOWN
    return Check(name, percent, limit_percent, "%", finding, of=requests, convicts=finding is Finding.HARMFUL)


def _is_no_chance(count: int, requests: int, limit_percent: float, minimum: int) -> bool:
    """Below the minimum a single failure, however improbable, convicts nobody."""
    if requests < minimum and count < FEWEST_FAILURES:
        return False
    return upper_tail(count, requests, limit_percent / 100) <= CONVICTION_P_VALUE
