"""One look at a running rollout: what AWS answers about its alias, its alarms and its requests.

What AWS throttles is out of sight: that holds the rollout, and is no verdict. Everything else that fails is an error.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tidegate.application.telemetry import best_effort, logger
from tidegate.analysis.durable import beside, unsettled
from tidegate.analysis.measurement import AlarmReading, Minute
from tidegate.analysis.sight import ALL_SEEN, Unseen
from tidegate.aws import alarms, aliases, durable, ledger, metrics
from tidegate.control import pressure
from tidegate.control.flinch import flinched
from tidegate.control.observation import Observation
from tidegate.control.progress import Progress, Standing
from tidegate.errors import AliasMoved, AwsThrottled, AwsUnavailable
from tidegate.planning.plan import Plan
from tidegate.planning.strategy import lowered_percent
from tidegate.routing import Routing


class Look:
    """What is seen of a rollout, and its `progress` with that; `revision_id` is the alias's, as far as it was seen.

    Alarms are asked for now and then; `ask_alarms` does it where more is to be decided by the look than to wait on.

    Raises:
        AliasMoved: the alias is not as this rollout left it.
        RolloutError: AWS refuses, or does not answer.
    """

    def __init__(self, plan: Plan, candidate: str, came: Standing) -> None:
        self.plan, self.candidate = plan, candidate
        self.progress = came.progress
        self.revision_id = came.progress.revision_id
        self.strain_before = came.progress.strain
        self.alarms_asked = False
        self._blind: list[str] = []
        self._observed: Observation | None = None
        self._readings: dict[str, AlarmReading] = {}
        with self._unless_throttled():
            self._require_unmoved(is_late=came.progress.unanswered)
        self.now = time.time()
        if pressure.asks_alarms(self.progress, self.now):
            self.ask_alarms()
        self._minutes, self._unseen = self._read_minutes()

    @property
    def observed(self) -> Observation:
        """What all of that says of the candidate."""
        self._observed = self._observed or self._observe()
        return self._observed

    def _observe(self) -> Observation:
        unseen = "; ".join(filter(None, (*self._blind, self._unseen.reason)))
        watched = [self._readings[rule.name] for rule in self.plan.alarms if rule.name in self._readings]
        return Observation.of(
            self.plan, self.progress, self._minutes, watched, self.now, replace(self._unseen, reason=unseen)
        )

    def ask_alarms(self) -> None:
        """Ask what state the alarms are in."""
        self.alarms_asked, self._observed = True, None
        ignored = [rule.name for rule in self.plan.alarms if rule.if_already_firing == "ignore_until_ok"]
        with self._unless_throttled():
            self._readings = alarms.read(
                (rule.name for rule in self.plan.alarms),
                since=self.progress.first_shift_at,
                seen=self.progress.alarms_seen,
                ignored_since=dict.fromkeys(ignored, self.plan.started_at),
            )
            self.progress = self.progress.seeing(self._readings, self.now)

    def miss(self, why: str) -> None:
        """Something of this look got lost: it has not seen all."""
        logger.warning("blind", reason=why)
        self._blind.append(why)
        self._observed = None

    @contextmanager
    def _unless_throttled(self) -> Iterator[None]:
        try:
            yield
        except AwsThrottled as error:
            self.miss(str(error))

    def _require_unmoved(self, *, is_late: bool) -> None:
        """Whoever wrote since and moved nothing, a description for instance, changed the revision."""
        plan, progress = self.plan, self.progress
        expected = progress.routing(plan.stable, self.candidate)
        alias = aliases.read(plan.alias)
        found = alias.routing
        if found != expected and not (is_late and self._has_arrived(alias)):
            if is_late:
                # A promotion that was refused: a weight of ours on somebody else's version is still ours.
                with best_effort("say that it is not promoted"):
                    ledger.forget_promotion(plan)
            raise AliasMoved(f"{plan.target} should serve {expected}, and serves {found}: {self._whose(found)}")
        self.revision_id = alias.revision_id
        self.progress = replace(self.progress, unanswered=False)

    def _has_arrived(self, alias: aliases.AliasState) -> bool:
        """Whether the move that was throttled has been made: an attempt before may have got no answer."""
        plan, before = self.plan, self.progress
        if alias.routing == Routing.alone(self.candidate) or alias.routing.is_handed_over_from(
            plan.stable, self.candidate
        ):
            return True
        steps = (min(before.step + 1, len(plan.steps) - 1), plan.first_step, before.step)
        moves = [(before, number, plan.step_at(number).weight_percent) for number in steps]
        moves.append((flinched(before), before.step, lowered_percent(before.weight_percent)))
        for progress, number, weight in moves:
            if alias.routing == Routing.split(plan.stable, self.candidate, weight):
                self.progress = Progress.after_shift(progress, number, weight, alias.revision_id, time.time())
                return True
        return False

    def _whose(self, found: Routing) -> str:
        """Who has moved it; a guard's or a person's restore says so in the lock, which RollBack reads where it can."""
        plan = self.plan
        if found == Routing.alone(plan.stable):
            return "it was restored meanwhile"
        earlier = [Routing.split(plan.stable, self.candidate, shift.weight_percent) for shift in self.progress.shifts]
        return "as it did before" if found in earlier else "somebody else moved it"

    def _read_minutes(self) -> tuple[tuple[Minute, ...], Unseen]:
        """Both versions' requests, or executions of a durable function, by the minute.

        None, and why, where CloudWatch, or the table, does not answer: that is unknown, and no fault.
        """
        plan, progress = self.plan, self.progress
        if not progress.shifts:
            return (), ALL_SEEN
        try:
            if plan.counts_executions:
                started = durable.read_executions(
                    plan.alias, plan.stable, self.candidate, since=progress.first_shift_at, now=self.now
                )
                counted = self._requests() if plan.asked.metrics else ()
                return beside(started, counted), unsettled(started, progress.shifts)
            return self._requests(), ALL_SEEN
        except AwsUnavailable as error:
            logger.warning("blind", reason=str(error))
            return (), Unseen(str(error))

    def _requests(self) -> tuple[Minute, ...]:
        return metrics.read_rollout(
            self.plan.alias,
            self.plan.stable,
            self.candidate,
            first_shift_at=self.progress.first_shift_at,
            shifted_at=self.progress.shifted_at,
            now=self.now,
            asked=self.plan.asked,
        )
