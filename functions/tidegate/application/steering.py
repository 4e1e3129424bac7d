"""An operator's command to a rollout that runs: kept in the lock for the next look, or, to restore, done at once."""

from __future__ import annotations

import time
from dataclasses import replace

from tidegate.application.telemetry import Document, identify
from tidegate.application.restoration import attempt_at_once, has_ended_cleanly
from tidegate.aws import ledger, locks
from tidegate.control import item_size
from tidegate.control.commands import RESTORING, Command, GivenCommand, Situation, refusal
from tidegate.duration import format_duration
from tidegate.ending.lock import Lock
from tidegate.ending.outcome import Ending
from tidegate.ending.restore_intent import Holder, LeftAsFound, RestoreIntent
from tidegate.ending.snapshot import RolloutSnapshot
from tidegate.planning.pace import pause_wait_seconds
from tidegate.planning.plan import Plan


def steer(command: Command, lock: Lock, plan: Plan) -> Document | None:
    """The answer; None where the lock changed meanwhile, so that it must be read again.

    Raises:
        RolloutError: AWS could not be asked, or the alias not be restored yet.
    """
    identify({"plan": plan.to_json(), "candidate": lock.candidate})
    if command.rollout_id not in {None, plan.rollout_id}:
        message = f"rollout {command.rollout_id} of {command.target} is over; {plan.rollout_id} runs now"
        return command.answer(plan.rollout_id, message)
    if lock.promoting and has_ended_cleanly(lock):
        message = f"{command.target} is promoted, and its books are being closed: try again in a minute"
        return command.answer(plan.rollout_id, message)
    given = command.given(time.time(), lock.approval_step, lock.step)
    if why := refusal(command.command, _situation(lock, plan)):
        return command.answer(plan.rollout_id, f"{command.target} cannot {command.command} now: {why}")
    if command.command in RESTORING:
        return _restore(command, plan, lock, given)
    if ledger.say(lock, given) or _is_said(command, given):
        return command.answer(plan.rollout_id, _what_follows(plan, lock, given), accepted=True)
    return None


def _is_said(command: Command, given: GivenCommand) -> bool:
    """Whether the lock has the command all the same: the response was lost, and the SDK asked again."""
    seen = locks.read(command.target)
    return seen is not None and given.to_json() in seen.commands


def _situation(lock: Lock, plan: Plan) -> Situation:
    pending = lock.controls.pending
    finishes = pending is not None and pending.command == "finish"
    return Situation(
        traffic_shifted=lock.traffic_shifted,
        promoting=lock.promoting,
        restoring=lock.restoring,
        paused=lock.controls.pause,
        approval_step=lock.approval_step,
        pausable=plan.max_pause_seconds > 0 and not plan.creates_alias,
        # A step back since then has ended it; a step up was only just on its way.
        finishing=pending if pending and finishes and (pending.step or 0) <= (lock.step or 0) else None,
    )


def _what_follows(plan: Plan, lock: Lock, given: GivenCommand) -> str:
    pause = lock.controls.pause
    waits = plan.poll_seconds if lock.approval_step is None else max(plan.poll_seconds, plan.hold_poll_seconds)
    if pause is not None:
        waits = pause_wait_seconds(int(given.at - pause.at), plan.poll_seconds)
    when = f"at the next look, within about {format_duration(waits)}"
    what = {
        "pause": "from the next look on no weight moves until resume,"
        f" for {format_duration(plan.max_pause_seconds)} at most; then it rolls back",
        "resume": f"it goes on {when}",
        "approve": f"it goes on {when}" if pause is None else f"it goes on once it is resumed; it is {pause}",
        "advance": f"its bake ends {when}, unless harm is suspected",
        "finish": f"version {lock.candidate} is promoted {when}, unless there is harm; nobody is asked for approval",
    }[given.command]
    return f"{plan.target} is {given}: {what}"


def _restore(command: Command, plan: Plan, lock: Lock, given: GivenCommand) -> Document | None:
    """Restore at once; the state machine finds the alias restored at its next look, and ends for this reason."""
    kept = given if item_size.size("".join(lock.commands)) < item_size.MAX_COMMANDS_BYTES else None
    now = ledger.record_intent(lock.target, lock.execution_arn, str(given), given=kept)
    found = now.snapshot if now else None
    if found is None:
        return None
    message = f"{plan.target} is {given}"
    if plan.creates_alias:
        message += ": the alias is not made any more, unless that was just on its way"
    elif not found.traffic_shifted:
        message += ": no traffic had moved, and none will"
    else:
        message += _restored(replace(found, restored=None), str(given))
    return command.answer(plan.rollout_id, message, accepted=True)


def _restored(found: RolloutSnapshot, why: str) -> str:
    """What became of it. Who asks for it again may have a reason to: it is done again."""
    done = attempt_at_once(RestoreIntent(found, Holder.OURS, in_lock=True), why)
    if isinstance(done, LeftAsFound):
        return f", but {done.why}"
    if isinstance(done, Ending):
        return f", and was closed before: {done.cause}"
    if done.theirs:
        return f", but {done.theirs}"
    # Lambda hands the traffic of a promoted alias back once the version before has its environments.
    when = " as soon as it is provisioned" if found.promoting and found.plan.provisioned else ""
    return f": version {found.plan.stable} serves all traffic again{when}"
