"""What could be seen of the candidate: whether metrics have come at all, requests that are missing, and throttles.

None of it convicts anybody. What is not seen is unknown, and unknown is never healthy: it holds the rollout, and
nothing is proven of a candidate of which a part was out of sight.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, Self

from tidegate.analysis.check import Check, Finding
from tidegate.analysis.measurement import Minute, Shift, TrafficBaseline
from tidegate.analysis.metric import CustomMetric
from tidegate.analysis.rate import Rate
from tidegate.analysis.silence import Silence, silences
from tidegate.frozen import frozen
from tidegate.routing import ALL_PERCENT

#: A step is blind where so many requests of the candidate were to be expected, and none has been counted.
FEWEST_EXPECTED: Final = 10.0
#: CloudWatch is one to three minutes late: what is over for so long should have come, wherever anything comes.
ARRIVED_SECONDS: Final = 180
#: Both versions' counts of a minute are whole once it has been over for so long.
WHOLE_SECONDS: Final = 120
#: Standard deviations of the normal distribution that leave 0.001 above them: what lacks more is missing,
MISSING_DEVIATIONS: Final = 3.09
#: if it is also this share of what was expected: no weight is met to the last request.
MISSING_SHARE: Final = 0.01
#: A test that finds nothing says something only where it would have found this share missing, in 19 of 20 rollouts.
TOLD_SHARE: Final = 0.3
#: Standard deviations that leave 0.05 above them: what lacks more is no clean result.
CLEAN_DEVIATIONS: Final = 1.645
#: Minutes that differ so many times as much as coin flips may do so by chance; what is beyond that blunts the test.
CHANCE_DISPERSION: Final = 1.5
#: The dispersion of minutes starts as if so many had been ordinary, and is known as well as by so many more.
DISPERSION_PRIOR, DISPERSION_FREEDOM = 3, 10
#: Fewer throttled requests than this, or a smaller share, are usual on any alias.
FEWEST_THROTTLED, USUAL_THROTTLED = 3, 0.001
#: Throttles within so long hold a step; older ones only keep the promotion from being proven.
RECENT_SECONDS: Final = 180
_MINUTE_SECONDS: Final = 60


@frozen
class Missing:
    """The candidate's requests held against its weight: `counted`, and how many were `expected`, on the way up.

    `significant`: with p < 0.001 it was asked more than has been counted; those may still run, and may yet fail.
    `clean`: the test could have told that three in ten are missing, and found no sign of any.
    """

    counted: int = 0
    expected: float = 0.0
    significant: bool = False
    clean: bool = False

    @classmethod
    def of(cls, minutes: Iterable[Minute], shifts: Sequence[Shift], now: float) -> Self:
        """From whole minutes at one weight below 100 %: which version a request goes to is chance, by the weight.

        A normal approximation of the binomial test, its variance widened by the dispersion of the minutes around their
        own mean (quasi-likelihood: Pearson's chi-squared over its degrees of freedom; McCullagh and Nelder, Generalized
        Linear Models, 4.5): callers that keep to one environment come in clumps. A dispersion that few minutes say
        is uncertain itself, so the bound is Student's.
        """
        split = list(_split(minutes, shifts, now))
        counted = sum(candidate for _, candidate, _ in split)
        expected = sum(requests * weight for requests, _, weight in split)
        variance = sum(requests * weight * (1 - weight) for requests, _, weight in split)
        lack = expected - counted
        dispersion = _dispersion(split, counted, expected)
        spread = math.sqrt(variance * dispersion)
        beyond = _student(MISSING_DEVIATIONS, len(split) - 1 + DISPERSION_FREEDOM) * spread
        return cls(
            counted,
            expected,
            significant=lack > max(beyond, MISSING_SHARE * expected, 1.0),
            clean=could_tell(expected, variance * max(1.0, dispersion / CHANCE_DISPERSION))
            and lack <= CLEAN_DEVIATIONS * spread,
        )

    @property
    def requests(self) -> int:
        """How many are out of sight; none where chance explains them."""
        return round(self.expected - self.counted) if self.significant else 0

    def __str__(self) -> str:
        return (
            f"{self.counted:,} requests of the candidate were counted, and about {self.expected:,.0f} were expected by"
            " its weight: the rest may still be running"
        )


def could_tell(expected: float, variance: float) -> bool:
    """Whether the test of so many requests, of that variance, would find `TOLD_SHARE` of them missing."""
    return TOLD_SHARE * expected >= (MISSING_DEVIATIONS + CLEAN_DEVIATIONS) * math.sqrt(variance) > 0


def _split(minutes: Iterable[Minute], shifts: Sequence[Shift], now: float) -> Iterator[tuple[int, int, float]]:
    """Requests of both versions, those of the candidate, and its weight as a share, of each minute to be tested."""
    for minute in minutes:
        weights = [shift.weight_percent for shift in shifts if shift.at <= minute.at]
        moved = any(minute.at < shift.at < minute.end for shift in shifts)
        requests = minute.stable.requests + minute.candidate.requests
        if weights and not moved and requests and weights[-1] < ALL_PERCENT and minute.end + WHOLE_SECONDS <= now:
            yield requests, minute.candidate.requests, weights[-1] / 100


def _dispersion(split: Sequence[tuple[int, int, float]], counted: int, expected: float) -> float:
    """How much more than coin flips the minutes differ from each other; 1 is coin flips."""
    met = counted / expected if expected else 0.0
    chi_squared, minutes = 0.0, 0
    for requests, candidate, weight in split:
        share = min(weight * met, 1.0)
        variance = requests * share * (1 - share)
        if variance >= 1:
            chi_squared += (candidate - requests * share) ** 2 / variance
            minutes += 1
    return max(1.0, (DISPERSION_PRIOR + chi_squared) / (DISPERSION_PRIOR + max(minutes - 1, 0)))


def _student(deviations: float, freedom: int) -> float:
    """Student's quantile where the normal one is `deviations` (Cornish and Fisher's expansion, to the second term)."""
    cubed, fifth = deviations**3, deviations**5
    first = (cubed + deviations) / (4 * freedom)
    return deviations + first + (5 * fifth + 16 * cubed + 3 * deviations) / (96 * freedom**2)


@frozen
class Throttled:
    """Requests that were turned away: so many `since` the first shift, of `of` that were sent, and the share `before`.

    `before` is None where nothing is known of the day before. `new`: it did not know as many. `recent`: some of them
    were throttled just now.
    """

    since: int = 0
    of: int = 0
    before: float | None = 0.0
    new: bool = False
    recent: bool = False

    @classmethod
    def of_rollout(cls, minutes: Sequence[Minute], baseline: TrafficBaseline) -> Self:
        """From everything since the first shift: a throttled request counts for the alias alone."""
        since = sum(minute.throttled for minute in minutes)
        sent = since + sum(minute.stable.requests + minute.candidate.requests for minute in minutes)
        usual = Rate(baseline.throttled, baseline.requests + baseline.throttled)
        known = usual.requests > 0
        at_most = max(usual.at_most if known else 0.0, USUAL_THROTTLED)
        new = since >= FEWEST_THROTTLED and since > at_most * sent
        newest = minutes[-1].end if minutes else 0.0
        recent = any(minute.throttled for minute in minutes if minute.end > newest - RECENT_SECONDS)
        return cls(since, sent, usual.share if known else None, new, recent=new and recent)

    def check(self) -> Check:
        """The row beside errors, with its figures for before and since the shift."""
        share = 100 * self.since / self.of if self.of else 0.0
        before = None if self.before is None else 100 * self.before
        usual = "and of the day before nothing is known" if before is None else f"{before:.3g} % before"
        sentence = f"{share:.3g} % of {self.of:,} requests were throttled since the shift, {usual}"
        finding = Finding.UNKNOWN if self.recent else Finding.NOTED
        limit = "–" if before is None else round(before, 3)
        return Check("throttled", share, limit, "%", finding, of=self.of, sentence=sentence)


def blind(minutes: Sequence[Minute], shifts: Sequence[Shift], now: float, baseline: TrafficBaseline) -> str:
    """Why this step could not be seen; "" where it could, or where too few requests were to be expected.

    What was to be expected goes by what the stable version was asked in the step itself; where neither version has a
    datapoint of it, by the rollout so far, or else by the same hours of the day before. A silence that was usual is
    no blindness. Steps that are shorter than CloudWatch is late are blind once metrics have stopped.
    """
    shift = shifts[-1]
    # Before the first weight the candidate had nothing: the minute of that shift is its own.
    step = [minute for minute in minutes if minute.at >= shift.at or len(shifts) == 1]
    if any(minute.candidate.requests for minute in step):
        return ""
    weight = shift.weight_percent / 100
    stable = sum(minute.stable.requests for minute in step if minute.at >= shift.at)
    if stable and weight < 1:
        expected = stable * weight / (1 - weight)
        seen = "the stable version's requests are counted, and none of the candidate's"
    else:
        expected = _unseen_requests(minutes, shifts, now, baseline)
        seen = "no request of either version is counted"
    return f"{seen}, where some {expected:,.0f} of the candidate's were to be expected" * (expected >= FEWEST_EXPECTED)


def _unseen_requests(
    minutes: Sequence[Minute], shifts: Sequence[Shift], now: float, baseline: TrafficBaseline
) -> float:
    """How many requests of the candidate should have been counted since the newest minute, or shift, that shows any."""
    since, weight = shifts[-1].at, shifts[-1].weight_percent / 100
    usual = baseline.expected(since, now)
    if usual is None or not minutes:
        return weight * (usual or 0.0)
    # Metrics have come before: then only those are missing that should be here, and beyond any gap so far.
    gap = max((after.at - before.end for before, after in pairwise(minutes)), default=0.0)
    last, until = minutes[-1].end, now - ARRIVED_SECONDS
    # A step of which nothing can have come yet is blind only where metrics have stopped before it.
    spare_minutes = 1 if until > since else 2
    if until <= last + gap + spare_minutes * _MINUTE_SECONDS:
        return 0.0
    served = sum(minute.stable.requests + minute.candidate.requests for minute in minutes)
    return served / (last - minutes[0].at) * _weighed_seconds(shifts, last, until)


def _weighed_seconds(shifts: Sequence[Shift], begins: float, ends: float) -> float:
    """The seconds between two moments, each counted by the candidate's weight as a share."""
    until = [*(after.at for after in shifts[1:]), math.inf]
    spans = (max(0.0, min(ends, end) - max(begins, shift.at)) for shift, end in zip(shifts, until, strict=True))
    return sum(span * shift.weight_percent / 100 for span, shift in zip(spans, shifts, strict=True))


@frozen
class Unseen:
    """Why a look was told nothing: `reason`, "" where it was told.

    `shared`: of the stable version as little is known, so nothing is hidden that it does not hide, too. `overdue` are
    the candidate's that should have ended by now, and may have gone badly.
    """

    reason: str = ""
    shared: bool = False
    overdue: int = 0


ALL_SEEN: Final = Unseen()


@frozen
class Sight:
    """What was out of sight at one look.

    `blind` says why nothing could be seen of this step; "" where it could. `early`: nothing could have come yet.
    `shared`: nor could the stable version be seen.
    """

    blind: str = ""
    early: bool = False
    missing: Missing = Missing()
    throttled: Throttled = Throttled()
    silent: tuple[Silence, ...] = ()
    shared: bool = False

    @classmethod
    def of(
        cls,
        minutes: Sequence[Minute],
        shifts: Sequence[Shift],
        now: float,
        baseline: TrafficBaseline,
        unseen: Unseen = ALL_SEEN,
        metrics: Sequence[CustomMetric] = (),
        *,
        by_weight: bool = True,
    ) -> Self:
        """From all that was counted since the first shift.

        `by_weight`: what is counted is what the weights divide, and nothing beside it.
        """
        if unseen.reason or not shifts:
            return cls(unseen.reason, shared=unseen.shared)
        return cls(
            blind(minutes, shifts, now, baseline),
            not minutes and now - shifts[0].at < ARRIVED_SECONDS,
            Missing.of(minutes, shifts, now) if by_weight else Missing(),
            Throttled.of_rollout(minutes, baseline),
            tuple(silences(metrics, minutes, shifts, now, baseline)),
        )

    @property
    def taint(self) -> str:
        """What keeps a promotion from being proven although it is over; "" where there is nothing."""
        return self.throttled.check().sentence if self.throttled.new else ""

    @property
    def hides_harm(self) -> bool:
        """Whether requests that the candidate may have failed are out of sight."""
        blind = bool(self.blind) and not self.shared
        return blind or self.missing.significant or any(not silence.shared for silence in self.silent)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Everything that keeps the rollout from going on as if it had been seen, in words."""
        seen_nothing = [f"nothing could be seen: {self.blind}"] * bool(self.blind)
        missing = [str(self.missing)] * self.missing.significant
        throttled = [self.throttled.check().sentence] * self.throttled.recent
        return (*seen_nothing, *missing, *throttled, *map(str, self.silent))

    def checks(self) -> tuple[Check, ...]:
        """Requests that are missing, and those that were throttled; nothing where there are none."""
        missing = self.missing
        share = 100 * missing.counted / missing.expected if missing.expected else None
        return (
            *[Check("requests counted", share, 100.0, "%", Finding.UNKNOWN, of=missing.counted, sentence=str(missing))]
            * missing.significant,
            *[self.throttled.check()] * bool(self.throttled.since),
        )
