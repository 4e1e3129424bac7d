"""Promote: make the candidate the stable version, in one call, and close the rollout."""

from __future__ import annotations

from tidegate.application.telemetry import Document, best_effort, task
from tidegate.application.finalize import finalize
from tidegate.application.forward import move
from tidegate.aws import aliases, ledger, locks, versions
from tidegate.aws.aliases import AliasState
from tidegate.aws.patience import BRIEF
from tidegate.control.progress import Decision, Progress
from tidegate.ending.outcome import Ending, Outcome
from tidegate.ending.snapshot import RolloutSnapshot
from tidegate.errors import (
    AliasMoved,
    AwsThrottled,
    AwsUnavailable,
    LedgerUnavailable,
    LockLost,
    PromotionDelayed,
    ProvisioningFailed,
    ProvisioningPending,
    RolloutError,
)
from tidegate.planning.pace import MAX_LATE_MOVES
from tidegate.planning.plan import Plan
from tidegate.routing import Routing


@task("Promote", BRIEF)
def handler(event: Document) -> Document:
    """Event: `plan`, `stable`, `candidate`, `progress` (null where the alias is new) and `decision`. Result: `outcome`.

    Once the alias is written and this has said so, a record that cannot be written does not undo it. A handler that
    never gets as far as saying so leaves a doubt, and doubt ends on the stable version.

    Raises:
        PromotionDelayed: AWS throttles it: look, and promote later.
    """
    plan, candidate = Plan.from_json(event["plan"]), str(event["candidate"])
    alias = _create(plan, candidate) if plan.creates_alias else _move(plan, candidate, event["progress"])
    if plan.provisioned:
        _require_provisioned(plan, candidate, alias.routing)
    decision = Decision.from_json(event["decision"])
    try:
        ending = Ending(Outcome.PROMOTED, decision.reason, decision.proven, proven_by=decision.proven_by)
        found = finalize(RolloutSnapshot(plan, candidate), ending)
    except LockLost:
        raise
    except RolloutError as error:
        _require_unrestored(plan)
        raise LedgerUnavailable(f"{plan.target} is promoted to version {candidate}, but {error}") from error
    if found.outcome is not Outcome.PROMOTED:
        raise LockLost(f"the rollout of {plan.target} was closed by somebody else, who restored its stable version")
    return {"outcome": Outcome.PROMOTED}


def _create(plan: Plan, candidate: str) -> AliasState:
    """A function's first release: nothing was there before, so nothing has to be compared or restored."""
    ledger.record_promotion(plan)
    return aliases.create(plan.alias, candidate)


def _move(plan: Plan, candidate: str, progress: Document) -> AliasState:
    standing = Progress.from_json(progress)
    try:
        alias = aliases.read(plan.alias)
        if _is_promoted(alias.routing, plan, candidate):
            return alias
        return _promote(plan, candidate, alias, standing.routing(plan.stable, candidate))
    except AwsThrottled as error:
        if standing.late >= MAX_LATE_MOVES:
            raise AwsUnavailable(str(error)) from error
        raise PromotionDelayed(str(error)) from error
    except AliasMoved:
        # Refused, now or when it was tried before, so a weight of ours on somebody else's version is still ours.
        with best_effort("say that it is not promoted"):
            ledger.forget_promotion(plan)
        raise


def _promote(plan: Plan, candidate: str, alias: AliasState, left: Routing) -> AliasState:
    if alias.routing != left:
        # Said before the lock says that it is promoted: until then a weight of ours is known to be ours.
        raise AliasMoved(f"{plan.target} should serve {left}, and serves {alias.routing}: it is not promoted")
    ledger.record_promotion(plan)
    return move(
        plan,
        Routing.alone(candidate),
        left=left,
        revision_id=alias.revision_id,
        record=lambda: ledger.record_promotion(plan),
        is_there=lambda routing: routing.is_handed_over_from(plan.stable, candidate),
    )


def _is_promoted(routing: Routing, plan: Plan, candidate: str) -> bool:
    return routing == Routing.alone(candidate) or routing.is_handed_over_from(plan.stable, candidate)


def _require_unrestored(plan: Plan) -> None:
    """Before success is told without a record: an alarm may have taken the promotion back meanwhile.

    Raises:
        LockLost: somebody restores, or has restored, the stable version.
    """
    lock = None
    with best_effort("read whether it is restored"):
        lock = locks.read(plan.target)
    if lock and lock.execution_arn == plan.execution_arn and lock.restoring:
        raise LockLost(f"the stable version of {plan.target} is being restored: {lock.restoring}")


def _require_provisioned(plan: Plan, candidate: str, routing: Routing) -> None:
    """Promoted is what serves: Lambda hands the traffic over once the candidate's environments are there.

    Raises:
        ProvisioningPending: not yet; ask again.
        ProvisioningFailed: it never will, so the stable version must be made the alias's own again.
    """
    try:
        found = versions.read_provisioning(plan.alias)
    except AwsThrottled as error:
        raise ProvisioningPending(str(error)) from error
    if found is None:
        return
    if found.status == "FAILED":
        raise ProvisioningFailed(f"version {candidate} of {plan.target} cannot be provisioned: {found.reason}")
    if found.status != "READY" or routing != Routing.alone(candidate):
        raise ProvisioningPending(f"version {candidate} of {plan.target} is being provisioned ({found.status})")
