"""What a rollback leaves running: executions of a durable function stay on the version on which they started."""

from __future__ import annotations

from dataclasses import replace

from tidegate.application.telemetry import best_effort
from tidegate.aws import durable
from tidegate.ending.outcome import Ending, Outcome
from tidegate.planning.plan import Plan

_NAMED = 3


def naming_what_goes_on(plan: Plan, candidate: str | None, ending: Ending) -> Ending:
    """The same end of a rollback that is done, its cause with the candidate's executions that go on; none is stopped.

    Best effort, and soon: it comes after the restore, and the record waits for it.
    """
    if not plan.durable or candidate is None or ending.outcome is not Outcome.ROLLED_BACK or ending.recorded:
        return ending
    with best_effort("list the executions that go on"):
        names, more = durable.running(plan.function_name, candidate)
        if names:
            return replace(ending, cause=f"{ending.cause}; {_sentence(plan, candidate, names, more=more)}")
    return ending


def _sentence(plan: Plan, candidate: str, names: tuple[str, ...], *, more: bool) -> str:
    shown = ", ".join(names[:_NAMED]) + ", …" * (more or len(names) > _NAMED)
    several = "executions go" if more or len(names) > 1 else "execution goes"
    return (
        f"{'at least ' * more}{len(names)} {several} on, on version {candidate} ({shown}). To list them: aws"
        f" lambda list-durable-executions-by-function --region {plan.region} --function-name {plan.function_name}"
        f" --qualifier {candidate} --statuses RUNNING --query 'DurableExecutions[].DurableExecutionArn' --output text;"
        f" to stop one: aws lambda stop-durable-execution --region {plan.region} --durable-execution-arn ARN"
    )
