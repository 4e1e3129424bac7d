"""What is told at the end of a rollout, and how often."""

from dataclasses import replace

import pytest

from sandbox.world import STARTED_AT
from tests import plans
from tidegate.application import finalize
from tidegate.aws import ledger
from tidegate.aws.history import Closing

PLAN = replace(plans.PLAN, started_at=STARTED_AT)
ROLLED_BACK = Closing(PLAN, "2", "rolled_back", "alarm errors is in ALARM")
#: A rollback that fails, and whose lock stays until it does not.
FAILING = replace(ROLLED_BACK, outcome="rollback_failed", keep_lock=True)


@pytest.fixture
def told(inhabit, monkeypatch):
    """`told(closing, …)`: how each close was told, after all of them."""
    world = inhabit()
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "tidegate")
    monkeypatch.setenv("EVENT_BUS_NAME", "default")
    ledger.take_lock(PLAN.target, PLAN.execution_arn, STARTED_AT)
    ledger.record_plan(PLAN)

    def close(*closings):
        for closing in closings:
            finalize.close(closing)
        return [event["detail-type"] for event in world.eventbridge.put if event["source"] == "tidegate"]

    return close


def test_a_rollback_that_goes_on_failing_is_told_once_and_its_end_again(told):
    assert told(FAILING) == ["RollbackFailed"]
    assert told(FAILING, ROLLED_BACK) == ["RollbackFailed", "RolloutRolledBack"]


def test_who_repeats_an_end_tells_it_again(told):
    """Whoever closed it may not have lived to tell."""
    assert told(ROLLED_BACK, ROLLED_BACK) == ["RolloutRolledBack"] * 2


def test_an_end_that_the_books_know_otherwise_is_not_told(told):
    assert told(ROLLED_BACK, replace(ROLLED_BACK, outcome="promoted")) == ["RolloutRolledBack"]
