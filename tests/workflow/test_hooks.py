"""The user's own functions: asked when, told what, and what becomes of each answer."""

import json

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import STARTED_AT, World
from tests.brief import BRIEF, THREE_MINUTES

SMALLEST = {"function_name": "checkout", "alias_name": "live"}
ON_STABLE = ("1", {})
ON_CANDIDATE = ("2", {})
YES = {"status": "Succeeded"}
MOMENTS = ("before_traffic", "each_step", "after_traffic")
#: How a rollout ends that fails at that moment, and how many weights were set until then.
ENDS = {"before_traffic": ("Rejected", 0), "each_step": ("RolledBack", 1), "after_traffic": ("RolledBack", 3)}


def asking(*moments, **scenario):
    """A world in which `check` is asked at those moments."""
    hooks = {moment: {"function_name": "check", "timeout_seconds": 20} for moment in moments}
    return World(Scenario.of(scenario), {**THREE_MINUTES, "hooks": hooks})


def run(world):
    end = world.follow(world.start())
    world.settle()
    return end


def shifts(world):
    """The weights that were set, in order."""
    return [weights["2"] for _, (_, weights) in world.routings if weights]


def documents(world):
    return [told.document for told in world.hooked.told]


def test_each_hook_is_told_of_its_moment_and_of_both_versions():
    with asking(*MOMENTS, functions=[{"name": "check", "answer": YES}]) as world:
        assert run(world).status == "SUCCEEDED"
        assert world.routing == ON_CANDIDATE
        arn = next(iter(world.executions))
        told = documents(world)
    assert [(one["hook"], one["step"], one["weight_percent"]) for one in told] == [
        ("before_traffic", None, 0),
        ("each_step", 0, 10),
        ("each_step", 1, 50),
        ("each_step", 2, 100),
        ("after_traffic", 2, 100),
    ]
    for document in told:
        about = {key: value for key, value in document.items() if key not in ("hook", "step", "weight_percent")}
        assert about == {
            "function_name": "checkout",
            "alias_name": "live",
            "stable_version": "1",
            "candidate_version": "2",
            "steps": 3,
            "rollout_id": "story-1",
            "execution_arn": arn,
        }


def test_a_rollout_that_names_no_hook_asks_nobody():
    with asking(functions=[{"name": "check", "answer": YES}]) as world:
        assert run(world).status == "SUCCEEDED"
        assert world.hooked.told == []
        assert "RunHook" not in json.dumps(history(world))


def history(world):
    arn = next(iter(world.executions))
    events = client("stepfunctions").get_execution_history(executionArn=arn, maxResults=1000)["events"]
    return [event["stateEnteredEventDetails"]["name"] for event in events if event["type"].endswith("StateEntered")]


def test_a_hook_at_each_step_is_asked_as_soon_as_the_weight_is_set_and_takes_nothing_from_the_bake():
    with asking("each_step", functions=[{"name": "check", "answer": YES, "duration_ms": 15_000}]) as world:
        end = run(world)
        set_at = [at for at, (_, weights) in world.routings if weights]
        asked_at = [told.at for told in world.hooked.told]
    assert all(0 < asked - weight < 2 for weight, asked in zip(set_at, asked_at, strict=True))
    assert 3 * 60 + 120 <= end.at - STARTED_AT < 3 * 60 + 200


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"answer": {"status": "Failed", "reason": "the till is open"}}, "says no: the till is open"),
        ({"answer": YES, "duration_ms": 600_000}, "did not answer within 20 s"),
    ],
    ids=["no", "never"],
)
def test_a_hook_that_fails_ends_on_the_stable_version_at_every_moment(moment, answers, says):
    error, weights = ENDS[moment]
    with asking(moment, functions=[{"name": "check", **answers}]) as world:
        end = run(world)
        assert (end.error, world.routing) == (error, ON_STABLE)
        assert end.cause == f"HookFailed: hook check ({moment}) {says}"
        assert (len(shifts(world)), len(world.hooked.told)) == (weights, 1)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"answer": {"status": "Failed"}}, "says no: it gives no reason"),
        ({"error": "no such table"}, 'failed with Unhandled: {"errorMessage": "no such table"'),
        ({"answer": None}, "answered null, where"),
        ({"answer": "maybe"}, 'answered "maybe", where'),
        ({"answer": {"status": "Succeeded?"}}, "is expected"),
        ({"answer": {**YES, "rows": "x" * 300_000}}, "is expected"),
        ({"answer": YES, "duration_ms": 22_000}, "did not answer within 20 s"),
    ],
    ids=["no without a reason", "error", "nothing", "text", "another word", "300 kB", "late"],
)
def test_whatever_is_no_yes_in_time_fails_and_is_asked_once(answers, says):
    with asking("before_traffic", functions=[{"name": "check", **answers}]) as world:
        end = run(world)
        assert (end.error, world.routing) == ("Rejected", ON_STABLE)
        assert "HookFailed: hook check (before_traffic) " in end.cause
        assert says in end.cause
        assert len(end.cause) < 500
        assert (shifts(world), len(world.hooked.told)) == ([], 1)


def test_a_hook_may_change_its_mind_at_a_later_step():
    functions = [{"name": "check", "answers": [YES, {"status": "Failed", "reason": "half is enough"}]}]
    with asking("each_step", functions=functions) as world:
        end = run(world)
        assert (end.error, world.routing) == ("RolledBack", ON_STABLE)
        assert "half is enough" in end.cause
        assert shifts(world) == [0.1, 0.5]


def test_a_weight_that_was_not_set_is_nothing_to_ask_about():
    """The first weight waits for an approval that nobody gives."""
    steps = [
        {"weight": 50, "bake_seconds": 60, "approval": {"timeout_seconds": 180}},
        {"weight": 100, "bake_seconds": 0},
    ]
    scenario = Scenario.of({"functions": [{"name": "check", "answer": YES}]})
    with World(scenario, {**SMALLEST, "steps": steps, "hooks": {"each_step": "check"}}) as world:
        end = run(world)
        assert "nobody approved 50 %" in end.cause
        assert (world.routing, world.hooked.told) == (ON_STABLE, [])


def test_a_hook_that_says_no_convicts_no_version():
    functions = [{"name": "check", "answers": [{"status": "Failed", "reason": "not on Fridays"}, YES]}]
    with asking("before_traffic", functions=functions) as world:
        assert run(world).error == "Rejected"
        started = client("stepfunctions").start_execution(
            stateMachineArn=world.state_machine_arn, name="monday", input=json.dumps(world.request)
        )
        world.executions[started["executionArn"]] = None
        assert world.follow(started["executionArn"]).status == "SUCCEEDED"


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("error", ["TooManyRequestsException", "ServiceException", "ConnectTimeoutError"])
def test_a_hook_that_could_not_be_invoked_is_asked_again(moment, error):
    faults = [{"call": "lambda.Invoke", "error": error, "times": 2}]
    with asking(moment, functions=[{"name": "check", "answer": YES}], faults=faults) as world:
        assert run(world).status == "SUCCEEDED"
        assert world.routing == ON_CANDIDATE
        assert len(world.hooked.told) == (3 if moment == "each_step" else 1)


@pytest.mark.parametrize("error", ["lost_response", "ConnectionClosedError"])
def test_a_hook_that_may_have_run_is_not_run_again(error):
    faults = [{"call": "lambda.Invoke", "error": error}]
    with asking("each_step", functions=[{"name": "check", "answer": YES}], faults=faults) as world:
        end = run(world)
        assert (end.error, world.routing) == ("RolledBack", ON_STABLE)
        assert "HookFailed" in end.cause
        assert len(world.hooked.told) <= 1


def test_a_hook_that_stays_throttled_ends_on_the_stable_version():
    faults = [{"call": "lambda.Invoke", "error": "TooManyRequestsException", "times": "always"}]
    with asking("each_step", functions=[{"name": "check", "answer": YES}], faults=faults) as world:
        end = run(world)
        assert (end.error, world.routing) == ("RolledBack", ON_STABLE)
        assert "could not invoke check: TooManyRequestsException" in end.cause


def test_every_hook_that_is_missing_is_named_before_anything_moves():
    hooks = {"before_traffic": "check", "each_step": "chekc", "after_traffic": "check:live"}
    with World(Scenario.of({"functions": [{"name": "check"}]}), {**SMALLEST, "hooks": hooks}) as world:
        end = run(world)
    assert end.error == "Rejected"
    assert end.cause == (
        "hook chekc does not exist in this account and region; hook check:live does not exist in this account and"
        " region: correct the names, or deploy the functions"
    )


def test_a_hook_that_the_stack_was_not_deployed_for_is_refused_with_the_parameters_name():
    with World(Scenario.of({}), {**SMALLEST, "hooks": {"each_step": "check"}}) as world:
        end = run(world)
    assert end.error == "Rejected"
    assert "hook check is not among the functions that HookFunctionNamePattern of Tidegate's stack allows" in end.cause


@pytest.mark.parametrize("name", ["check:1", "check:$LATEST", "arn:aws:lambda:us-east-1:123456789012:function:check:1"])
def test_a_hook_may_be_named_by_version_or_arn(name):
    scenario = Scenario.of({"functions": [{"name": "check", "answer": YES}]})
    with World(scenario, {**BRIEF, "hooks": dict.fromkeys(MOMENTS, name)}) as world:
        assert run(world).status == "SUCCEEDED"
        assert {told.qualifier for told in world.hooked.told} == {name.rpartition(":")[2]}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("heard", [True, False], ids=["heard", "unheard"])
def test_stop_while_a_hook_runs_ends_on_the_stable_version(moment, heard):
    """The hook takes 15 seconds; the handler that asks it goes on when the execution has stopped."""
    second = {"before_traffic": 8, "each_step": 8, "after_traffic": 370}[moment]
    with asking(
        moment,
        functions=[{"name": "check", "answer": YES, "duration_ms": 15_000}],
        timeline=[{"at_second": second, "do": "stop_execution"}],
        faults=[] if heard else [{"event": "execution", "error": "lost", "times": "always"}],
    ) as world:
        assert run(world).status == "ABORTED"
        assert len(world.hooked.told) == 1
        assert 0 < STARTED_AT + second - world.hooked.told[0].at < 15
        assert world.routing == ON_STABLE


def test_an_alarm_while_a_hook_runs_restores_at_once():
    alarm = {"name": "errors", "threshold": 1_000_000, "treat_missing_data": "ignore"}
    fires = {"at_second": 10, "do": "set_alarm", "name": "errors", "state": "ALARM"}
    functions = [{"name": "check", "answer": YES, "duration_ms": 15_000}]
    hooks = {"each_step": "check"}
    scenario = Scenario.of({"functions": functions, "alarms": [alarm], "timeline": [fires]})
    with World(scenario, {**SMALLEST, "alarms": ["errors"], "hooks": hooks}) as world:
        end = run(world)
        assert (end.error, world.routing) == ("RolledBack", ON_STABLE)
        assert "alarm errors is in ALARM" in end.cause
        assert [at - STARTED_AT for at, routing in world.routings if routing == ON_STABLE][-1] < 15


def test_a_step_whose_hook_crashed_ends_on_the_stable_version():
    faults = [{"handler": "run_hook", "error": "crash"}]
    with asking("each_step", functions=[{"name": "check", "answer": YES}], faults=faults) as world:
        end = run(world)
        assert (end.error, world.routing) == ("RolledBack", ON_STABLE)
        assert len(world.hooked.told) == 0


# A person's word, and the last hook's.

FIVE_MINUTES_AT_100 = {"steps": [{"weight": 100, "bake_seconds": 300}]}
AN_HOUR_EACH = {"steps": [{"weight": 10, "bake_seconds": 3600}, {"weight": 100, "bake_seconds": 3600}]}


def last_asked(request, *timeline, **scenario):
    """A world in which `check` has the last word before the promotion, and says yes."""
    hooks = {"after_traffic": {"function_name": "check", "timeout_seconds": 200}}
    function = {"name": "check", "answer": YES, **scenario}
    return World(Scenario.of({"functions": [function], "timeline": timeline}), {**SMALLEST, **request, "hooks": hooks})


def say(second, command):
    return {"at_second": second, "do": "command", "command": command}


@pytest.mark.parametrize("gated", [{}, {"approval": {"timeout_seconds": 3600}}])
def test_to_finish_is_to_promote_once_the_last_hook_has_said_yes(gated):
    first, last = AN_HOUR_EACH["steps"]
    with last_asked({"steps": [first, {**last, **gated}]}, say(600, "finish")) as world:
        end = run(world)
        assert (end.status, world.routing, shifts(world)) == ("SUCCEEDED", ON_CANDIDATE, [0.1])
        assert "finished by" in json.loads(last_record(world)["document"]["S"])["cause"]
        assert end.at - STARTED_AT < 600 + 62


def test_a_pause_after_the_last_hooks_yes_has_it_asked_again():
    with last_asked(FIVE_MINUTES_AT_100, say(545, "pause"), say(2_000, "resume"), duration_ms=100_000) as world:
        assert run(world).status == "SUCCEEDED"
        asked_at = [told.at - STARTED_AT for told in world.hooked.told]
    assert len(asked_at) == 2
    assert asked_at[0] < 545
    assert asked_at[1] > 2_000


def last_record(world):
    records = client("dynamodb").scan(TableName=world.table_name)["Items"]
    return next(record for record in records if record["record"]["S"].startswith("history#"))
