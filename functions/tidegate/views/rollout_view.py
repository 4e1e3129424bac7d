"""What people see of one rollout, as plain values: whoever follows a rollout fills them in, `live` and `report` draw.

Weights and rates are percents, `at_second` and minutes count from the rollout's start, other times are seconds since
the epoch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tidegate.duration import format_duration
from tidegate.ending.outcome import Outcome, Tone


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of one version: all, those that failed, those slower than the stable version's p99 had been before."""

    requests: int = 0
    errors: int = 0
    slow: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.requests + other.requests, self.errors + other.errors, self.slow + other.slow)

    @property
    def error_percent(self) -> float | None:
        """Failed requests in percent of all; None where there were none, which is not the same as 0."""
        return 100 * self.errors / self.requests if self.requests else None

    @property
    def slow_percent(self) -> float | None:
        """Slow requests in percent of all; None where there were none."""
        return 100 * self.slow / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class StepView:
    """One weight of the plan, and how long it bakes."""

    weight_percent: float
    bake_seconds: int


@dataclass(frozen=True, slots=True)
class MinuteView:
    """Minute `t` of the rollout, counted from 0; the last one may still be filling."""

    t: int
    weight_percent: float
    stable: Counts
    candidate: Counts


@dataclass(frozen=True, slots=True)
class CheckView:
    """One gate at one verdict, and its finding, `state`; `unit` is "" where value and limit are words."""

    name: str
    value: float | str | None
    limit: float | str | None
    unit: str
    state: str

    @property
    def value_text(self) -> str:
        """The value with its unit; a dash where nothing was measured."""
        return measure(self.value, self.unit)

    @property
    def limit_text(self) -> str:
        """The limit with its unit; a dash where there is none."""
        return measure(self.limit, self.unit)


@dataclass(frozen=True, slots=True)
class TallyView:
    """Requests of one version, and how many of them were bad."""

    requests: int
    bad: int

    def __str__(self) -> str:
        return f"{self.bad:,} of {self.requests:,}"


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """What one metric says against the candidate, over all minutes so far in which both versions served.

    Two wealths, natural logarithms, each beside what convicts: `worse` against "no worse than the stable version",
    `intolerable` against "no worse than tolerated". With 95 % confidence, no more than `excess_at_most_percent` of the
    candidate's requests are bad beyond the tolerated ratio. `state` is as a check's; what `startles` made it flinch.
    `better`: it is clearly better than the stable version.
    """

    metric: str
    minutes: int
    stable: TallyView
    candidate: TallyView
    worse: float
    worse_needed: float
    intolerable: float
    intolerable_needed: float
    p_worse: float
    p_intolerable: float
    excess_at_most_percent: float
    state: str
    startles: bool = False
    better: bool = False

    @property
    def worse_percent(self) -> float:
        """`worse` in percent of what convicts, at least 0."""
        return _reached(self.worse, self.worse_needed)

    @property
    def intolerable_percent(self) -> float:
        """`intolerable` in percent of what convicts, at least 0."""
        return _reached(self.intolerable, self.intolerable_needed)


@dataclass(frozen=True, slots=True)
class LastStepView:
    """The candidate at weight 100 against the rate that the stable version had before; one that trips steps back."""

    metric: str
    candidate: TallyView
    expected_at_most_percent: float
    wealth: float
    needed: float
    tripped: bool

    @property
    def percent(self) -> float:
        """The wealth in percent of what trips, at least 0."""
        return _reached(self.wealth, self.needed)


def _reached(wealth: float, needed: float) -> float:
    return max(0.0, 100 * wealth / needed) if needed > 0 else 100.0


@dataclass(frozen=True, slots=True)
class VerdictView:
    """One look at the candidate: what was decided, why, and everything it rests on. `step` counts from 0."""

    at_second: float
    step: int
    weight_percent: float
    decision: str
    reason: str
    checks: tuple[CheckView, ...] = ()
    evidence: tuple[EvidenceView, ...] = ()
    last_step: tuple[LastStepView, ...] = ()


@dataclass(frozen=True, slots=True)
class ShiftView:
    """One change of the candidate's weight."""

    at_second: float
    weight_percent: float


@dataclass(frozen=True, slots=True)
class CommandView:
    """One word of a person on the rollout, such as an approval."""

    at_second: float
    command: str
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class RolloutView:
    """One rollout at the moment `now`.

    `step` is the step in force, counted from 0. `weight_percent` is the candidate's share of the traffic, so 100 once
    it is promoted. `candidate` is None until there is one; `outcome` and `cause` are None until the end. `shifts` says
    to the second when the weight changed; where it is empty, the minutes say. `proven` is whether a promotion rests on
    evidence, None where nothing was promoted. `warnings` are the plan's. `holding` says what a running rollout waits
    for, beside time: a person, or the stable version to be restored. `next_at` is when the next look is due, None where
    nobody knows. `commands` are people's words, the first one first. `restore_command` is the plan's: with it a person
    restores the stable version. `by_callers`: the minutes are what callers saw, which only a sandbox knows, and not
    what CloudWatch has counted.
    """

    function_name: str
    alias_name: str
    stable: str
    candidate: str | None
    steps: tuple[StepView, ...]
    step: int
    weight_percent: float
    started_at: float
    now: float
    minutes: tuple[MinuteView, ...] = ()
    verdicts: tuple[VerdictView, ...] = ()
    outcome: Outcome | None = None
    cause: str | None = None
    shifts: tuple[ShiftView, ...] = ()
    proven: bool | None = None
    warnings: tuple[str, ...] = ()
    rollout_id: str | None = None
    holding: str | None = None
    next_at: float | None = None
    commands: tuple[CommandView, ...] = ()
    restore_command: str | None = None
    proven_by: tuple[str, ...] = ()
    by_callers: bool = False

    @property
    def target(self) -> str:
        """The alias, as Lambda qualifies it: `function:alias`."""
        return f"{self.function_name}:{self.alias_name}"

    @property
    def elapsed_seconds(self) -> float:
        """From the start until now."""
        return max(0.0, self.now - self.started_at)

    @property
    def stable_total(self) -> Counts:
        """All requests of the stable version since the start."""
        return sum((minute.stable for minute in self.minutes), Counts())

    @property
    def candidate_total(self) -> Counts:
        """All requests of the candidate since the start."""
        return sum((minute.candidate for minute in self.minutes), Counts())

    @property
    def weights(self) -> tuple[ShiftView, ...]:
        """Every weight of the candidate and since when, the present one last; writes that changed none are left out."""
        changes = self.shifts or tuple(ShiftView(minute.t * 60, minute.weight_percent) for minute in self.minutes)
        kept: list[ShiftView] = []
        for change in (*changes, ShiftView(self.elapsed_seconds, self.weight_percent)):
            if change.weight_percent != (kept[-1].weight_percent if kept else 0.0):
                kept.append(change)
        return tuple(kept)


def verdict_view(record: Mapping[str, Any], started_at: float) -> VerdictView:
    """One verdict as the ledger keeps it; `started_at` is the rollout's start, in seconds since the epoch.

    Records from before there was a judge hold neither evidence nor guards.
    """
    return VerdictView(
        at_second=record["at"] - started_at,
        step=record["step"],
        weight_percent=record["weight_percent"],
        decision=record["action"],
        reason=record["reason"],
        checks=tuple(
            CheckView(*(check[name] for name in ("name", "value", "limit", "unit", "finding")))
            for check in record["checks"]
        ),
        evidence=tuple(EvidenceView(**_fields(EvidenceView, one)) for one in record.get("evidence", ())),
        last_step=tuple(LastStepView(**_fields(LastStepView, one)) for one in record.get("last_step", ())),
    )


def _fields(shape: type[EvidenceView | LastStepView], record: Mapping[str, Any]) -> dict[str, Any]:
    """What the shape knows of a record, pairs of requests and bad ones as tallies."""
    known = {name: record[name] for name in shape.__dataclass_fields__ if name in record}
    return {name: TallyView(*value) if isinstance(value, list) else value for name, value in known.items()}


#: So many names have room in a line.
_NAMED = 4
_UNCOVERED = "Beside what these count, failures that are answered, or come later elsewhere, are not covered."


def outcome_title(view: RolloutView) -> str:
    """How the rollout ended, as a title: "Rolled back"; while it runs, that."""
    return view.outcome.label if view.outcome else "Running"


def tone(view: RolloutView) -> Tone:
    """How its end reads."""
    return view.outcome.tone if view.outcome else "plain"


def proof_title(view: RolloutView) -> str:
    """Whether a promotion is proven, in one word; "" where nothing was promoted."""
    return "" if view.proven is None else "Proven" if view.proven else "Unproven"


def proof_words(view: RolloutView) -> str:
    """The same with what it rests on, the first names of it: there is one line."""
    named, more = ", ".join(view.proven_by[:_NAMED]), len(view.proven_by) - _NAMED
    by = f" by {named}{f' and {more} more' if more > 0 else ''}" if view.proven and named else ""
    return f"{proof_title(view)}{by}"


def proof(view: RolloutView) -> str:
    """What a promotion rests on, and what that does not cover; "" where nothing was promoted."""
    if view.proven is None:
        return ""
    if view.proven:
        by = f": {', '.join(view.proven_by)}" if view.proven_by else ""
        return f"What was measured speaks for version {view.candidate}{by}. {_UNCOVERED}"
    return f"Nothing spoke against version {view.candidate}, but not enough could be seen to rule out harm."


def decided(view: RolloutView) -> str:
    """The sentence of the verdict that promoted; "" where none did."""
    last = view.verdicts[-1] if view.verdicts and view.outcome is Outcome.PROMOTED else None
    return last.reason if last and last.decision == "promote" else ""


def ending(view: RolloutView) -> str:
    """One sentence on what the rollout left behind; "" while it runs."""
    return view.outcome.sentence.format(stable=view.stable, candidate=view.candidate) if view.outcome else ""


def remedy(view: RolloutView) -> str:
    """The command that restores the stable version, where the rollout left that to a person; "" elsewhere."""
    return view.restore_command or "" if view.outcome and view.outcome.needs_a_person else ""


def remedy_title(view: RolloutView) -> str:
    """What stands above the remedy, which has a line of its own: so it can be copied."""
    return f"Restore version {view.stable} with:"


def why(view: RolloutView) -> str:
    """Why the rollout ended so, without the remedy, which has its own place; "" where nothing is known."""
    cause, command = view.cause or "", remedy(view)
    if not command or command not in cause:
        return cause
    before, _, after = cause.partition(f"Run: {command}")
    return (before.rstrip().removesuffix(".") + after.removeprefix("\nbecause ")).strip()


def closing_words(view: RolloutView) -> str:
    """How the rollout ended, who serves now, and why: one line for whoever reads no other, and the remedy below."""
    cause = f" {why(view).rstrip('.')}." if why(view) else ""
    proven = f" {proof_words(view)}." if view.proven is not None else ""
    below = f"\n{remedy_title(view)}\n{remedy(view)}" if remedy(view) else ""
    return f"{view.target}: {outcome_title(view)}. {ending(view)}{proven}{cause}{below}"


def next_look(view: RolloutView) -> str:
    """When the next look is due, as seen from now; "" where nobody knows."""
    if view.next_at is None or view.outcome:
        return ""
    left = view.next_at - view.now
    return f"next look in {format_duration(left)}" if left >= 1 else "next look is due"


def spoken(decision: str) -> str:
    """A decision as people say it: `roll_back` is "roll back"."""
    return decision.replace("_", " ")


def metric_title(metric: str) -> str:
    """What a metric counts: `slow` is "slow requests", `slow p50` "slow requests p50"."""
    return re.sub(r"^slow(?=$| p\d\d$)", "slow requests", metric)


def p_value(p: float) -> str:
    """How improbable the evidence is for a harmless candidate: p = 0.002."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"  # noqa: PLR2004


def percent(value: float | None, decimals: int | None = None) -> str:
    """A percentage for reading, "–" for none; shortest form where no number of decimals is given."""
    if value is None:
        return "–"
    return f"{value:g} %" if decimals is None else f"{value:.{decimals}f} %"


def measure(value: float | str | None, unit: str) -> str:
    """A measured value with its unit, to three digits; "–" for none."""
    if value is None or isinstance(value, str):
        return "–" if value is None else value
    # Three digits are for fractions: a count or a duration is not to become 1.23e+03.
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004
    return f"{number} {unit}".strip()


def timer(seconds: float) -> str:
    """A time since the start: 04:05, from an hour on 1:04:05."""
    minutes, second = divmod(int(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute:02}:{second:02}"


def moment(epoch_seconds: float) -> str:
    """A point in time for reading, in UTC to the second."""
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
