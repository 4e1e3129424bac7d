"""command: what an operator wants of a rollout: pause, resume, approve, reject, advance, finish, abort; and revert."""

from __future__ import annotations

from tidegate.application.telemetry import Document, logger, task
from tidegate.application.revert import revert
from tidegate.application.steering import steer
from tidegate.aws import finished, locks
from tidegate.control.commands import Command
from tidegate.ending.lock import Lock
from tidegate.ending.outcome import Outcome
from tidegate.errors import AwsUnavailable

#: How often a command is judged anew because the rollout went on, or another was given, meanwhile.
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
        lock = locks.read(command.target)
        answer = steer(command, lock, lock.plan) if lock and lock.plan else _after(command, lock)
        if answer is not None:
            logger.info("answered", accepted=answer["accepted"], answer=answer["message"])
            return answer
    raise AwsUnavailable(f"the rollout of {command.target} changes faster than it can be commanded: try again")


def _after(command: Command, lock: Lock | None) -> Document:
    """The answer where nothing runs; `lock`: somebody is about to."""
    if lock is not None:
        return command.answer(None, f"the rollout of {command.target} is being planned: try again in a moment")
    if command.command == "revert":
        return revert(command)
    last = finished.last(command.target)
    if last is None:
        return command.answer(None, f"no rollout of {command.target} runs, and none is known")
    message = f"no rollout of {command.target} runs; the last one, {last.rollout_id}, ended {last.ending.outcome}"
    return command.answer(
        last.rollout_id, message + (": revert takes it back" * (last.ending.outcome is Outcome.PROMOTED))
    )
