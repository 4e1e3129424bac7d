"""Least privilege: what each role of the template must not do, and that it needs all it may.

Every story of the sandbox runs under these roles, for a pattern that is the function's very name. So whatever ends well
elsewhere has shown that the policies allow enough; here it is shown that they do not allow more.
"""

from collections.abc import Callable
from contextvars import Context
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.boundary import AwsError, caller, identity
from sandbox.aws.iam import Iam, session_arn
from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.story import play
from sandbox.world import TEMPLATE, World
from tests.brief import BRIEF
from tests.contract.artifacts import FUNCTIONS, deployed

REQUEST = {"function_name": "checkout", "alias_name": "live"}
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:"
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:tidegate-rollout:story-1"
TABLE = "tidegate-RolloutTable"
KEY = {"target": {"S": "checkout:live"}, "record": {"S": "lock"}}
CHECKOUT = {"FunctionName": "checkout"}
ALIAS = {**CHECKOUT, "Name": "live"}

HANDLERS = [each["Handler"].partition(".")[0] for each in FUNCTIONS.values()]


@cache
def account(pattern: str = "checkout", hooks: str = "") -> tuple[Iam, dict[str, str]]:
    """The roles for a FunctionNamePattern and a HookFunctionNamePattern, and who signs: every handler by its module,
    the state machine, the schedule.

    Read once: no policy changes while it is used.
    """
    stack = deployed(pattern, hooks)
    functions = stack.of_kind("AWS::Lambda::Function").values()
    (machine,) = stack.of_kind("AWS::StepFunctions::StateMachine").values()
    (schedule,) = stack.of_kind("AWS::Scheduler::Schedule").values()
    signers = {each.properties["Handler"].partition(".")[0]: each.properties["Role"] for each in functions}
    signers["state machine"] = machine.properties["RoleArn"]
    signers["schedule"] = schedule.properties["Target"]["RoleArn"]
    return Iam(stack), {name: session_arn(role, "test") for name, role in signers.items()}


def refusal(who: str, call: str, params: dict[str, Any], pattern: str = "checkout", hooks: str = "") -> str | None:
    """Why the call is denied, in AWS's words; None where it is allowed."""
    iam, signers = account(pattern, hooks)
    try:
        iam.check(signers[who], call, params)
    except AwsError as error:
        return error.message
    return None


def test_every_function_of_the_template_is_looked_at():
    assert {*HANDLERS, "state machine", "schedule"} == set(account()[1])


FORBIDDEN: dict[str, tuple[str, dict[str, Any]]] = {
    "delete the function": ("lambda.DeleteFunction", CHECKOUT),
    "delete a version": ("lambda.DeleteFunction", {**CHECKOUT, "Qualifier": "1"}),
    "delete the alias": ("lambda.DeleteAlias", ALIAS),
    "make an alias of another function": ("lambda.CreateAlias", {"FunctionName": "payments", "Name": "live"}),
    "make an alias of its own guard": ("lambda.CreateAlias", {"FunctionName": "tidegate-SweepFunction"}),
    "read another parameter": ("ssm.GetParameter", {"Name": "/payments/token"}),
    "read another stack's settings": ("ssm.GetParameter", {"Name": "/tidegate/settings/other"}),
    "write its settings": ("ssm.PutParameter", {"Name": "/tidegate/settings/tidegate"}),
    "write a profile": ("ssm.PutParameter", {"Name": "/tidegate/profiles/prod-api"}),
    "change a stack": ("cloudformation.UpdateStack", {"StackName": "shop"}),
    "change the code": ("lambda.UpdateFunctionCode", CHECKOUT),
    "change the configuration": ("lambda.UpdateFunctionConfiguration", CHECKOUT),
    "read the code": ("lambda.GetFunction", CHECKOUT),
    "open the function to others": ("lambda.AddPermission", CHECKOUT),
    "give it a URL": ("lambda.CreateFunctionUrlConfig", {**CHECKOUT, "Qualifier": "live"}),
    "see who may call another function": ("lambda.GetPolicy", {"FunctionName": "payments"}),
    "change what is provisioned": ("lambda.PutProvisionedConcurrencyConfig", {**CHECKOUT, "Qualifier": "live"}),
    "invoke the function unqualified": ("lambda.Invoke", CHECKOUT),
    "invoke $LATEST": ("lambda.Invoke", {**CHECKOUT, "Qualifier": "$LATEST"}),
    "invoke $LATEST by its ARN": ("lambda.Invoke", {"FunctionName": f"{FUNCTION}checkout:$LATEST"}),
    "invoke another function": ("lambda.Invoke", {"FunctionName": "payments", "Qualifier": "1"}),
    "move another function's alias": ("lambda.UpdateAlias", {"FunctionName": "payments", "Name": "live"}),
    "move the alias of a longer name": ("lambda.UpdateAlias", {"FunctionName": "checkout-eu", "Name": "live"}),
    "read another function's alias": ("lambda.GetAlias", {"FunctionName": "payments", "Name": "live"}),
    "publish another function": ("lambda.PublishVersion", {"FunctionName": "payments"}),
    "move the alias of its own guard": ("lambda.UpdateAlias", {"FunctionName": "tidegate-SweepFunction"}),
    "read another table": ("dynamodb.GetItem", {"TableName": "orders", "Key": KEY}),
    "write another table": ("dynamodb.PutItem", {"TableName": "orders", "Item": KEY}),
    "write another table in a transaction": (
        "dynamodb.TransactWriteItems",
        {"TransactItems": [{"Put": {"TableName": "orders"}}]},
    ),
    "read the whole table": ("dynamodb.Scan", {"TableName": TABLE}),
    "delete the table": ("dynamodb.DeleteTable", {"TableName": TABLE}),
    "speak as somebody else": ("events.PutEvents", {"Entries": [{"Source": "checkout"}]}),
    "speak as itself and as somebody else": (
        "events.PutEvents",
        {"Entries": [{"Source": "tidegate"}, {"Source": "aws.states"}]},
    ),
    "speak on another bus": ("events.PutEvents", {"Entries": [{"Source": "tidegate", "EventBusName": "orders"}]}),
    "switch a rule off": ("events.DisableRule", {"Name": "tidegate-GuardExecutionFunctionExecutionEnded"}),
    "stop a durable execution": (
        "lambda.StopDurableExecution",
        {"DurableExecutionArn": f"{FUNCTION}checkout:2/durable-execution/order-1/1"},
    ),
    "stop an execution": ("stepfunctions.StopExecution", {"executionArn": EXECUTION}),
    "start an execution": (
        "stepfunctions.StartExecution",
        {"stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:tidegate-rollout"},
    ),
    "look at somebody else's execution": (
        "stepfunctions.DescribeExecution",
        {"executionArn": "arn:aws:states:us-east-1:123456789012:execution:orders:1"},
    ),
    "silence an alarm": ("cloudwatch.DisableAlarmActions", {"AlarmNames": ["checkout-errors"]}),
    "set an alarm": ("cloudwatch.SetAlarmState", {"AlarmName": "checkout-errors"}),
    "send metrics by the API": ("cloudwatch.PutMetricData", {"Namespace": "Tidegate"}),
    "empty the dead-letter queue": ("sqs.PurgeQueue", {"QueueUrl": "https://sqs/123456789012/tidegate-DeadLetters"}),
    "write to another queue": ("sqs.SendMessage", {"QueueUrl": "https://sqs/123456789012/orders"}),
    "become another role": ("sts.AssumeRole", {"RoleArn": "arn:aws:iam::123456789012:role/admin"}),
    "change a policy": ("iam.PutRolePolicy", {"RoleName": "tidegate-PromoteFunctionRole"}),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nobody_may(what):
    call, params = FORBIDDEN[what]
    assert [who for who in account()[1] if refusal(who, call, params) is None] == []


@pytest.mark.parametrize("what", [what for what, (_, params) in FORBIDDEN.items() if "payments" in str(params)])
def test_a_pattern_with_a_wildcard_keeps_out_what_it_does_not_match(what):
    call, params = FORBIDDEN[what]
    assert [who for who in HANDLERS if refusal(who, call, params, pattern="check*") is None] == []


@pytest.mark.parametrize("pattern", ["*", "check*", "checkout"])
def test_latest_is_denied_explicitly_whatever_the_pattern(pattern):
    for params in ({**CHECKOUT, "Qualifier": "$LATEST"}, {"FunctionName": f"{FUNCTION}checkout:$LATEST"}):
        said = refusal("verify_candidate", "lambda.Invoke", params, pattern)
        assert said
        assert said.endswith("with an explicit deny in an identity-based policy")
    assert refusal("verify_candidate", "lambda.Invoke", CHECKOUT, pattern), "unqualified is $LATEST too"
    assert refusal("verify_candidate", "lambda.Invoke", {**CHECKOUT, "Qualifier": "7"}, pattern) is None


HOOKS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "ask a hook": ("lambda.Invoke", {"FunctionName": "check"}, {"verify_candidate", "run_hook"}),
    "ask a hook's version": (
        "lambda.Invoke",
        {"FunctionName": "check", "Qualifier": "1"},
        {"verify_candidate", "run_hook"},
    ),
    "see whether a hook is there": ("lambda.GetFunctionConfiguration", {"FunctionName": "check"}, {"plan_rollout"}),
    "ask another function": ("lambda.Invoke", {"FunctionName": "payments"}, set()),
    "read a hook's code": ("lambda.GetFunction", {"FunctionName": "check"}, set()),
    "move a hook's alias": ("lambda.UpdateAlias", {"FunctionName": "check", "Name": "live"}, set()),
}


@pytest.mark.parametrize("what", HOOKS)
def test_hooks_are_the_business_of_those_who_ask_them_where_the_stack_names_them(what):
    call, params, business = HOOKS[what]
    assert {who for who in account()[1] if refusal(who, call, params) is None} == set()
    assert {who for who in account()[1] if refusal(who, call, params, hooks="check") is None} == business


@pytest.mark.parametrize("who", ["verify_candidate", "run_hook"])
def test_a_hook_pattern_that_matches_everything_leaves_latest_and_tidegate_itself_out_of_reach(who):
    for params in ({**CHECKOUT, "Qualifier": "$LATEST"}, {"FunctionName": "tidegate-SweepFunction"}):
        said = refusal(who, "lambda.Invoke", params, hooks="*")
        assert said
        assert said.endswith("with an explicit deny in an identity-based policy")


BUSINESS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "move the alias": (
        "lambda.UpdateAlias",
        ALIAS,
        {"plan_rollout", "shift_traffic", "promote", "roll_back", "guard_execution", "guard_alarm", "sweep", "command"},
    ),
    "query the table beside its index": (
        "dynamodb.Query",
        {"TableName": TABLE},
        {"check_health", "command", "guard_alarm"},
    ),
    "see which durable executions go on": (
        "lambda.ListDurableExecutionsByFunction",
        {**CHECKOUT, "Qualifier": "2"},
        {"roll_back"},
    ),
    "have durable executions told of": (
        "events.EnableRule",
        {"Name": "tidegate-DurableExecutionsChanged"},
        {"count_durable", "plan_rollout", "sweep"},
    ),
    "have them told of no more": (
        "events.DisableRule",
        {"Name": "tidegate-DurableExecutionsChanged"},
        {"count_durable"},
    ),
    "receive what is told of them": (
        "sqs.ReceiveMessage",
        {"QueueUrl": "https://sqs/123456789012/tidegate-DurableExecutions"},
        {"count_durable"},
    ),
    "make the alias": ("lambda.CreateAlias", ALIAS, {"promote"}),
    "publish": ("lambda.PublishVersion", CHECKOUT, {"publish_version"}),
    "read a profile": (
        "ssm.GetParameter",
        {"Name": "/tidegate/profiles/prod-api:7"},
        {"plan_rollout", "verify_candidate"},
    ),
    "see which stack has the alias": (
        "cloudformation.DescribeStackResources",
        {"PhysicalResourceId": f"{FUNCTION}checkout:live"},
        {"plan_rollout"},
    ),
    "see who may call it": ("lambda.GetPolicy", {**CHECKOUT, "Qualifier": "live"}, {"plan_rollout"}),
    "see whether it has a URL": ("lambda.GetFunctionUrlConfig", {**CHECKOUT, "Qualifier": "live"}, {"plan_rollout"}),
    "see which event sources call it": (
        "lambda.ListEventSourceMappings",
        {"FunctionName": f"{FUNCTION}checkout:live"},
        {"plan_rollout"},
    ),
    "run a version": ("lambda.Invoke", {**CHECKOUT, "Qualifier": "7"}, {"verify_candidate"}),
    "read the alarms' history": ("cloudwatch.DescribeAlarmHistory", {}, {"check_health"}),
    "read metrics": ("cloudwatch.GetMetricData", {}, {"plan_rollout", "check_health"}),
    "read an execution's history": (
        "stepfunctions.GetExecutionHistory",
        {"executionArn": EXECUTION},
        {"guard_execution"},
    ),
    "find every running rollout": (
        "dynamodb.Query",
        {"TableName": TABLE, "IndexName": "watched"},
        {"count_durable", "guard_execution", "sweep"},
    ),
    "run a handler": ("lambda.Invoke", {"FunctionName": "tidegate-PromoteFunction:1"}, {"state machine"}),
    "sweep": ("lambda.Invoke", {"FunctionName": "tidegate-SweepFunction:live"}, {"schedule"}),
    "run the guard": ("lambda.Invoke", {"FunctionName": "tidegate-GuardExecutionFunction:live"}, set()),
}


@pytest.mark.parametrize("what", BUSINESS)
def test_only_whose_business_it_is_may(what):
    call, params, business = BUSINESS[what]
    assert {who for who in account()[1] if refusal(who, call, params) is None} == business


# --- At the wire ------------------------------------------------------------------------------------------------------


def test_a_denied_call_fails_in_the_sdk_as_it_does_at_aws():
    with World(Scenario.of({}), REQUEST) as world:
        token = identity.set(session_arn(world.runtime.role_of("check_health") or "", "tidegate-CheckHealthFunction"))
        with pytest.raises(ClientError) as denied:
            client("lambda").update_alias(**ALIAS, FunctionVersion="1")
        identity.reset(token)
    assert denied.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert str(denied.value) == (
        "An error occurred (AccessDeniedException) when calling the UpdateAlias operation: User: arn:aws:sts::"
        "123456789012:assumed-role/tidegate-CheckHealthFunctionRole/tidegate-CheckHealthFunction is not authorized to"
        f" perform: lambda:UpdateAlias on resource: {FUNCTION}checkout"
        " because no identity-based policy allows the lambda:UpdateAlias action"
    )


def without(tmp_path: Path, old: str, new: str, after: str) -> Path:
    """The template with one thing changed, the first one after a line that begins so, beside the same code."""
    head, found, rest = TEMPLATE.read_text().partition(after)
    assert found
    assert old in rest
    for folder in ("functions", "statemachine"):
        (tmp_path / folder).symlink_to(TEMPLATE.parent / folder)
    changed = tmp_path / "template.yaml"
    changed.write_text(head + found + rest.replace(old, new, 1))
    return changed


def end_of(template: Path) -> str | None:
    with World(Scenario.of({}), REQUEST, template=template) as world:
        return world.follow(world.start()).cause


def test_a_handler_whose_role_lost_an_action_is_refused_by_every_story(tmp_path):
    template = without(tmp_path, "lambda:PublishVersion", "lambda:PublishLayerVersion", "  PublishVersionFunction:\n")
    cause = end_of(template)
    assert cause
    assert "is not authorized to perform: lambda:PublishVersion" in cause


def test_the_state_machine_runs_handlers_under_its_own_role(tmp_path):
    template = without(
        tmp_path, "${PlanRolloutFunction.Arn}:*", "${PlanRolloutFunction.Arn}", "  RolloutStateMachine:\n"
    )
    cause = end_of(template)
    assert cause
    assert "tidegate-RolloutStateMachineRole/story-1 is not authorized to perform: lambda:InvokeFunction" in cause


# --- No more than is used ---------------------------------------------------------------------------------------------

STOP = {"at_second": 200, "do": "stop_execution"}
FIRES = {"at_second": 70, "do": "set_alarm", "name": "errors", "state": "ALARM"}
RECOVERS = {"at_second": 75, "do": "set_alarm", "name": "errors", "state": "OK"}
WATCHED: dict[str, Any] = {"alarms": [{"name": "errors"}]}
#: Whoever moves the alias meets it once; the n-th write of the story is the first weight, or who restores.
BUSY = {"call": "lambda.UpdateAlias", "error": "ResourceConflictException"}

#: Together these make every call that a handler ever makes: a name, more of the request, the scenario.
STORIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "it is tried and promoted": ({"smoke_tests": [{"payload": 1, "expect": "statusCode == `200`"}]}, {}),
    "there is nothing to publish": ({}, {"publish": {"unchanged": True}}),
    "what is provisioned moves with it": (BRIEF, {"alias": {"provisioned_concurrency": 5}}),
    "the candidate fails": (
        {"health": {"max_error_percent": 1}},
        {"candidate": {"error_rate": 0.5}, "faults": [{**BUSY, "skip": 1}]},
    ),
    "it is refused": ({"alarms": ["typo"]}, {}),
    "a lost response is looked after": (
        BRIEF,
        {"faults": [{"call": "lambda.UpdateAlias", "error": "lost_response", "times": 1}]},
    ),
    "an alarm fires": ({"alarms": ["errors"]}, {**WATCHED, "timeline": [FIRES], "faults": [{**BUSY, "skip": 1}]}),
    "an alarm fires between two polls and its event is lost": (
        {"alarms": ["errors"]},
        {**WATCHED, "timeline": [FIRES, RECOVERS], "faults": [{"event": "alarm", "error": "lost"}]},
    ),
    "its alias is made, as its profile says": (
        {**BRIEF, "profile": "prod-api"},
        {
            "alias": {"exists": False},
            "profiles": {"prod-api": {"create_alias": True, "smoke_tests": [{"payload": 1}]}},
        },
    ),
    "a stack has its alias": (BRIEF, {"alias": {"stack": {"name": "shop", "function_version": {"Ref": "V"}}}}),
    "the function is busy at each step forward": (BRIEF, {"faults": [BUSY, {**BUSY, "skip": 3}]}),
    "hooks are asked": (
        {**BRIEF, "hooks": dict.fromkeys(("before_traffic", "each_step", "after_traffic"), "check:1")},
        {"functions": [{"name": "check", "answer": {"status": "Succeeded"}}]},
    ),
    "an alarm takes back a promotion that cannot be closed": (
        {"alarms": ["errors"], "strategy": "AllAtOnce"},
        {
            "alarms": [{"name": "errors", "threshold": 1_000_000, "treat_missing_data": "ignore"}],
            "timeline": [{**FIRES, "at_second": 556}],
            "faults": [{"call": "dynamodb.TransactWriteItems", "error": "InternalServerError", "times": 24, "skip": 1}],
        },
    ),
    "it is paused before any traffic, waits for an approval, and is reverted": (
        {
            "steps": [
                {"weight": 10, "bake_seconds": 60},
                {"weight": 100, "bake_seconds": 60, "approval": {"timeout_seconds": 600}},
            ]
        },
        {
            "candidate": {"state": "Pending", "active_after_seconds": 60},
            "timeline": [
                {"at_second": at, "do": "command", "command": command}
                for at, command in ((30, "pause"), (150, "resume"), (400, "approve"), (1400, "revert"))
            ],
        },
    ),
    "it waits for an approval before any traffic": (
        {
            "steps": [
                {"weight": 10, "bake_seconds": 60, "approval": {"timeout_seconds": 600}},
                {"weight": 100, "bake_seconds": 60},
            ]
        },
        {"timeline": [{"at_second": 60, "do": "command", "command": "approve"}]},
    ),
    "it is aborted when its promotion was told and its books are open": (
        {"strategy": "AllAtOnce"},
        {
            "timeline": [{"at_second": 556, "do": "command", "command": "abort"}],
            "faults": [{"call": "dynamodb.TransactWriteItems", "error": "InternalServerError", "times": 60}],
        },
    ),
    "it names no alias": ({"alias_name": None}, {}),
    "it is stopped": ({}, {"timeline": [STOP], "faults": [{**BUSY, "skip": 1}]}),
    "it is stopped unheard, and the next one takes over": (
        {},
        {
            "timeline": [STOP, {"at_second": 215, "do": "start_execution"}],
            "faults": [{"event": "execution", "error": "lost"}],
        },
    ),
    "it is stopped, and its guards crash": (
        {"alarms": ["errors"]},
        {
            **WATCHED,
            "timeline": [{**FIRES, "at_second": 199}, STOP],
            "faults": [
                {"handler": handler, "error": "crash", "times": 5}
                for handler in ("guard_alarm", "guard_execution", "sweep")
            ]
            + [{**BUSY, "skip": 1}],
        },
    ),
}


#: What stories cannot show: nothing in the sandbox writes logs or traces by the API.
UNSEEN = {
    "AWSLambdaBasicExecutionRole/0": "SAM gives it to every function; Lambda itself writes the logs, as the function",
    "AWSXrayWriteOnlyAccess/0": "Tracing: Active makes SAM give it; the X-Ray daemon sends, as the function",
    "DeliverLogs": "Step Functions delivers an execution's logs, as the state machine",
}


def used_in(request: dict[str, Any], scenario: dict[str, Any], meddle: Callable[[World], None] | None = None) -> Iam:
    with World(Scenario.of(scenario), {**REQUEST, **request}) as world:
        if meddle:
            meddle(world)
        world.follow(world.start())
        world.settle()
        return world.iam


def lose_the_ledger(world: World) -> None:
    def lose() -> None:
        client("dynamodb").delete_table(TableName=world.table_name)

    world.clock.spawn(lose, "the ledger is gone", 199.9)


def refuse_the_guards_note(world: World) -> None:
    """What cannot be noted in the lock is read from it."""

    def refuse(_params: Any, proceed: Callable[[], Any]) -> Any:
        if caller.get() == "guard_alarm":
            raise AwsError("InternalServerError", "The scenario says so.", 500)
        return proceed()

    world.boundary.correct("dynamodb.UpdateItem", refuse)


def have_the_rule_disabled_while_it_is_needed(world: World) -> None:
    """By an update of the stack, and by who does not see the rollout that has just begun."""
    locks: list[Any] = []
    rule = "tidegate-DurableExecutionsChanged"

    def update_the_stack() -> None:
        client("events").disable_rule(Name=rule)
        locks.append(client("dynamodb").get_item(TableName=world.table_name, Key=KEY)["Item"])

    def begin_another(_params: Any, proceed: Callable[[], Any]) -> Any:
        answer = proceed()
        if caller.get():
            Context().run(client("dynamodb").put_item, TableName=world.table_name, Item=locks[0])
        return answer

    world.clock.spawn(update_the_stack, "the stack is updated", 60)
    world.boundary.correct("events.DisableRule", begin_another)


def test_no_role_may_more_than_its_handler_does():
    met = [used_in(request, scenario) for request, scenario in STORIES.values()]
    # Without the ledger, on an alias that somebody has written to: asked is who else may be at it.
    moved, again = {"at_second": 199.95, "do": "update_alias", "weights": {"2": 0.3}}, {"do": "start_execution"}
    met.append(used_in({}, {"timeline": [STOP, moved, {**again, "at_second": 215}]}, lose_the_ledger))
    met.append(used_in({}, {"timeline": [moved]}, lose_the_ledger))
    met.append(used_in({"alarms": ["errors"]}, {**WATCHED, "timeline": [FIRES]}, refuse_the_guards_note))
    durable = {"function": {"durable": True}, "candidate": {"error_rate": 0.5}}
    met.append(used_in({}, durable, have_the_rule_disabled_while_it_is_needed))
    idle = set().union(*(iam.grants() for iam in met)) - set().union(*(iam.used for iam in met))
    assert not [grant for grant in idle if grant.statement not in UNSEEN]
    assert {grant.statement for grant in idle} == UNSEEN.keys(), "an exception that is none"


def test_an_injected_denial_is_met_before_any_policy():
    story = play(REQUEST, Scenario.of({"faults": [{"call": "lambda.GetAlias", "error": "AccessDeniedException"}]}))
    assert story.error == "Rejected"
    assert "The scenario lets lambda.GetAlias fail" in (story.cause or "")


def test_a_function_outside_the_pattern_is_told_by_the_parameter_s_name():
    with World(Scenario.of({}), REQUEST, parameters={"FunctionNamePattern": "shop-*"}) as world:
        end = world.follow(world.start())
    assert end.error == "Rejected"
    assert end.cause.endswith("the parameter FunctionNamePattern of Tidegate's stack may not cover checkout")
