"""Forward moves: what somebody else's write, that moves nothing, may let through."""

from dataclasses import replace

import pytest

from sandbox.world import STARTED_AT
from tests import plans
from tidegate.alias import Alias
from tidegate.application.forward import move
from tidegate.aws import aliases, ledger
from tidegate.errors import LockLost
from tidegate.routing import Routing

LIVE = Alias("checkout", "live")

PLAN = replace(plans.PLAN, started_at=STARTED_AT)
STABLE, TEN = Routing.alone("1"), Routing.split("1", "2", 10)


@pytest.fixture
def shift(inhabit, somebody):
    """A move to 10 % that meets a description: the alias is as the rollout left it, at another revision."""
    world = inhabit(versions={"2": {}})
    ledger.take_lock(PLAN.target, PLAN.execution_arn, STARTED_AT)
    ledger.record_plan(PLAN)
    known = aliases.read(LIVE).revision_id
    somebody("lambda.update_alias", FunctionName="checkout", Name="live", Description="build 7")

    def record():
        return ledger.record_shift(PLAN, 0, 10.0)

    return world, lambda: move(PLAN, TEN, left=STABLE, revision_id=known, record=record)


def test_a_description_keeps_no_weight_away(shift):
    world, act = shift
    assert act().routing == TEN
    assert world.routing == ("1", {"2": 0.1})


def test_behind_a_description_no_weight_is_set_once_somebody_restores(shift):
    """He may have restored before this rollout has read the alias, so that its revision alone stops nothing."""
    world, act = shift
    ledger.record_intent(PLAN.target, PLAN.execution_arn, "alarm errors is in ALARM")
    with pytest.raises(LockLost):
        act()
    assert world.routing == ("1", {})
