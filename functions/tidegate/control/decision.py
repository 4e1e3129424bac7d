"""Everything observed at a poll becomes one decision.

Each gate (alarm, threshold, the judge's metrics) gives a Check. Unknown is never healthy: a rollout without proof is
held, then decided by the request's `when_inconclusive`, and marked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from tidegate.analysis.check import Check, Finding
from tidegate.analysis.sight import ARRIVED_SECONDS
from tidegate.control import flinch, item_size
from tidegate.control.advice import advice
from tidegate.control.approvals import approval_after, approval_seconds, goes_on_without, what_waits
from tidegate.control.commands import GivenCommand
from tidegate.control.looks import next_look
from tidegate.control.observation import Observation
from tidegate.control.progress import Action, Decision, Progress, Standing
from tidegate.duration import format_duration
from tidegate.planning.pace import SETTLE_SECONDS, pause_wait_seconds
from tidegate.planning.plan import Plan
from tidegate.planning.strategy import COMPARISON


def decide(plan: Plan, progress: Progress, observed: Observation) -> Standing:
    """What to do now, and the progress with it. A command to finish, which is to promote at once, yields to harm."""
    if harmful := observed.found(Finding.HARMFUL):
        convicts = any(check.convicts for check in harmful)
        return _decided("roll_back", _said(harmful), progress, convicts=convicts)
    if observed.comparison.tripped:
        return _step_back(plan, progress, observed)
    if flinch.may_flinch(plan, progress, observed):
        return _decided("flinch", flinch.why(progress, observed), flinch.flinched(progress))
    if progress.finish is not None and progress.shifts:
        return _decided("promote", f"{progress.finish}, unproven", progress)
    if progress.flinched:
        return _flinched(plan, progress, observed)
    remaining = bake_seconds(plan, progress) - (observed.now - progress.shifted_at)
    weight = f"{progress.weight_percent:g} %"
    if remaining > 0 and progress.bake_ended_at is None:
        if early := _cleared_early(plan, progress, observed):
            return _decided("advance", f"{weight} is cleared early: {early}", progress)
        sooner, wait_seconds = next_look(plan, progress, observed.now, remaining, awaited=observed.awaited)
        bakes = f"{weight} bakes {format_duration(remaining)} more"
        reason = "; ".join(filter(None, (bakes, observed.comparison.better)))
        return _decided("wait", reason, sooner, wait_seconds=wait_seconds)
    held = _held(plan, progress, observed)
    if isinstance(held, Standing):
        return held
    progress = held
    if plan.is_last(progress.step):
        return _last_step(plan, progress, observed)
    return _between_steps(plan, progress, observed)


def _decided(
    action: Action,
    reason: str,
    progress: Progress,
    *,
    wait_seconds: int = 0,
    proven_by: tuple[str, ...] = (),
    convicts: bool = False,
) -> Standing:
    proven = bool(proven_by)
    return Standing(progress, Decision(action, reason, wait_seconds, proven, convicts, proven_by))


def _flinched(plan: Plan, progress: Progress, observed: Observation) -> Standing:
    """Back up once nothing since the flinch speaks against the candidate; a doubt to the end rolls back."""
    if (left := flinch.seconds_left(progress, observed.now)) > 0:
        return _wait(plan, progress, left, f"{progress.weight_percent:g} % for {format_duration(left)} more: a flinch")
    if progress.pause is not None:
        return _paused(plan, progress, progress.pause)
    doubt, weight = flinch.doubt(observed), plan.step_at(progress.step).weight_percent
    if doubt and (extended := _extend(plan, progress, doubt)):
        return extended
    if doubt and flinch.is_grave(plan, observed):
        return _decided("roll_back", f"flinched, and not cleared to the end of the extension: {doubt}", progress)
    cleared = (
        "no more than chance speaks against the candidate" if doubt else "nothing since speaks against the candidate"
    )
    return _decided("advance", f"back to {weight:g} % after a flinch: {cleared}", progress)


def _cleared_early(plan: Plan, progress: Progress, observed: Observation) -> str | None:
    """Why the bake may end before its time, where the request wants that."""
    baked = observed.now - progress.shifted_at
    may = plan.health.advance_early and not plan.is_last(progress.step) and baked >= plan.health.min_bake_seconds
    held = progress.pause is not None or approval_after(plan, progress) is not None
    doubted = observed.found(Finding.SUSPECT) or observed.sight.reasons
    if not may or held or not observed.comparison.step_cleared or doubted:
        return None
    return observed.comparison.better if observed.comparison.is_fix else _said(observed.comparison.checks())


def _between_steps(plan: Plan, progress: Progress, observed: Observation) -> Standing:
    suspect = observed.found(Finding.SUSPECT)
    if suspect:
        return _extend(plan, progress, _said(suspect)) or _give_up(progress, suspect)
    if progress.step_backs and (hints := "; ".join(observed.comparison.hints)):
        # It stepped back for a reason: what is not cleared of it does not go up again.
        reason = f"stepped back, and not cleared: {hints}"
        return _extend(plan, progress, reason) or _decided("roll_back", reason, progress)
    if observed.comparison.burst and (
        held := _extend(plan, progress, "both versions fail just now, or requests are throttled")
    ):
        return held
    if out_of_sight := _out_of_sight(plan, progress, observed):
        return out_of_sight
    following = approval_after(plan, progress)
    if following is not None:
        return _ask_approval(plan, progress, following, observed.now)
    return _advance(progress, observed)


def _advance(progress: Progress, observed: Observation) -> Standing:
    if not progress.shifts:
        return _decided("advance", "the first weight may be set", progress)
    unseen, compared = "; ".join(observed.sight.reasons), observed.comparison.compared
    reason = (
        f"{progress.weight_percent:g} % has baked{compared and f': {compared}'}{unseen and f' (unproven: {unseen})'}"
    )
    return _decided("advance", reason, progress)


# --- What could not be seen -------------------------------------------------------------------------------------------


def _out_of_sight(plan: Plan, progress: Progress, observed: Observation) -> Standing | None:
    """What is made of a step of which a part was out of sight: it is held, and then the policy decides.

    None where the rollout goes on, unproven. Throttled requests reached neither version: they alone end no rollout but
    one that is to be proven.
    """
    sight, policy = observed.sight, plan.health.when_inconclusive
    if not sight.reasons or not progress.shifts:
        return None
    unseen = "; ".join(sight.reasons)
    if sight.early:
        left = progress.first_shift_at + ARRIVED_SECONDS - observed.now
        return _wait(plan, progress, left, f"its first metrics are on their way: {unseen}")
    if extended := _extend(plan, progress, unseen):
        return extended
    if policy == "hold" and not progress.unseen_approved:
        asking = replace(progress, approval_step=None, asks_unseen=True)
        return _ask_approval(plan, asking, progress.step + 1, observed.now, because=unseen)
    if policy == "roll_back" or (policy == "extend" and sight.hides_harm):
        return _decided("roll_back", f"still not seen at the end of the extension: {unseen}", progress)
    return None


# --- Held by people ---------------------------------------------------------------------------------------------------


def _held(plan: Plan, progress: Progress, observed: Observation) -> Standing | Progress:
    """What people's commands and the plan's approvals make of a rollout that could go on; the progress where it may.

    A held rollout goes nowhere, so one look that sees nothing does not end it: alarms and guards stay on duty.
    """
    if progress.pause is not None:
        return _paused(plan, progress, progress.pause)
    waits_for_proof = progress.approval_step == len(plan.steps) and not observed.sight.blind
    if progress.approval_step is None or waits_for_proof:
        return progress
    if progress.asks_unseen and not observed.sight.reasons:
        # What nobody saw has come: the question is what the plan asks, if that asks any.
        return replace(progress, approval_step=None, asks_unseen=False)
    return _awaiting_approval(plan, progress, progress.approval_step, observed.now)


def _ask_approval(plan: Plan, progress: Progress, step: int, now: float, because: str = "") -> Standing:
    """Wait for an approval from now on, or for what is left of its time."""
    opened = progress if progress.approval_step == step else replace(progress, approval_step=step, held_since=now)
    return _wait_for_approval(plan, opened, step, now, because) or _unapproved(plan, opened, step)


def _awaiting_approval(plan: Plan, progress: Progress, step: int, now: float) -> Standing | Progress:
    """Hold until somebody approves; the progress without that wait where nobody did and the request goes on then."""
    if waiting := _wait_for_approval(plan, progress, step, now):
        return waiting
    if goes_on_without(plan, progress, step):
        return replace(progress, approval_step=None, approved=max(progress.approved, step))
    return _unapproved(plan, progress, step)


def _wait_for_approval(plan: Plan, progress: Progress, step: int, now: float, because: str = "") -> Standing | None:
    """Hold for the approval; None once its time is over."""
    left = math.ceil(progress.held_since + approval_seconds(plan, progress, step) - now)
    if left <= 0:
        return None
    then = "goes on" if goes_on_without(plan, progress, step) else "rolls back"
    why = because and f" ({because})"
    reason = f"{what_waits(plan, step)} waits for approval, and {then} in {format_duration(left)} without it{why}"
    return _decided("hold", reason, progress, wait_seconds=min(plan.hold_poll_seconds, left))


def _unapproved(plan: Plan, progress: Progress, step: int) -> Standing:
    why = " although it could not be seen" * progress.asks_unseen
    within = format_duration(approval_seconds(plan, progress, step))
    reason = f"nobody approved {what_waits(plan, step)}{why} within {within}"
    return _decided("roll_back", reason, progress)


def _paused(plan: Plan, progress: Progress, pause: GivenCommand) -> Standing:
    left = plan.max_pause_seconds - progress.paused_seconds
    if left <= 0:
        reason = f"{pause}, and not resumed within {format_duration(plan.max_pause_seconds)} (max_pause_seconds)"
        return _decided("roll_back", reason, progress)
    granted = min(pause_wait_seconds(progress.paused_seconds, plan.poll_seconds), left)
    longer = replace(progress, paused_seconds=progress.paused_seconds + granted)
    return _decided(
        "hold", f"{pause}; rolls back in {format_duration(left)} unless resumed", longer, wait_seconds=granted
    )


def bake_seconds(plan: Plan, progress: Progress) -> float:
    """How long the present step bakes: after a step back only as long as the comparison may need, or what was left."""
    if not progress.shifts:
        return 0
    seconds: float = plan.step_at(progress.step).bake_seconds
    if progress.step_backs:
        again = plan.again_seconds(progress.step)
        seconds = max(seconds - progress.last_baked_seconds, again) if plan.is_last(progress.step) else again
    # After a flinch what was left of it, and long enough to compare once more.
    return max(seconds - progress.baked_seconds, min(seconds, COMPARISON.bake_seconds))


def _step_back(plan: Plan, progress: Progress, observed: Observation) -> Standing:
    """A shared outage at weight 100 looks like harm, and harm like an outage: compare again, with less at stake."""
    saw = "; ".join(map(str, observed.comparison.tripped))
    if progress.step_backs >= plan.max_step_backs:
        times = "" if not progress.step_backs else f" again after {progress.step_backs} steps back"
        return _decided("roll_back", f"worse than before at the last weight{times}: {saw}", progress)
    baked = progress.last_baked_seconds + progress.baked_seconds + observed.now - progress.shifted_at
    # Who had approved the promotion had not seen this.
    approved = min(progress.approved, len(plan.steps) - 1)
    stepped = replace(
        progress,
        step_backs=progress.step_backs + 1,
        flinched=False,
        last_baked_seconds=baked,
        approval_step=None,
        approved=approved,
        finish=None,
        asks_unseen=False,
        unseen_approved=False,
    )
    weight = plan.step_at(plan.first_step).weight_percent
    return _decided("step_back", f"back to {weight:g} % to compare: {saw}", stepped)


def _last_step(plan: Plan, progress: Progress, observed: Observation) -> Standing:
    baked_until = progress.shifted_at + bake_seconds(plan, progress)
    if progress.bake_ended_at is not None:
        baked_until = min(baked_until, progress.bake_ended_at)
    unsettled = baked_until + SETTLE_SECONDS - observed.now
    if unsettled > 0:
        return _wait(
            plan, progress, unsettled, f"has baked; its last minutes settle for {format_duration(unsettled)} more"
        )
    missing = "; ".join(_missing_proof(plan, observed, baked_until))
    return _unproven_yet(plan, progress, observed, missing) if missing else _proven(plan, progress, observed)


def _missing_proof(plan: Plan, observed: Observation, baked_until: float) -> Iterator[str]:
    """What keeps the last step from being proven, and may come with more time."""
    unproven, counted = observed.found(Finding.SUSPECT) or _unproven(observed), observed.in_step.requests
    if observed.sight.blind:
        yield f"nothing could be seen: {observed.sight.blind}"
    elif not counted:
        yield "no request of the candidate is counted at the last weight"
    # Where none is counted that is said once, and not by every gate that has none to go by.
    yield from (str(check) for check in unproven if counted or check.value is not None)
    if 0 < counted < plan.health.minimum_invocations:
        yield f"fewer than minimum_invocations ({plan.health.minimum_invocations:,}) at the last weight"
    if counted and observed.seen_until < baked_until:
        yield "the metrics of its last minutes are missing"


def _unproven_yet(plan: Plan, progress: Progress, observed: Observation, missing: str) -> Standing:
    if extended := _extend(plan, progress, missing):
        return extended
    if suspect := observed.found(Finding.SUSPECT):
        return _give_up(progress, suspect)
    if observed.sight.hides_harm and plan.health.when_inconclusive == "extend":
        return _decided("roll_back", f"still not seen at the end of the extension: {missing}", progress)
    return _inconclusive(plan, progress, observed, missing, time_helps=True)


def _proven(plan: Plan, progress: Progress, observed: Observation) -> Standing:
    """Nothing is missing: promoted by the gates that are healthy, where there are any."""
    healthy = observed.found(Finding.HEALTHY)
    if healthy:
        if hidden := observed.comparison.unjudged_metric or observed.sight.taint or _may_hang_unseen(plan, observed):
            return _inconclusive(plan, progress, observed, hidden)
        compared = [check for check in healthy if check.sentence] or healthy
        reason = _proof(compared, [*observed.found(Finding.UNSEEN), *observed.found(Finding.IGNORED)])
        return _decided("promote", reason, progress, proven_by=_names(healthy))
    if ignored := observed.found(Finding.IGNORED):
        why = f"nothing could tell but what is ignored since before the rollout: {_said(ignored)}"
        return _inconclusive(plan, progress, observed, why)
    return _ungated(plan, progress)


def _may_hang_unseen(plan: Plan, observed: Observation) -> str:
    """Why requests that hang could not have been missed; "" where they could, or where none hangs for so long.

    Lambda counts a request once it has ended, in the minute of its start ("Types of metrics"): at 100 % there is no
    weight to hold the counts against.
    """
    if (plan.timeout_seconds or 0) <= SETTLE_SECONDS or observed.sight.missing.clean:
        return ""
    longest = format_duration(plan.timeout_seconds or 0)
    return f"a request may run for {longest}, and too few were compared on the way up to tell whether any are missing"


def _unproven(observed: Observation) -> list[Check]:
    """The gates that have yet to speak; where the judge proves, no alarm is waited for that cannot have fired yet."""
    judged = any(check.finding is Finding.HEALTHY for check in observed.comparison.checks())
    return [*observed.found(Finding.UNKNOWN), *([] if judged else observed.found(Finding.UNSEEN))]


def _proof(compared: list[Check], unseen: list[Check]) -> str:
    gates = "every gate that could speak is healthy" if unseen else "every gate is healthy"
    return f"{gates}: {_said([*compared, *unseen])}"


def _names(healthy: list[Check]) -> tuple[str, ...]:
    """What proves a promotion: what was judged, then limits, then alarms, as far as there is room for their names."""
    ordered = sorted(healthy, key=lambda check: (isinstance(check.value, str), not check.sentence))
    return item_size.first([check.proves for check in ordered], item_size.MAX_PROVEN_BYTES)


def _ungated(plan: Plan, progress: Progress) -> Standing:
    """No alarm, no limit and no judge could have told: waiting longer would not help."""
    if plan.health.when_inconclusive == "roll_back":
        reason = "no gate is set, so nothing can be proven: set health limits or alarms, or let the judge work"
        return _decided("roll_back", reason, progress)
    return _decided("promote", "unproven: no gate is set that could speak against it", progress)


def _inconclusive(
    plan: Plan, progress: Progress, observed: Observation, missing: str, *, time_helps: bool = False
) -> Standing:
    policy = plan.health.when_inconclusive
    if policy == "hold":
        return _hold_for_proof(plan, progress, observed, missing)
    seen = f"the candidate served {observed.in_rollout.requests:,} requests"
    hints = [*observed.comparison.hints]
    if progress.step_backs and not observed.comparison.is_fix:
        hints.append(f"it stepped back {progress.step_backs} times, and nothing cleared it since")
    if policy == "extend" and hints:
        return _decided("roll_back", f"unproven, with a sign of harm: {'; '.join(hints)}", progress)
    if policy == "promote" or (policy == "extend" and observed.in_rollout.requests >= plan.health.minimum_invocations):
        return _decided("promote", f"unproven: {seen}, and nothing spoke against it ({missing})", progress)
    short, may_hang = {check.covers for check in _unproven(observed)}, bool(_may_hang_unseen(plan, observed))
    helps = advice(plan.health, observed, short, time_helps=time_helps, may_hang=may_hang)
    return _decided("roll_back", f"inconclusive: {seen} ({missing}): {helps}", progress)


def _hold_for_proof(plan: Plan, progress: Progress, observed: Observation, missing: str) -> Standing:
    """Nothing is proven: whether it is promoted all the same is a person's word."""
    step = len(plan.steps)
    if progress.approved >= step:
        reason = f"unproven, and approved: {observed.in_rollout.requests:,} requests seen ({missing})"
        return _decided("promote", reason, progress)
    return _ask_approval(plan, progress, step, observed.now, because=missing)


def _give_up(progress: Progress, suspect: list[Check]) -> Standing:
    return _decided("roll_back", f"suspect to the end of the extension: {_said(suspect)}", progress)


def _extend(plan: Plan, progress: Progress, because: str) -> Standing | None:
    left = plan.health.max_extension_seconds - progress.extended_seconds
    if left <= 0:
        return None
    granted = min(plan.extension_poll_seconds, left)
    reason = f"bakes on for proof, {format_duration(left)} at most ({because})"
    longer = replace(progress, extended_seconds=progress.extended_seconds + granted)
    return _decided("wait", reason, longer, wait_seconds=granted)


def _wait(plan: Plan, progress: Progress, seconds: float, reason: str) -> Standing:
    wait_seconds = max(1, math.ceil(min(plan.poll_seconds, seconds)))
    return _decided("wait", reason, progress, wait_seconds=wait_seconds)


def _said(checks: list[Check] | tuple[Check, ...]) -> str:
    return "; ".join(map(str, checks))
