"""command: an operator's word on a rollout: pause, resume, approve, reject, advance, finish, abort; and revert."""

from __future__ import annotations

import time

from aws import aliases, executions, finished, ledger, versions
from aws.finished import Finished
from aws.ledger import Lock
from rollout.errors import AliasMoved, AliasNotFound, AwsUnavailable, Interrupted, Rejected
from rollout.plan import Plan, pause_wait_seconds
from rollout.routing import Routing
from rollout.wheel import RESTORING, Command, Situation, Word, refusal
from telemetry import Document, best_effort, identify, logger, task
from telling import announce

#: How often a word is judged anew because the rollout went on, or somebody else spoke, meanwhile.
_TRIES = 5


@task("command")
def handler(event: Document) -> Document:
    """Event: `command`, `function_name`, `alias_name`, `author`, `reason`, and `rollout_id` where it is for that one.

    Result: whether it was `accepted`, a `message` that says what follows, and the `rollout_id` that it is about. What
    cannot be done is an answer, not an error.

    Raises:
        RolloutError: AWS could not be asked; nothing is known of the command's effect, and it may be sent again.
    """
    try:
        command = Command.parse(event)
    except ValueError as error:
        return {"accepted": False, "message": str(error)}
    logger.append_keys(command=command.command, author=command.author)
    for _ in range(_TRIES):
        lock = ledger.read_lock(command.target)
        answer = _running(command, lock) if lock and lock.plan else _ended(command, lock)
        if answer is not None:
            logger.info("answered", accepted=answer["accepted"], answer=answer["message"])
            return answer
    raise AwsUnavailable(f"the rollout of {command.target} changes faster than it can be commanded: try again")


def _answer(command: Command, rollout_id: str | None, message: str, *, accepted: bool = False) -> Document:
    return {
        "accepted": accepted,
        "command": command.command,
        "function_name": command.function_name,
        "alias_name": command.alias_name,
        "rollout_id": rollout_id,
        "message": message,
    }


# --- A rollout that runs ----------------------------------------------------------------------------------------------


def _running(command: Command, lock: Lock) -> Document | None:
    """The answer; None where the lock changed meanwhile, so that it must be read again."""
    plan = lock.plan
    if plan is None:
        return None
    identify({"plan": plan.to_json(), "candidate": lock.candidate})
    if command.rollout_id not in {None, plan.rollout_id}:
        message = f"rollout {command.rollout_id} of {command.target} is over; {plan.rollout_id} runs now"
        return _answer(command, plan.rollout_id, message)
    if lock.promoting and _is_told(lock):
        message = f"{command.target} is promoted, and its books are being closed: try again in a minute"
        return _answer(command, plan.rollout_id, message)
    word = command.word(time.time(), lock.gate, lock.step)
    if why := refusal(command.command, _situation(lock, plan)):
        return _answer(command, plan.rollout_id, f"{command.target} cannot {command.command} now: {why}")
    if command.command in RESTORING:
        return _restore(command, plan, lock, word)
    if ledger.say(lock, word):
        return _answer(command, plan.rollout_id, _accepted(plan, lock, word), accepted=True)
    seen = ledger.read_lock(command.target)
    if seen and word.to_json() in seen.commands:
        # The response was lost, and the SDK asked again.
        return _answer(command, plan.rollout_id, _accepted(plan, lock, word), accepted=True)
    return None


def _situation(lock: Lock, plan: Plan) -> Situation:
    return Situation(
        exposed=lock.exposed,
        promoting=lock.promoting,
        restoring=lock.restoring,
        paused=lock.wheel.pause,
        gate=lock.gate,
        pausable=plan.max_pause_seconds > 0 and not plan.creates_alias,
        finishing=lock.wheel.order if lock.wheel.order and lock.wheel.order.command == "finish" else None,
    )


def _is_told(lock: Lock) -> bool:
    """Whether the execution has ended as it should, and only the books are open: what it told is not undone."""
    end = executions.end_of(lock.execution_arn, time.time() - lock.taken_at)
    return end is not None and end.left_as_meant


def _accepted(plan: Plan, lock: Lock, word: Word) -> str:
    pause = lock.wheel.pause
    waits = plan.poll_seconds if lock.gate is None else max(plan.poll_seconds, plan.hold_poll_seconds)
    if pause is not None:
        waits = pause_wait_seconds(int(word.at - pause.at), plan.poll_seconds)
    when = f"at the next look, within about {waits:,} s"
    what = {
        "pause": f"from the next look on no weight moves until resume, for {plan.max_pause_seconds:,} s at most;"
        " then it rolls back",
        "resume": f"it goes on {when}",
        "approve": f"it goes on {when}" if pause is None else f"it goes on once it is resumed; it is {pause}",
        "advance": f"its bake ends {when}, unless harm is suspected",
        "finish": f"version {lock.candidate} is promoted {when}, unless there is harm; nobody is asked for approval",
    }[word.command]
    return f"{plan.target} is {word}: {what}"


def _restore(command: Command, plan: Plan, lock: Lock, word: Word) -> Document | None:
    """Restore at once; the state machine finds the alias restored at its next look, and ends for this reason."""
    marked = ledger.mark_restoring(lock.target, lock.execution_arn, str(word), word=word)
    if marked is None:
        return None
    message = f"{plan.target} is {word}"
    if plan.creates_alias:
        message += ": the alias is not made any more, unless that was just on its way"
        return _answer(command, plan.rollout_id, message, accepted=True)
    if not marked.exposed:
        message += ": no traffic had moved, and none will"
        return _answer(command, plan.rollout_id, message, accepted=True)
    try:
        aliases.restore(plan.function_name, plan.alias_name, plan.stable, marked.candidate, promoting=marked.promoting)
    except (AliasMoved, AliasNotFound) as error:
        return _answer(command, plan.rollout_id, f"{message}, but {error}", accepted=True)
    logger.info("stable version restored", why=str(word))
    message += f": version {plan.stable} serves all traffic again"
    return _answer(command, plan.rollout_id, message, accepted=True)


# --- A rollout that is over -------------------------------------------------------------------------------------------


def _ended(command: Command, lock: Lock | None) -> Document | None:
    if lock is not None:
        message = f"the rollout of {command.target} is being planned: try again in a moment"
        return _answer(command, None, message)
    if command.command == "revert":
        return _revert(command)
    last = finished.last(command.target)
    if last is None:
        message = f"no rollout of {command.target} runs, and none is known"
        return _answer(command, None, message)
    message = f"no rollout of {command.target} runs; the last one, {last.rollout_id}, ended {last.outcome}"
    return _answer(command, last.rollout_id, message + (": revert takes it back" * (last.outcome == "promoted")))


def _revert(command: Command) -> Document:
    """Back to the version before the last promotion, in one call, where that promotion is still what the alias serves.

    The version before must still be able to serve, and the write names the revision that was read: somebody else's
    later move is left alone.
    """
    promotion = finished.last_promotion(command.target)
    if promotion is None or promotion.plan is None or promotion.candidate is None:
        return _answer(command, None, f"no promotion of {command.target} is known, so there is nothing to revert")
    plan, candidate, now = promotion.plan, promotion.candidate, time.time()
    identify({"plan": plan.to_json(), "candidate": candidate})
    refused = f"{plan.target} cannot be reverted: "
    if why := _irreversible(command, promotion, plan, now):
        return _answer(command, plan.rollout_id, refused + why)
    try:
        versions.read(plan.function_name, plan.stable).require_stable()
        alias = aliases.read(plan.function_name, plan.alias_name)
        if alias.routing != Routing.alone(candidate):
            message = f"it serves {alias.routing}, which that promotion did not leave: somebody else moved it since"
            return _answer(command, plan.rollout_id, refused + message)
        alias = aliases.promote(plan.function_name, plan.alias_name, candidate, plan.stable, alias.revision_id)
    except (Rejected, Interrupted) as error:
        return _answer(command, plan.rollout_id, f"{refused}{error}")
    word = command.word(now)
    with best_effort("keep the revert"):
        finished.record_revert(promotion, plan, word)
    announce("RolloutReverted", plan.about(candidate, cause=str(word)))
    when = "" if alias.routing == Routing.alone(plan.stable) else " as soon as it is provisioned"
    message = f"{plan.target} is {word}: version {plan.stable} serves all traffic again{when}, instead of {candidate}"
    return _answer(command, plan.rollout_id, message, accepted=True)


def _irreversible(command: Command, promotion: Finished, plan: Plan, now: float) -> str | None:
    if command.rollout_id not in {None, plan.rollout_id}:
        return f"the last promotion is rollout {plan.rollout_id}, not {command.rollout_id}"
    if promotion.reverted is not None:
        return f"it is {promotion.reverted} already"
    if plan.creates_alias:
        return "the promotion made the alias, so there is no version before"
    if now - promotion.ended_at > plan.revert_window_seconds:
        age = f"{now - promotion.ended_at:,.0f} s"
        return f"the promotion is {age} old, and revert_window_seconds is {plan.revert_window_seconds:,}"
    return None
