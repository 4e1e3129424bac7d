"""Stories that one rollout against one scenario file cannot tell: they live in the world and act in it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import World
from tests.brief import BRIEF

ROOT = Path(__file__).parents[2]
SMALLEST = {"function_name": "checkout", "alias_name": "live"}
LIMIT = {**SMALLEST, "health": {"max_error_percent": 1}}
ON_STABLE = ("1", {})


def start_again(world: World, request: object, name: str = "again") -> Any:
    """Another rollout, after the ones before have settled."""
    started = client("stepfunctions").start_execution(
        stateMachineArn=world.state_machine_arn, name=name, input=json.dumps(request)
    )
    arn = started["executionArn"]
    world.executions[arn] = None
    end = world.follow(arn)
    world.settle()
    return end


def run(world: World) -> Any:
    """The first rollout to its end, and what follows it."""
    end = world.follow(world.start())
    world.settle()
    return end


def after(world: World, seconds: float, action: Callable[[], object]) -> None:
    """Let somebody act so many seconds into the rollout."""
    world.clock.spawn(lambda: action() and None, "somebody", delay=seconds)


def records(world: World) -> list[dict[str, Any]]:
    """Everything in the ledger."""
    return client("dynamodb").scan(TableName=world.table_name)["Items"]


def test_a_version_that_was_convicted_is_refused_unless_forced():
    with World(Scenario.of({"candidate": {"error_rate": 0.5}}), LIMIT) as world:
        assert run(world).error == "RolledBack"
        refused = start_again(world, LIMIT)
        assert refused.error == "Rejected"
        assert "version 2 of checkout failed before" in refused.cause
        assert world.routing == ON_STABLE
        assert start_again(world, {**LIMIT, "force": True}, "forced").error == "RolledBack"


def test_a_version_that_was_merely_stopped_is_no_known_bad_one():
    scenario = Scenario.of({"timeline": [{"at_second": 200, "do": "stop_execution"}]})
    with World(scenario, LIMIT) as world:
        assert run(world).status == "ABORTED"
        assert world.routing == ON_STABLE
        assert start_again(world, BRIEF).status == "SUCCEEDED"
        assert world.routing == ("2", {})


def test_a_version_that_failed_its_smoke_test_is_refused_the_next_time():
    request = {**LIMIT, "smoke_tests": [{"expect": "statusCode == `418`"}]}
    with World(Scenario.of({}), request) as world:
        assert run(world).error == "Rejected"
        assert "failed before" in start_again(world, LIMIT).cause


def test_a_weight_changed_by_hand_between_our_versions_is_restored():
    def meddle() -> None:
        weights = {"AdditionalVersionWeights": {"2": 0.9}}
        client("lambda").update_alias(FunctionName="checkout", Name="live", RoutingConfig=weights)

    with World(Scenario.of({}), LIMIT) as world:
        after(world, 200, meddle)
        end = run(world)
        assert (end.error, world.routing) == ("RolledBack", ON_STABLE)
        assert "somebody else moved it" in end.cause


def test_an_alias_deleted_meanwhile_interrupts():
    with World(Scenario.of({}), LIMIT) as world:
        after(world, 200, lambda: client("lambda").delete_alias(FunctionName="checkout", Name="live"))
        assert run(world).error == "Interrupted"


def test_an_alarm_deleted_meanwhile_is_a_guard_that_is_gone():
    scenario = Scenario.of({"alarms": [{"name": "errors"}]})
    with World(scenario, {**SMALLEST, "alarms": ["errors"]}) as world:
        after(world, 200, lambda: client("cloudwatch").delete_alarms(AlarmNames=["errors"]))
        end = run(world)
        assert (end.error, world.routing) == ("RolledBack", ON_STABLE)
        assert "alarm errors is missing" in end.cause


def test_leftovers_of_a_stop_that_no_guard_heard_of_are_swept():
    unheard = [{"event": "execution", "error": "lost", "times": "always"}]
    stopped = [{"at_second": 200, "do": "stop_execution"}]
    with World(Scenario.of({"timeline": stopped, "faults": unheard}), LIMIT) as world:
        assert run(world).status == "ABORTED"
        assert world.routing == ("1", {})
        assert start_again(world, BRIEF).status == "SUCCEEDED"
        assert world.routing == ("2", {})
        kept = [item for item in records(world) if item["record"]["S"].startswith("history#")]
        assert sorted(item["outcome"]["S"] for item in kept) == ["promoted", "rolled_back"]
        assert not [item for item in records(world) if item["record"]["S"] == "lock"]


def test_no_environment_variable_and_no_smoke_test_payload_leaves_its_place():
    request = {**LIMIT, "smoke_tests": [{"payload": {"token": "of-the-payload"}, "expect": "statusCode == `418`"}]}
    with World(Scenario.of({}), request) as world:
        variables = {"Variables": {"DB_PASSWORD": "of-the-environment"}}
        client("lambda").update_function_configuration(FunctionName="checkout", Environment=variables)
        end = run(world)
        arn = next(iter(world.executions))
        events = client("stepfunctions").get_execution_history(executionArn=arn, maxResults=1000)["events"]
        kept = json.dumps(records(world)) + "".join(world.runtime.logs) + str(end.cause)
    assert end.error == "Rejected"
    assert "of-the-environment" not in json.dumps(events, default=str) + kept
    # The payload stands in the execution's own input, and in what VerifyCandidate is given; no handler repeats it.
    said = [event for event in events if {"taskSucceededEventDetails", "taskFailedEventDetails"} & set(event)]
    assert said
    assert "of-the-payload" not in json.dumps(said, default=str) + kept


def test_every_log_line_of_a_rollout_says_whose_it_is():
    with World(Scenario.of({}), LIMIT) as world:
        run(world)
        lines = [json.loads(line) for line in world.runtime.logs]
        arn = next(iter(world.executions))
    logs = [line for line in lines if "level" in line]
    metrics = [line for line in lines if "_aws" in line]
    assert logs
    assert all(line["execution"] == arn and line["function"] == "checkout" and line["alias"] == "live" for line in logs)
    assert [line["outcome"] for line in metrics if "Rollouts" in line] == ["promoted"]


def test_the_history_keeps_plan_and_verdicts_with_their_numbers():
    with World(Scenario.of({"candidate": {"error_rate": 0.5}}), LIMIT) as world:
        run(world)
        (item,) = [item for item in records(world) if item["record"]["S"].startswith("history#")]
    document = json.loads(item["document"]["S"])
    assert document["plan"]["steps"][0] == {"weight_percent": 10, "bake_seconds": 300, "approval": None}
    verdict = document["verdicts"][-1]
    assert (verdict["action"], verdict["candidate"]["requests"] > 0) == ("roll_back", True)
    (check,) = [check for check in verdict["checks"] if check["name"] == "errors"]
    assert (check["name"], check["limit"], check["finding"]) == ("errors", 1, "harmful")
    assert check["value"] > 10
    assert int(item["expires_at"]["N"]) > 0


@pytest.fixture
def altered(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """`altered(change)`: a template like ours whose state machine was changed, as a path."""

    def alter(change: Callable[[dict[str, Any]], None]) -> Path:
        machine = json.loads((ROOT / "statemachine/rollout.asl.json").read_text())
        change(machine)
        (tmp_path / "statemachine").mkdir()
        (tmp_path / "statemachine/rollout.asl.json").write_text(json.dumps(machine))
        (tmp_path / "functions").symlink_to(ROOT / "functions")
        return Path(shutil.copy(ROOT / "template.yaml", tmp_path))

    return alter


def test_an_execution_that_times_out_is_restored(altered):
    template = altered(lambda machine: machine.update(TimeoutSeconds=200))
    with World(Scenario.of({}), LIMIT, template=template) as world:
        assert run(world).status == "TIMED_OUT"
        assert world.routing == ON_STABLE
        assert not [item for item in records(world) if item["record"]["S"] == "lock"]


def test_a_failure_that_no_catch_sees_is_restored(altered):
    def break_the_wait(machine: dict[str, Any]) -> None:
        machine["States"]["Bake"]["Seconds"] = "{% $progress.no_such_key %}"

    with World(Scenario.of({}), LIMIT, template=altered(break_the_wait)) as world:
        end = run(world)
        assert end.status == "FAILED"
        assert end.error.startswith("States.")
        assert world.routing == ON_STABLE
        assert not [item for item in records(world) if item["record"]["S"] == "lock"]


def history_of(world: World) -> list[str]:
    """The outcomes of all finished rollouts, in order of their start."""
    kept = [item for item in records(world) if item["record"]["S"].startswith("history#")]
    return [item["outcome"]["S"] for item in sorted(kept, key=lambda item: item["record"]["S"])]


def test_a_promotion_whose_books_stayed_open_is_never_taken_back():
    dead = [{"call": "dynamodb.TransactWriteItems", "error": "InternalServerError", "times": 40}]
    with World(Scenario.of({"faults": dead}), LIMIT) as world:
        assert run(world).status == "SUCCEEDED"
        assert world.routing == ("2", {})
        again = start_again(world, LIMIT)
        assert (again.status, world.routing) == ("SUCCEEDED", ("2", {}))
        assert json.loads(again.output)["outcome"] == "unchanged"
        assert history_of(world) == ["promoted", "unchanged"]


def test_books_that_a_success_left_open_are_closed_when_it_is_reported():
    stumbling = [{"call": "dynamodb.TransactWriteItems", "error": "InternalServerError", "times": 16}]
    with World(Scenario.of({"faults": stumbling}), LIMIT) as world:
        assert run(world).status == "SUCCEEDED"
        assert history_of(world) == ["promoted"]
        assert not [item for item in records(world) if item["record"]["S"] == "lock"]
        assert [event["detail-type"] for event in world.eventbridge.put][-1] == "RolloutPromoted"


@pytest.mark.parametrize("second", [1, 1.5, 2, 5, 12])
def test_stop_while_the_first_shift_is_on_its_way_leaves_nothing_split(second):
    """Throttled before it records itself, the shift goes on after the guard has looked."""
    throttled = [{"call": "dynamodb.UpdateItem", "error": "ThrottlingException", "skip": 2, "times": 3}]
    held = [{"call": "lambda.UpdateAlias", "error": "held", "seconds": 10}]
    for faults in (throttled, held, throttled + held):
        timeline = [{"at_second": second, "do": "stop_execution"}]
        with World(Scenario.of({"timeline": timeline, "faults": faults}), LIMIT) as world:
            assert run(world).status == "ABORTED"
            assert world.routing == ON_STABLE
            assert not [item for item in records(world) if item["record"]["S"] == "lock"]
            if faults == throttled + held:
                assert start_again(world, BRIEF).status == "SUCCEEDED"


def test_a_lock_that_is_taken_late_forgets_nothing():
    """A planning handler that timed out goes on: its write may land in the middle of the rollout."""
    late = [{"call": "dynamodb.UpdateItem", "error": "held", "seconds": 100}]
    stopped = [{"at_second": 220, "do": "stop_execution"}]
    with World(Scenario.of({"timeline": stopped, "faults": late}), LIMIT) as world:
        assert run(world).status == "ABORTED"
        assert world.routing == ON_STABLE
        assert history_of(world) == ["rolled_back"]


def test_a_refusal_is_kept_once_although_planning_crashed_after_keeping_it():
    crash = [{"call": "dynamodb.TransactWriteItems", "error": "crash_after"}]
    with World(Scenario.of({"faults": crash}), {**SMALLEST, "alarms": ["typo"]}) as world:
        assert run(world).error == "Rejected"
        assert history_of(world) == ["rejected"]
        assert not [item for item in records(world) if item["record"]["S"] == "lock"]


def test_a_lock_that_vanished_does_not_keep_the_alias_split():
    def vanish() -> None:
        key = {"target": {"S": "checkout:live"}, "record": {"S": "lock"}}
        client("dynamodb").delete_item(TableName=world.table_name, Key=key)

    with World(Scenario.of({}), LIMIT) as world:
        after(world, 200, vanish)
        assert run(world).error == "RolledBack"
        assert world.routing == ON_STABLE


def test_a_restored_alias_is_reported_restored_although_books_and_events_hang():
    hang = [
        {"call": name, "error": "lost_response", "skip": skip, "times": "always"}
        for name, skip in (("dynamodb.TransactWriteItems", 0), ("events.PutEvents", 2))
    ]
    with World(Scenario.of({"candidate": {"error_rate": 0.5}, "faults": hang}), LIMIT) as world:
        end = run(world)
        assert (end.error, world.routing) == ("RolledBack", ON_STABLE)
        assert end.at - world.clock.now() < 600


#: Each with the minute in which it gives the candidate everything.
PRESETS = {"Canary10Percent5Minutes": 5, "Linear50PercentEvery2Minutes": 2, "AllAtOnce": 0}


@pytest.mark.parametrize("strategy", PRESETS)
def test_a_preset_watches_its_last_weight_before_it_promotes(strategy):
    fails_with_everything = {"error_rate_by_minute": [0] * PRESETS[strategy] + [1]}
    with World(Scenario.of({"candidate": fails_with_everything}), {**LIMIT, "strategy": strategy}) as world:
        assert run(world).error == "RolledBack"
        assert world.routing == ON_STABLE
    with World(Scenario.of({}), {**LIMIT, "strategy": strategy}, seed=1) as world:
        output = json.loads(run(world).output)
        assert (output["outcome"], output["proven"]) == ("promoted", True)


def test_an_alarm_that_fires_before_any_traffic_rejects_and_convicts_nobody():
    scenario = Scenario.of(
        {
            "candidate": {"state": "Pending", "active_after_seconds": 120},
            "alarms": [{"name": "errors", "treat_missing_data": "ignore"}],
            "requests_per_minute": 0,
            "timeline": [{"at_second": 60, "do": "set_alarm", "name": "errors", "state": "ALARM"}],
        }
    )
    with World(scenario, {**SMALLEST, "alarms": ["errors"]}) as world:
        end = run(world)
        assert end.error == "Rejected"
        assert "alarm errors is in ALARM" in end.cause
        assert not [item for item in records(world) if item["record"]["S"].startswith("bad#")]


def test_an_ignored_alarm_that_lost_its_data_and_fires_again_has_not_been_ok():
    again = [
        {"at_second": 200, "do": "set_alarm", "name": "errors", "state": "INSUFFICIENT_DATA"},
        {"at_second": 210, "do": "set_alarm", "name": "errors", "state": "ALARM"},
    ]
    alarm = {"name": "errors", "state": "ALARM", "metric": "Throttles", "treat_missing_data": "ignore"}
    request = {**LIMIT, "alarms": [{"name": "errors", "if_already_firing": "ignore_until_ok"}]}
    with World(Scenario.of({"alarms": [alarm], "timeline": again}), request) as world:
        assert run(world).status == "SUCCEEDED"


def test_a_verdict_to_roll_back_does_not_wait_for_the_books():
    dead = [{"call": "dynamodb.UpdateItem", "error": "InternalServerError", "skip": 5, "times": 4}]
    with World(Scenario.of({"candidate": {"error_rate": 0.5}, "faults": dead}), LIMIT) as world:
        end = run(world)
        assert (end.error, world.routing) == ("RolledBack", ON_STABLE)
        assert "requests are errors" in end.cause
        assert "failed before" in start_again(world, LIMIT).cause


def test_a_refusal_is_kept_and_told():
    with World(Scenario.of({"alias": {"weights": {"7": 0.2}}}), LIMIT) as world:
        assert run(world).error == "Rejected"
        assert history_of(world) == ["rejected"]
        assert not [item for item in records(world) if item["record"]["S"] == "lock"]
        (event,) = world.eventbridge.put
        told = json.loads(event["detail"]) if isinstance(event["detail"], str) else event["detail"]
        assert (event["detail-type"], told["function_name"], told["outcome"]) == (
            "RolloutRejected",
            "checkout",
            "rejected",
        )


def test_the_version_that_another_alias_points_to_is_adopted():
    request = {**LIMIT, "version": {"from_alias": "dev"}}
    with World(Scenario.of({}), request) as world:
        published = client("lambda").publish_version(FunctionName="checkout")["Version"]
        client("lambda").create_alias(FunctionName="checkout", Name="dev", FunctionVersion=published)
        assert run(world).status == "SUCCEEDED"
        assert world.routing == (published, {})
