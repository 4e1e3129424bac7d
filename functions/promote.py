"""Promote: make the candidate the stable version, in one call, and close the rollout."""

from __future__ import annotations

from aws import aliases, ledger
from aws.ledger import Closing
from closing import close
from rollout.decision import Progress
from rollout.errors import LedgerUnavailable, RolloutError
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
    promoted = Routing.alone(candidate)
    if aliases.read(plan.function_name, plan.alias_name).routing != promoted:
        ledger.record_promotion(plan)
        aliases.write(plan.function_name, plan.alias_name, promoted, progress.revision_id)
    verdict = event["progress"]
    try:
        close(Closing(plan, candidate, "promoted", verdict["reason"], proven=bool(verdict["proven"])))
    except RolloutError as error:
        raise LedgerUnavailable(f"{plan.target} is promoted to version {candidate}, but {error}") from error
    return {"outcome": "promoted"}
