"""What is told at the end of a rollout, and how often."""

from dataclasses import replace

import pytest

from sandbox.world import STARTED_AT
from tests import plans
from tidegate.application.finalize import finalize as close
from tidegate.aws import ledger
from tidegate.ending.outcome import Ending, Outcome
from tidegate.ending.snapshot import RolloutSnapshot

PLAN = replace(plans.PLAN, started_at=STARTED_AT)
SNAPSHOT = RolloutSnapshot(PLAN, "2")
ROLLED_BACK = Ending(Outcome.ROLLED_BACK, "alarm errors is in ALARM")
#: A rollback that fails, and whose lock stays until it does not.
FAILING = replace(ROLLED_BACK, outcome=Outcome.ROLLBACK_FAILED)


@pytest.fixture
def told(inhabit, monkeypatch):
    """`told(ending, …)`: how each end was told, after all of them."""
    world = inhabit()
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "tidegate")
    monkeypatch.setenv("EVENT_BUS_NAME", "default")
    ledger.take_lock(PLAN.target, PLAN.execution_arn, STARTED_AT)
    ledger.record_plan(PLAN)

    def finalize(*endings):
        for ending in endings:
            close(SNAPSHOT, ending)
        return [event["detail-type"] for event in world.eventbridge.put if event["source"] == "tidegate"]

    return finalize


def test_a_rollback_that_goes_on_failing_is_told_once_and_its_end_again(told):
    assert told(FAILING) == ["RollbackFailed"]
    assert told(FAILING, ROLLED_BACK) == ["RollbackFailed", "RolloutRolledBack"]


def test_who_repeats_an_end_tells_it_again(told):
    """Whoever recorded it may not have lived to tell."""
    assert told(ROLLED_BACK, ROLLED_BACK) == ["RolloutRolledBack"] * 2


def test_an_end_that_is_recorded_otherwise_is_not_told(told):
    assert told(ROLLED_BACK, replace(ROLLED_BACK, outcome=Outcome.PROMOTED)) == ["RolloutRolledBack"]
