"""What nobody could do. Faults that have not stopped at the end excuse it: an alias that can never be written or read
stays as it is (and somebody must have been told), and a dead ledger keeps no books.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from tests.chaos.case import Case
from tests.chaos.observe import LAMBDA_ITSELF, Observation, Write

COMMAND = "aws lambda update-alias"
#: Errors by which AWS answers the question that was asked.
_ANSWERS = frozenset({"ConditionalCheckFailedException", "TransactionCanceledException", "PreconditionFailedException"})


def ledger_is_dead(case: Case, seen: Observation) -> bool:
    """Whether some call of the ledger fails for ever, or failed to the end."""
    endless = any(str(fault["call"]).startswith(("*", "dynamodb.")) for fault in case.endless("call"))
    # Who looks for locks may find them to the end, and never read one.
    return endless or any(_failed_to_the_end(seen, call) for call in ("dynamodb.*", "dynamodb.GetItem"))


def alias_is_unreachable(case: Case, seen: Observation) -> bool:
    """Whether the alias can never be read or never be written, or could not to the end."""
    calls = ("lambda.GetAlias", "lambda.UpdateAlias")
    endless = any(fnmatchcase(call, fault["call"]) for fault in case.endless("call") for call in calls)
    return endless or any(_failed_to_the_end(seen, call) for call in calls)


def nobody_is_left(case: Case, seen: Observation) -> bool:
    """Whether whoever restores after an end is gone: the sweeper, or what it reads, and the guard with its event, or
    with its process at the first word of the ledger.
    """
    dead = {fault["handler"] for fault in case.endless("handler")}
    blind = any(fnmatchcase("stepfunctions.DescribeExecution", fault["call"]) for fault in case.endless("call"))
    dies = any(
        fault["error"].startswith("crash") and fnmatchcase("dynamodb.GetItem", fault["call"])
        for fault in case.endless("call")
    )
    return ("sweep" in dead or blind or ledger_is_dead(case, seen)) and (
        "guard_execution" in dead or dies or event_may_be_lost(case)
    )


def event_may_be_lost(case: Case) -> bool:
    """Whether EventBridge may never tell how an execution ended."""
    return any(fault["error"] == "lost" for fault in case.faults if fault.get("event") == "execution")


def may_read_an_old_alias(case: Case) -> bool:
    """Whether a read of the alias may show what is no longer so, which looks like somebody else's write."""
    return any(fault["error"] == "stale" and fnmatchcase("lambda.GetAlias", fault["call"]) for fault in case.faults)


def needs_a_person(seen: Observation) -> bool:
    """Whether a rollout ended in the words that call a person, with the command to run."""
    return any(each.error == "RollbackFailed" and COMMAND in (each.cause or "") for each in seen.executions)


def weight_is_not_ours(case: Case, seen: Observation) -> bool:
    """Whether the weight that there is in the end is somebody else's, or Lambda's own.

    Who says nothing of weights leaves those that were there, and they remain whose they were. Those of a rollout that
    was being promoted are left where somebody moved the alias: nobody can tell them from Lambda's own.
    """
    gave = weight_given(seen)
    if gave is None or gave.foreign or gave.by == LAMBDA_ITSELF:
        return True
    moved = next((write for write in reversed(seen.writes) if write.foreign), None)
    if moved is None or not moved.partial or moved.at < gave.at:
        return False
    promoting = any(one.step is None and one.execution_arn == gave.serves for one in seen.stored)
    provisioned = bool(case.scenario.get("alias", {}).get("provisioned_concurrency"))
    return promoting or (provisioned and bool(seen.final) and set((seen.final or ("", {}))[1].values()) == {1.0})


def weight_given(seen: Observation) -> Write | None:
    """The last write that said something of weights; None where those from before the rollout are still there."""
    return next((write for write in reversed(seen.writes) if not write.partial), None)


def _failed_to_the_end(seen: Observation, pattern: str) -> bool:
    """Whether the last of these calls failed, and not for the reasons that are answers."""
    last = next((call.error for call in reversed(seen.calls) if fnmatchcase(call.name, pattern)), None)
    gone = seen.final is None and last == "ResourceNotFoundException" and pattern.startswith("lambda.")
    return last is not None and last not in _ANSWERS and not gone
