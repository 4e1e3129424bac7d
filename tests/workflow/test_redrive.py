"""Executions that somebody redrives: what has ended moves nothing, and what could not be restored is restored."""

import pytest

from sandbox.aws.boundary import AwsError, caller
from sandbox.aws.stack import client
from sandbox.world import STARTED_AT
from tests.workflow.several import ON_STABLE, STEPS, at, ended, later, split, world_of


@pytest.mark.parametrize(("second", "after"), [(20, 2), (61.6, 45), (80, 2), (121.8, 45)])
def test_a_redriven_execution_changes_nothing_of_a_later_rollout(second, after):
    timeline = [
        at(second, do="stop_execution"),
        at(second + 1.5, do="start_execution"),
        at(second + 1.5 + after, do="redrive"),
    ]
    with world_of({"version": "2", **STEPS}, versions={"2": {}}, timeline=timeline) as world:
        first = world.start()
        world.follow(first)
        world.settle()
        assert world.executions[first].error in {"RolledBack", "Rejected", "Interrupted"}
        assert world.routing == ("2", {})
        assert [routing[1].get("2") for _, routing in world.routings if routing][-4:] == [0.1, 0.5, 1.0, None]


def test_a_redriven_execution_whose_rollout_was_restored_ends_as_that(tell):
    story = tell(STEPS, timeline=[at(80, do="stop_execution"), at(200, do="redrive")])
    assert (story.error, story.alias) == ("RolledBack", ON_STABLE)


@pytest.mark.parametrize(
    ("allowed_at", "ends"),
    [
        (150, ("RolledBack", ("1", {}), ["rolled_back"])),
        (3000, ("RollbackFailed", ("1", {"2": 0.33}), ["rollback_failed"])),
    ],
)
def test_a_redriven_execution_that_could_not_be_restored_is_restored_or_says_so_again(allowed_at, ends):
    """Somebody has changed the weight too, so that the sweeper by itself would not know it as ours."""

    def denied(_params, proceed):
        if caller.get() and caller.get() != "shift_traffic" and world.clock.now() < STARTED_AT + allowed_at:
            raise AwsError("AccessDeniedException", "not authorized", 403)
        return proceed()

    timeline = [at(80, do="stop_execution"), at(149, do="redrive")]
    with world_of(STEPS, timeline=timeline) as world:
        world.boundary.correct("lambda.UpdateAlias", denied)
        later(world, 70, lambda: client("lambda").update_alias(**split("2", 0.33)))
        first = world.start()
        world.follow(first)
        world.clock.run(until=lambda: world.clock.now() > STARTED_AT + 140)
        assert [outcome for outcome, _ in ended(world)] == ["rollback_failed"]
        world.clock.run(until=lambda: world.clock.now() > STARTED_AT + 1500)
        error, routing, outcomes = ends
        assert (world.executions[first].error, world.routing) == (error, routing)
        assert [outcome for outcome, _ in ended(world)] == outcomes


def test_a_redriven_execution_with_the_ledger_silent_writes_nothing():
    timeline = [at(80, do="stop_execution"), at(200, do="redrive")]
    with world_of(STEPS, timeline=timeline) as world:
        first = world.start()
        world.follow(first)
        later(world, 199, lambda: client("dynamodb").delete_table(TableName=world.table_name))
        later(world, 199.5, lambda: client("lambda").update_alias(**split("2", 0.5)))
        world.clock.run(until=lambda: world.clock.now() > STARTED_AT + 400)
        assert world.routing == ("1", {"2": 0.5})
