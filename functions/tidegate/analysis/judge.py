"""The judge: is the candidate worse than the stable version, over the same minutes and the same traffic?

**The idea.** A sceptic who believes that the candidate is no worse sells bets at fair prices, one minute after the
other. We buy bets that pay where the candidate fails more than its share of that minute's requests. Were the sceptic
right, our *wealth* could not be expected to grow, whatever we bet and however often we look: it exceeds 1/a, ever, with
probability at most a (Ville's inequality, 1939). So a wealth of 100 is evidence against the sceptic at the 1 % level
at any poll, of a rollout of any length. One minute's pay-out is an *e-value*; the wealth is their product, an
*e-process* (Ramdas, Grünwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid inference",
Statistical Science 2023).

Every minute is a table of its own, two versions by good and bad requests (where requests are rare, a few neighbouring
minutes at one weight). Nothing is pooled over tables, so changing weights, changing traffic and outages that hit both
versions make no difference: which version a failing request was routed to is chance.

**Two keys.** A candidate is convicted where two wealths are high in the same minute: against "no worse than the
stable version" (the first key, at `false_rollback`), and against "no worse than tolerated" (the second key, at
`tolerated_rollback`). Over the whole rollout, all polls and metrics together, a candidate that is never worse is
convicted with probability at most `false_rollback`, and one that is worse but always within the tolerance with at most
`tolerated_rollback`. Metrics have parts of both budgets that add up to them (Bonferroni's inequality), and so have
the quantiles of slow; each wealth begins with its part.

This assumes that, given a minute's conditions, counts do not depend on the version. What protects beyond it
(dispersion, cap, shared bursts) only ever lowers a wealth, and what lets it rise sooner (a catastrophe without a cap,
bets in a warm-up) is as fair as the rest: `e_process` says why. It bounds what is *convicted*. A candidate that is
suspected, or hinted at and not proven, is rolled back when its time is over, unconvicted: by Ville's inequality that is
at most `SUSPICION` and `HINT` of those that are no worse, and far fewer in simulations (docs/judge-figures.md).

**Better.** The same bets with the roles swapped tell of a candidate that is clearly better (`improvement`), with a
budget of their own. They convict nobody, and acquit of harm in no other metric.

At weight 100 there is nobody to compare with: see `last_step`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Final, Self

from tidegate.analysis.bursts import BURST_RECENT, Bursts, find_bursts, has_just_ended
from tidegate.analysis.e_process import (
    NO_WORSE,
    Tally,
    Tolerance,
    dispersions,
    excess_bound,
)
from tidegate.analysis.improvement import NONE, Improvement, find_improvement
from tidegate.analysis.metric import (
    DURABLE,
    ERRORS,
    HIGHEST,
    QUANTILES,
    TOLERATED_ERRORS,
    TOLERATED_SLOW,
    WARM_UP_SECONDS,
    CustomMetric,
    Judged,
    Kind,
    slow_metrics,
)
from tidegate.analysis.rate import Rate
from tidegate.analysis.row import FEWEST_BAD, QUIET_LOG_WEALTH, Row, is_calm, startles, wealth
from tidegate.frozen import frozen
from tidegate.stored import known_fields

#: More throttled requests than this share are a burst too: they count for the alias alone, so for neither version. Of
#: fewer the rest is still a fair sample.
BURST_THROTTLED: Final = 0.01
#: Harm is suspected at this level of the first key, of a candidate that is not quiet and has failed often enough: twice
#: what convicts, and no more, since a blip of a minute must not end a good release.
SUSPICION: Final = 0.02
#: At this one it is a sign of harm, which is enough not to promote a candidate that nothing has proven: the level of
#: the second key.
HINT: Final = 0.1
#: What has come so far on its way to a conviction is worth a line in a report: a lower quantile's, of which there are
#: two beside each p99.
TOLD: Final = 0.5
#: The last minutes are told beside the whole, which would drown them in a long rollout: as many as acquit.
RECENT_MINUTES: Final = 5
#: How many settled minutes with requests of the candidate an acquittal needs, an early one of the step alone: harm
#: that begins in the second or third minute is to be seen, whatever the traffic.
FEWEST_MINUTES: Final = 5
#: A candidate is proven harmless where what it may exceed the tolerated ratio by is at most so many times what is
#: tolerated at the stable version's rate, or so many times the tolerated increase (by default half a percentage point,
#: at which 0.3 % that becomes 0.6 % is proven in 18 of 100 rollouts, and was at a whole point in 95),
PROVEN_TOLERANCES, PROVEN_INCREASES = 3.0, 5.0
#: and at most this share of its requests; but nobody needs to prove less than the other share.
PROVEN_MOST, PROVEN_LEAST = 0.01, 0.001


@frozen
class Judge:
    """What is judged, and how often the judge may be wrong.

    A metric is None where it is not judged. `slow` is what is tolerated of requests above the p99 of the day before,
    `slow_above` of those above its lower quantiles, by quantile. Slow requests do not count for `warm_up_seconds` after
    an increase of the weight. `metrics` are the user's own. `durable`: what fails are executions, and no requests.
    """

    errors: Tolerance | None = TOLERATED_ERRORS
    slow: Tolerance | None = TOLERATED_SLOW[HIGHEST]
    false_rollback: float = 0.01
    tolerated_rollback: float = 0.10
    slow_above: Mapping[str, Tolerance] = field(default_factory=dict)
    warm_up_seconds: int = WARM_UP_SECONDS
    metrics: tuple[CustomMetric, ...] = ()
    durable: bool = False

    @property
    def quantiles(self) -> dict[str, Tolerance]:
        """What is tolerated of slow requests, by the quantile that tells them, the lowest first."""
        return {**self.slow_above, **({HIGHEST: self.slow} if self.slow else {})}

    def with_quantiles(self, tolerances: Mapping[str, Tolerance]) -> Judge:
        """The same by these quantiles."""
        lower = {quantile: tolerance for quantile, tolerance in tolerances.items() if quantile != HIGHEST}
        return replace(self, slow=tolerances.get(HIGHEST), slow_above=lower)

    def judged(self) -> dict[str, Judged]:
        """The metrics that are judged, by name. Errors, slow and each of the user's have an equal share of the budgets.

        Wealths of different metrics may depend on each other, so their budgets are divided (Bonferroni's inequality).
        """
        budget = 1 / max(1, (self.errors is not None) + bool(self.quantiles) + len(self.metrics))
        failed = (DURABLE, Kind.EXECUTED) if self.durable else (ERRORS, Kind.FAILED)
        errors = [Judged(failed[0], self.errors, budget, failed[1])] if self.errors else []
        custom = [one.judged(budget) for one in self.metrics]
        return {
            one.name: one for one in (*errors, *slow_metrics(self.quantiles, budget, self.warm_up_seconds), *custom)
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The judge of `dataclasses.asdict`."""
        errors, slow = document["errors"], document["slow"]
        lower = document.get("slow_above", {})
        return cls(
            **{
                **known_fields(cls, document),
                "errors": errors and Tolerance(**known_fields(Tolerance, errors)),
                "slow": slow and Tolerance(**known_fields(Tolerance, slow)),
                "slow_above": {
                    quantile: Tolerance(**known_fields(Tolerance, lower[quantile]))
                    for quantile in QUANTILES
                    if quantile in lower
                },
                "metrics": tuple(CustomMetric.from_json(one) for one in document.get("metrics", ())),
            }
        )


@frozen
class Evidence:
    """What one metric says. Wealths are natural logarithms, and hold the metric's share of the error budgets already.

    The counts are of the minutes that both versions were compared in, `recent` (bad and all of the candidate's, and of
    the stable version's) of the last five of them. `worse_peak` and `intolerable_peak` are the most
    that either key ever reached: exp(-peak) is a p-value that holds at any poll. `excess_at_most` bounds what the
    candidate fails beyond the tolerated ratio, as a share of its requests, with 95 % confidence.
    `startles`: without the cap of one minute, on those since the weight was last lowered, it would convict. `calm`:
    nothing in those speaks against the candidate. `improved`: whether it is clearly better.
    """

    metric: Judged
    minutes: int
    stable: int
    candidate: int
    stable_bad: int
    candidate_bad: int
    recent: tuple[int, ...]
    worse: float
    intolerable: float
    worse_peak: float
    intolerable_peak: float
    worse_needed: float
    intolerable_needed: float
    convicted_at: int | None
    suspected: bool
    hinted: bool
    quiet: bool
    burst: bool
    gaps: int
    settled_minutes: int
    step_cleared: bool
    excess_at_most: float
    startles: bool
    calm: bool
    improved: Improvement = NONE

    @property
    def p_worse(self) -> float:
        """How improbable this evidence is for a candidate no worse than the stable version; holds at any poll."""
        return min(1.0, math.exp(-self.worse_peak))

    @property
    def p_intolerable(self) -> float:
        """The same for a candidate within the tolerance."""
        return min(1.0, math.exp(-self.intolerable_peak))

    @property
    def is_told(self) -> bool:
        """Whether a verdict tells of it: slow by a lower quantile only once it came half of the way to a conviction."""
        if self.metric.kind is not Kind.SLOW or self.metric.proves or self.convicted_at is not None:
            return True
        return self.worse_peak >= TOLD * self.worse_needed and self.intolerable_peak >= TOLD * self.intolerable_needed

    @property
    def proven(self) -> bool:
        """Whether harm worth mentioning is ruled out, and nothing hints at any."""
        calm = self.quiet and not self.burst and self.settled_minutes >= FEWEST_MINUTES
        return calm and (self.improved.better or self.excess_at_most <= self.provable_excess)

    @property
    def provable_excess(self) -> float:
        """The most that a candidate which is proven may exceed the tolerated ratio by: it scales with the tolerance."""
        usual = self.stable_bad / self.stable if self.stable else 0.0
        tolerance = self.metric.tolerance
        increase = tolerance.max_increase
        tolerated = (tolerance.max_ratio - 1) * usual + increase
        return min(max(PROVEN_TOLERANCES * tolerated, PROVEN_INCREASES * increase, PROVEN_LEAST), PROVEN_MOST)


def examine(
    name: str,
    rows: Sequence[Row],
    judge: Judge,
    baseline: Rate | None = None,
    last: Sequence[Tally] = (),
    correlation: float = 0.0,
    failing_minutes: int = 0,
    *,
    all_counted: bool = True,
) -> Evidence:
    """What one metric says of the candidate, from every minute of the rollout.

    Args:
        name: the metric, one of those that the judge judges.
        rows: every minute so far, oldest first. A minute may come back corrected at the next poll: nothing is kept
            from one poll to the next, and a poll that was missed loses nothing.
        judge: tolerances and error budgets.
        baseline: the stable version's rate before the rollout.
        last: the settled minutes at weight 100, each against the stable version's rate; they bound the
            excess, and convict nobody. So do requests that are missing, as if all of them had failed.
        correlation: how alike requests of one minute were before the rollout.
        failing_minutes: for how long the stable version had failed far more than usual when the rollout began.
        all_counted: no request of the candidate is missing that may yet fail.
    """
    metric = judge.judged()[name]
    tolerance, share = metric.tolerance, math.log(metric.budget)
    spread = dispersions([row.evidence for row in rows], correlation)
    bursts = find_bursts(rows, baseline, failing_minutes)
    keys = [wealth(rows, key, spread, bursts.shared, share) for key in (NO_WORSE, tolerance)]
    worse, intolerable = ([one.log for one in key] for key in keys)
    needed = (-math.log(judge.false_rollback), -math.log(judge.tolerated_rollback))
    bad = sum(row.tally.candidate_bad for row in rows if row.tally)
    latest = (worse[-1], intolerable[-1] - share) if rows else (0.0, 0.0)
    settled, quiet = [row.evidence if row.settled else None for row in rows], latest[1] < QUIET_LOG_WEALTH
    improved = find_improvement(settled, bursts, spread, metric.budget) if all_counted else NONE
    burst = _is_in_burst(rows, bursts, improved)
    convicted_at = _convicted_at(rows, worse, intolerable, needed)
    return Evidence(
        metric=metric,
        **_counted(_compared(rows, convicted_at)),
        worse=latest[0],
        intolerable=latest[1] + share,
        worse_peak=max(worse, default=0.0),
        intolerable_peak=max(intolerable, default=0.0),
        worse_needed=needed[0],
        intolerable_needed=needed[1],
        convicted_at=convicted_at,
        suspected=bad >= FEWEST_BAD and latest[0] >= -math.log(SUSPICION) and not quiet,
        hinted=bad >= FEWEST_BAD and latest[0] >= -math.log(HINT) and not quiet,
        quiet=quiet,
        burst=burst,
        gaps=sum(row.tally is None for row in rows),
        settled_minutes=served(settled),
        step_cleared=quiet and not burst and _is_step_cleared(rows, tolerance, improved),
        excess_at_most=excess_bound([*settled, *last], tolerance.max_ratio),
        startles=convicted_at is None and startles(rows, keys, needed),
        calm=is_calm(rows, tolerance, bursts.shared),
        improved=improved,
    )


def _is_in_burst(rows: Sequence[Row], bursts: Bursts, improved: Improvement) -> bool:
    """Whether both versions fail just now, callers are turned away, or that has just ended.

    What the stable version alone fails in is no burst; but once it has ended, whatever that was, neither version has
    been seen as it is.
    """
    over = has_just_ended(bursts.lasted) and bool(rows[-1].tally and rows[-1].tally.stable)
    latest = list(zip(rows, bursts.lasted, bursts.shared, strict=True))[-BURST_RECENT:]
    return any(lasted and (over or row.throttled or (shared and not improved.fix)) for row, lasted, shared in latest)


def _compared(rows: Sequence[Row], convicted_at: int | None) -> list[tuple[Row, Tally]]:
    """The rows that both versions are compared in, with those of a warm-up where one of them convicted."""
    warming = convicted_at is not None and not rows[convicted_at].comparable
    told = [(row, row.bet if warming else row.evidence) for row in rows]
    return [(row, tally) for row, tally in told if tally and tally.stable and tally.candidate]


def _counted(compared: Sequence[tuple[Row, Tally]]) -> dict[str, Any]:
    """What an `Evidence` tells of the minutes that both versions are compared in."""
    return {
        "minutes": sum(row.minutes for row, _ in compared),
        "stable": round(sum(tally.stable for _, tally in compared)),
        "candidate": sum(tally.candidate for _, tally in compared),
        "stable_bad": sum(tally.stable_bad for _, tally in compared),
        "candidate_bad": sum(tally.candidate_bad for _, tally in compared),
        "recent": _recent(compared),
    }


def _is_step_cleared(rows: Sequence[Row], tolerance: Tolerance, improved: Improvement) -> bool:
    """Whether this step alone rules out harm beyond the tolerance; of a fix it is enough that it was seen."""
    step = [row.evidence for row in rows if row.in_step and row.settled]
    if improved.fix:
        return served(step) > 0
    return served(step) >= FEWEST_MINUTES and excess_bound(step, tolerance.max_ratio) <= tolerance.max_increase


def _recent(compared: Sequence[tuple[Row, Tally]]) -> tuple[int, ...]:
    """The counts of the last rows that make up `RECENT_MINUTES`."""
    last: list[tuple[int, ...]] = []
    minutes = 0
    for row, one in reversed(compared):
        if minutes >= RECENT_MINUTES:
            break
        last.append((one.candidate_bad, one.candidate, one.stable_bad, round(one.stable)))
        minutes += row.minutes
    return tuple(sum(column) for column in zip(*last, strict=True))


def _convicted_at(
    rows: Sequence[Row], worse: Sequence[float], intolerable: Sequence[float], needed: tuple[float, float]
) -> int | None:
    """The first minute in which both keys turn. What was proven once stays proven."""
    bad = 0
    for number, (row, first, second) in enumerate(zip(rows, worse, intolerable, strict=True)):
        bad += row.tally.candidate_bad if row.tally else 0
        if bad >= FEWEST_BAD and first >= needed[0] and second >= needed[1]:
            return number
    return None


def served(rows: Sequence[Tally | None]) -> int:
    """In how many of the minutes the candidate was asked anything."""
    return sum(bool(row and row.candidate) for row in rows)
