"""Promote: make the candidate the stable version, in one call, and close the rollout."""

from __future__ import annotations

from aws import aliases, ledger, versions
from aws.history import Closing
from closing import close
from rollout.decision import Progress
from rollout.errors import LedgerUnavailable, LockLost, ProvisioningFailed, ProvisioningPending, RolloutError
from rollout.plan import Plan
from rollout.routing import Routing
from telemetry import Document, task


@task("Promote")
def handler(event: Document) -> Document:
    """Event: `plan`, `stable`, `candidate` and `progress`. Result: `outcome`.

    Once the alias is written and this has said so, books that cannot be closed do not undo it. A handler that never
    gets as far as saying so leaves a doubt, and doubt ends on the stable version.
    """
    plan, candidate = Plan.from_json(event["plan"]), str(event["candidate"])
    progress = Progress.from_json(event["progress"])
    alias = aliases.read(plan.function_name, plan.alias_name)
    if not _is_promoted(alias.routing, plan, candidate):
        ledger.record_promotion(plan)
        alias = aliases.promote(plan.function_name, plan.alias_name, plan.stable, candidate, progress.revision_id)
    if plan.provisioned:
        _require_provisioned(plan, candidate, alias.routing)
    verdict = event["progress"]
    try:
        closed = close(Closing(plan, candidate, "promoted", verdict["reason"], proven=bool(verdict["proven"])))
    except LockLost:
        raise
    except RolloutError as error:
        raise LedgerUnavailable(f"{plan.target} is promoted to version {candidate}, but {error}") from error
    if not closed:
        raise LockLost(f"the rollout of {plan.target} was closed by somebody else, who restored its stable version")
    return {"outcome": "promoted"}


def _is_promoted(routing: Routing, plan: Plan, candidate: str) -> bool:
    return routing == Routing.alone(candidate) or routing.is_handed_over_from(plan.stable, candidate)


def _require_provisioned(plan: Plan, candidate: str, routing: Routing) -> None:
    """Promoted is what serves: Lambda hands the traffic over once the candidate's environments are there.

    Raises:
        ProvisioningPending: not yet; ask again.
        ProvisioningFailed: it never will, so the stable version must be made the alias's own again.
    """
    found = versions.read_provisioning(plan.function_name, plan.alias_name)
    if found is None:
        return
    if found.status == "FAILED":
        raise ProvisioningFailed(f"version {candidate} of {plan.target} cannot be provisioned: {found.reason}")
    if found.status != "READY" or routing != Routing.alone(candidate):
        raise ProvisioningPending(f"version {candidate} of {plan.target} is being provisioned ({found.status})")
