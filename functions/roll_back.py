"""RollBack: put the alias back on the stable version, and close the rollout. Works with the ledger gone."""

from __future__ import annotations

from datetime import datetime

from tidegate.application.telemetry import Document, task
from tidegate.application.rollback import Rollback, roll_back
from tidegate.control.progress import Decision, Standing
from tidegate.ending.conclusion import Reason
from tidegate.ending.failure import Failure
from tidegate.ending.snapshot import RolloutSnapshot
from tidegate.planning.plan import Plan


@task("RollBack")
def handler(event: Document) -> Document:
    """Event: `plan`, `stable`, `traffic_shifted` and `promoting`; `candidate`, `progress`, `decision` and `failure`,
    each null where there is none.

    Also `entered_at`, when the state was entered, and `redrives`, how often somebody has redriven the execution.

    Result: `outcome` (rolled_back, rejected or interrupted) and `cause`, for the end state that follows. Where the task
    that failed had recorded the end before, they say how it ended: promoted or unchanged.
    """
    reason, decision = _reason(event), event["decision"] or {}
    ending = roll_back(
        Rollback(
            _snapshot(event, reason),
            reason,
            entered_at=datetime.fromisoformat(event["entered_at"]).timestamp(),
            redriven=bool(event["redrives"]),
            proven=bool(decision.get("proven")),
            proven_by=tuple(decision.get("proven_by") or ()),
        )
    )
    return {"outcome": ending.outcome, "cause": ending.cause}


def _reason(event: Document) -> Reason:
    """What failed, or else what was decided last."""
    if event["failure"] and (failure := Failure.from_error_output(event["failure"])):
        return Reason.of_failure(failure)
    decision = Decision.from_json(event["decision"])
    return Reason(decision.reason, decision.convicts)


def _snapshot(event: Document, reason: Reason) -> RolloutSnapshot:
    plan, standing = Plan.from_json(event["plan"]), Standing.found(event)
    held_before = standing is not None and _is_held_before(standing)
    return RolloutSnapshot(
        plan,
        event["candidate"] or None,
        traffic_shifted=bool(event["traffic_shifted"]) and not held_before,
        # Promote says that the alias has moved where it has not written it.
        promoting=bool(event["promoting"]) and not reason.alias_moved,
        weights=frozenset(shift.weight_percent for shift in standing.progress.shifts) if standing else frozenset(),
        revision_id=standing.progress.revision_id if standing else plan.revision_id,
    )


def _is_held_before(standing: Standing) -> bool:
    """Whether no weight can have been set yet; of a move that was throttled an attempt may have got no answer."""
    moves = standing.decision.action in {"advance", "late"} or standing.progress.late > 0
    return not standing.progress.shifts and not moves
