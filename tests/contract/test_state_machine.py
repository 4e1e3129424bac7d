"""The state machine's contract: its rules, its names, its errors, its ends."""

import ast
import copy
import re
from pathlib import Path

import pytest

from tests.contract import asl_rules
from tests.contract.artifacts import FUNCTIONS, MACHINE, RESOURCES, ROOT
from tidegate import errors
from tidegate.ending.outcome import Outcome
from tidegate.planning.pace import FIXED_EVENTS, MAX_LATE_MOVES, PROVISIONING_SECONDS

STATES = MACHINE["States"]
TASKS = dict(asl_rules.tasks(MACHINE))


@pytest.mark.parametrize("rule", asl_rules.RULES, ids=lambda rule: rule.__name__)
def test_the_state_machine_keeps(rule):
    assert rule(MACHINE) == []


def without_default(machine):
    del machine["States"]["Verdict?"]["Default"]


def states_all_first(machine):
    machine["States"]["Promote"]["Catch"].reverse()


def another_action(machine):
    machine["States"]["Promote"]["Resource"] = "arn:aws:states:::lambda:invokee"


def unassigned(machine):
    del machine["States"]["PlanRollout"]["Assign"]["promoting"]


def computing_catch(machine):
    machine["States"]["Promote"]["Catch"][0]["Assign"]["failure"] = "{% $parse($states.errorOutput.Cause) %}"


def no_timeout(machine):
    del machine["States"]["RollBack"]["TimeoutSeconds"]


def broken_expression(machine):
    machine["States"]["Bake"]["Seconds"] = "{% $decision.wait_seconds + %}"


def dangling(machine):
    machine["States"]["Bake"]["Next"] = "CheckHelth"


@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        (without_default, asl_rules.a_choice_without_default),
        (states_all_first, asl_rules.states_all_not_alone_and_last),
        (another_action, asl_rules.an_unknown_action),
        (unassigned, asl_rules.an_undefined_variable),
        (computing_catch, asl_rules.a_catch_that_computes),
        (no_timeout, asl_rules.a_task_without_limits),
        (broken_expression, asl_rules.an_expression_that_does_not_parse),
        (dangling, asl_rules.an_unreachable_or_missing_state),
    ],
    ids=lambda part: part.__name__,
)
def test_a_planted_defect_is_found(plant, rule):
    machine = copy.deepcopy(MACHINE)
    plant(machine)
    assert rule(machine)


def snake(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


@pytest.mark.parametrize("name", TASKS)
def test_one_verb_has_five_spellings(name):
    module = snake(name)
    assert TASKS[name]["Arguments"]["FunctionName"] == f"${{{name}FunctionArn}}"
    assert FUNCTIONS[f"{name}Function"]["Handler"] == f"{module}.handler"
    substitutions = RESOURCES["RolloutStateMachine"]["Properties"]["DefinitionSubstitutions"]
    assert substitutions[f"{name}FunctionArn"] == {"Ref": f"{name}Function.Version"}
    assert (ROOT / f"functions/{module}.py").read_text().startswith(f'"""{name}: ')
    assert (ROOT / f"events/{module}.json").exists()
    assert FUNCTIONS[f"{name}Function"]["Description"].startswith(f"{name}: ")


def test_every_handler_is_a_function_of_the_template_and_every_function_a_handler():
    handlers = {path.stem for path in (ROOT / "functions").glob("*.py") if "\ndef handler(" in path.read_text()}
    assert {properties["Handler"].removesuffix(".handler") for properties in FUNCTIONS.values()} == handlers


@pytest.mark.parametrize("name", TASKS)
def test_a_task_waits_longer_than_its_function_may_run(name):
    assert TASKS[name]["TimeoutSeconds"] > FUNCTIONS[f"{name}Function"]["Timeout"]


@pytest.mark.parametrize("name", ["ShiftTraffic", "RunHook", "CheckHealth", "Promote", "RollBack"])
def test_once_traffic_may_move_the_history_says_what_to_restore(name):
    assert {"plan", "stable", "candidate", "progress", "decision"} <= set(TASKS[name]["Arguments"]["Payload"])


def test_a_failure_is_what_a_catch_was_given_and_nothing_else():
    assigned = [value for name, value in assignments(MACHINE) if name == "failure"]
    assert set(assigned) == {None, "{% $states.errorOutput %}"}


def assignments(node):
    """Every variable that is assigned below a node, and its value."""
    if isinstance(node, dict):
        yield from node.get("Assign", {}).items()
        yield from (found for value in node.values() for found in assignments(value))
    elif isinstance(node, list):
        yield from (found for value in node for found in assignments(value))


def test_only_the_good_ends_succeed():
    ends = {name: state["Type"] for name, state in STATES.items() if state["Type"] in ("Succeed", "Fail")}
    assert {name for name, kind in ends.items() if kind == "Succeed"} == {"Promoted", "Unchanged"}
    assert {name: STATES[name]["Error"] for name, kind in ends.items() if kind == "Fail"} == {
        name: name for name in ("Rejected", "RolledBack", "Interrupted", "RollbackFailed")
    }
    for name in ("Promoted", "Unchanged"):
        assert set(STATES[name]["Output"]) == {"outcome", "from_version", "to_version", "proven", "proven_by"}


def test_every_end_is_an_outcome_and_says_so():
    ends = {name: state for name, state in STATES.items() if state["Type"] in ("Succeed", "Fail")}
    told = {state["Error"] if state["Type"] == "Fail" else state["Output"]["outcome"] for state in ends.values()}
    assert told == {outcome.error or outcome for outcome in Outcome if outcome.event}
    routed = {choice["Condition"].split("'")[1]: choice["Next"] for choice in STATES["HowItEnded?"]["Choices"]}
    for said, name in routed.items():
        assert ends[name].get("Error", ends[name].get("Output", {}).get("outcome")) in {Outcome(said).error, said}
    assert set(routed) == {outcome for outcome in Outcome if outcome.is_clean}


def test_before_the_plan_a_failure_rejects_and_after_it_rolls_back():
    for name, task in TASKS.items():
        expected = {"PlanRollout": "Rejected", "RollBack": "RollbackFailed"}.get(name, "RollBack")
        assert task["Catch"][-1]["Next"] == expected


#: Branches of the tree, of which nobody raises the name.
BRANCHES = {errors.RolloutError, errors.Rejected, errors.Interrupted, errors.Transient}


def leaves(error):
    below = [leaf for child in error.__subclasses__() for leaf in leaves(child)]
    return below if error in BRANCHES else [error, *below]


NAMES = {leaf.__name__ for leaf in leaves(errors.RolloutError)}
RETRIED = {name for task in TASKS.values() for rule in task["Retry"] for name in rule["ErrorEquals"]}
CAUGHT = {name for task in TASKS.values() for rule in task["Catch"] for name in rule["ErrorEquals"]}


def test_every_error_name_in_the_state_machine_is_one_of_ours_or_of_awss():
    ours = {name for name in RETRIED | CAUGHT if not name.startswith(("States.", "Lambda.", "Sandbox.", "Runtime."))}
    assert ours <= NAMES


def test_every_transient_error_is_retried():
    assert {leaf.__name__ for leaf in leaves(errors.Transient)} <= RETRIED


def test_what_trying_again_cannot_help_is_not_retried():
    forward = {
        name
        for task, state in TASKS.items()
        if task != "RollBack"
        for rule in state["Retry"]
        for name in rule["ErrorEquals"]
    }
    assert not forward & {
        leaf.__name__ for leaf in (*leaves(errors.Rejected), *leaves(errors.Interrupted), errors.PermissionDenied)
    }


def test_every_error_is_raised_somewhere():
    source = "".join(path.read_text() for path in (ROOT / "functions").rglob("*.py"))
    assert {name for name in NAMES if f"raise {name}(" not in source} == set()


def test_the_drawn_tree_of_errors_is_the_real_one():
    drawn = set(re.findall(r"[├└]── (\w+)", ast.get_docstring(ast.parse(Path(errors.__file__).read_text()))))
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)} - {"RolloutError"}
    assert drawn == defined


def test_rollback_keeps_trying_for_a_quarter_of_an_hour():
    retrier = TASKS["RollBack"]["Retry"][-1]
    assert retrier["ErrorEquals"] == ["States.ALL"]
    delays = [
        min(retrier["MaxDelaySeconds"], retrier["IntervalSeconds"] * retrier["BackoffRate"] ** n)
        for n in range(retrier["MaxAttempts"])
    ]
    # Full jitter waits half of each on average.
    assert sum(delays) / 2 >= 15 * 60


def test_forward_steps_give_up_within_two_minutes_of_waiting():
    for name, task in TASKS.items():
        retrier = task["Retry"][-1]
        if name != "RollBack":
            delays = [
                min(retrier["MaxDelaySeconds"], retrier["IntervalSeconds"] * retrier["BackoffRate"] ** n)
                for n in range(retrier["MaxAttempts"])
            ]
            assert sum(delays) <= 120


@pytest.mark.parametrize("name", ["PlanRollout", "Promote"])
def test_provisioned_concurrency_is_waited_for_longer_than_aws_takes(name):
    """Six to eight minutes were seen (localstack's AWS-validated tests). Full jitter draws each wait from none to all
    of its interval: a standard deviation of the sum is the interval times the root of a twelfth of the attempts.
    """
    (retrier,) = (rule for rule in TASKS[name]["Retry"] if "ProvisioningPending" in rule["ErrorEquals"])
    assert retrier["BackoffRate"] == 1.0
    longest = retrier["IntervalSeconds"] * retrier["MaxAttempts"]
    deviation = retrier["IntervalSeconds"] * (retrier["MaxAttempts"] / 12) ** 0.5
    assert longest / 2 - 4 * deviation >= 14 * 60
    assert longest == PROVISIONING_SECONDS


def test_the_history_budget_has_room_for_every_retry_of_what_happens_once():
    """A Task has five events, each retry three more (Step Functions Developer Guide, history events)."""
    once = [TASKS[name] for name in ("PlanRollout", "PublishVersion", "VerifyCandidate", "Promote", "RollBack")]
    attempts = sum(rule["MaxAttempts"] for task in once for rule in task["Retry"])
    around = 1 + 3 * 2 + 2 + 1  # the execution's own beginning and end, the Choices between, and the last state
    late = 5 + 2 + 2 + 5 + 2  # the move that was throttled, its Choice, Bake, CheckHealth and the verdict's Choice
    assert 3 * attempts + 5 * len(once) + around + late * MAX_LATE_MOVES <= FIXED_EVENTS


@pytest.mark.parametrize("name", ["PlanRollout", "PublishVersion"])
@pytest.mark.parametrize("error", ["AwsThrottled", "Lambda.TooManyRequestsException"])
def test_a_busy_time_of_ten_minutes_is_waited_out_before_there_is_any_traffic(name, error):
    (retrier,) = (rule for rule in TASKS[name]["Retry"] if error in rule["ErrorEquals"])
    interval, attempts = retrier["IntervalSeconds"], retrier["MaxAttempts"]
    assert (retrier["BackoffRate"], retrier["JitterStrategy"]) == (1.0, "FULL")
    # As above: four standard deviations below the mean.
    assert interval * attempts / 2 - 4 * interval * (attempts / 12) ** 0.5 >= 10 * 60


def test_traffic_is_never_split_unwatched_because_aws_throttles_a_move():
    assert not any("AwsThrottled" in rule["ErrorEquals"] for rule in TASKS["ShiftTraffic"]["Retry"])
    (delayed,) = (rule for rule in TASKS["Promote"]["Catch"] if rule["ErrorEquals"] == ["PromotionDelayed"])
    assert (delayed["Next"], STATES["Bake"]["Next"], delayed["Assign"]["decision"]["action"]) == (
        "Bake",
        "CheckHealth",
        "late",
    )


TIMED_OUT = {"Sandbox.Timedout", "States.Timeout"}


@pytest.mark.parametrize("name", [name for name in TASKS if name != "RollBack"])
def test_a_forward_step_that_timed_out_is_tried_once_more_at_most(name):
    """Each try takes the whole time-out, and meanwhile nobody looks at the candidate."""
    for retrier in TASKS[name]["Retry"]:
        if TIMED_OUT & set(retrier["ErrorEquals"]):
            assert (set(retrier["ErrorEquals"]), retrier["MaxAttempts"]) == (TIMED_OUT, 1)


@pytest.mark.parametrize("name", ["ShiftTraffic", "CheckHealth", "Promote"])
def test_a_step_whose_handler_always_times_out_gives_up_within_two_minutes_or_so(name):
    tries = 1 + sum(rule["MaxAttempts"] for rule in TASKS[name]["Retry"] if TIMED_OUT & set(rule["ErrorEquals"]))
    assert tries * FUNCTIONS[f"{name}Function"]["Timeout"] <= 125
    assert tries * TASKS[name]["TimeoutSeconds"] <= 150


def test_what_was_closed_before_it_failed_ends_as_that():
    following = {choice["Condition"]: choice["Next"] for choice in STATES["HowItEnded?"]["Choices"]}
    for outcome, state in {"promoted": "Promoted", "unchanged": "Unchanged", "rolled_back": "RolledBack"}.items():
        assert following[f"{{% $outcome = '{outcome}' %}}"] == state
    assert STATES["HowItEnded?"]["Default"] == "RollbackFailed"
