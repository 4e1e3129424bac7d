"""Cases that people met elsewhere and reported in public, each as its request, its world, and what must come of it."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.aws.boundary import caller
from sandbox.aws.stack import REGION, STACK_NAME, client
from sandbox.scenario import Scenario
from sandbox.story import play
from sandbox.world import STARTED_AT, World
from tests.brief import BRIEF
from tidegate.cli.account import Account
from tidegate.terminal.exit_codes import WouldBeRejected

SMALLEST = {"function_name": "checkout", "alias_name": "live"}
DIGEST = "bc1b05fa5eb6db9887aa9f8ee22d3dc9b970fab6c965e9e5e52f8f1ea478f0ab"
LONGEST = {"function_name": "a_23456789_" + "123456789_" * 5 + "123", "alias_name": "A_b-" * 32}
ODD_NAMES = ['checkout/5xx (prod) – é "q"\\x', "Canary test alarm"]


@dataclass(frozen=True)
class Case:
    """`outcome`, the version that serves at the end, and words of the cause."""

    outcome: str
    version: str = "1"
    says: tuple[str, ...] = ()
    request: dict[str, Any] = field(default_factory=dict)
    scenario: dict[str, Any] = field(default_factory=dict)


CASES = {
    "the stable version is idle (aws-controllers-k8s/community#2446)": Case(
        "rejected",
        says=("Inactive", "Invoke it once (aws lambda invoke", "wait until it is Active (aws lambda wait"),
        scenario={"stable": {"state": "Inactive"}},
    ),
    "the stable version is idle, and smoke tests would wake another one": Case(
        "rejected",
        says=("which a rollback would return to", "Invoke it once"),
        request={"smoke_tests": [{}]},
        scenario={"versions": {"1": {"state": "Inactive"}}},
    ),
    "the adopted version is idle": Case(
        "rejected",
        says=("version 7 of checkout is Inactive", "--qualifier 7", "wait until it is Active"),
        request={"version": "7"},
        scenario={"versions": {"7": {"state": "Inactive"}}},
    ),
    "the hash of an image is its digest (hashicorp/terraform-provider-aws#36943)": Case(
        "rejected",
        says=("has CodeSha256", DIGEST, "is expected"),
        request={"expected_code_sha256": DIGEST},
    ),
    "the same of an image": Case(
        "rejected",
        says=("has CodeSha256", DIGEST, "is expected"),
        request={"expected_code_sha256": f"sha256:{DIGEST}"},
        scenario={"function": {"package_type": "Image"}},
    ),
    "a function of another account (aws/aws-cdk#9244)": Case(
        "rejected",
        says=("is in region eu-west-1 and account 210987654321", "serves us-east-1 and 123456789012"),
        request={"function_name": "arn:aws:lambda:eu-west-1:210987654321:function:checkout"},
    ),
    "a function of another partition": Case(
        "rejected",
        says=("function_name: is in partition aws-cn, and this Tidegate serves aws",),
        request={"function_name": "arn:aws-cn:lambda:us-east-1:123456789012:function:checkout"},
    ),
    "a hook of another partition": Case(
        "rejected",
        says=("hooks.each_step.function_name: is in partition aws-us-gov and region us-gov-west-1",),
        request={"hooks": {"each_step": "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:check"}},
    ),
    "names with spaces, quotes and accents (davidgf/serverless-plugin-canary-deployments#65)": Case(
        "promoted",
        "2",
        request={"description": "Přepočet košíku – verze č. 7 🎉 “release”", "alarms": ODD_NAMES},
        scenario={"alarms": [{"name": name} for name in ODD_NAMES]},
    ),
    "the longest names": Case("promoted", "2", request=LONGEST),
    "the answer to PublishVersion is lost, and $LATEST has another revision by then": Case(
        "promoted", "2", scenario={"faults": [{"call": "lambda.PublishVersion", "error": "lost_response"}]}
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_reported_case_ends_as_it_should(case):
    story = play({**SMALLEST, **case.request}, Scenario.of(case.scenario), 0)
    assert (story.outcome, story.alias) == (case.outcome, {"function_version": case.version, "weights": {}})
    assert [words for words in case.says if words not in (story.cause or "")] == []


def run(world):
    end = world.follow(world.start())
    world.settle()
    return end


def test_one_version_is_published_although_the_first_answer_was_lost():
    lost = {"faults": [{"call": "lambda.PublishVersion", "error": "lost_response"}]}
    with World(Scenario.of(lost), SMALLEST) as world:
        assert run(world).status == "SUCCEEDED"
        listed = client("lambda").list_versions_by_function(FunctionName="checkout")["Versions"]
        assert [version["Version"] for version in listed] == ["$LATEST", "1", "2"]
        assert world.boundary.calls["lambda.PublishVersion"] > 1


# Idle versions.

IDLE = {"versions": {"7": {"state": "Inactive"}}}
YES = {"name": "check", "answer": {"status": "Succeeded"}}
REFUSED_TO_INVOKE = {"call": "lambda.Invoke", "error": "AccessDeniedException", "times": "always"}


def test_an_idle_candidate_that_the_users_smoke_test_wakes_is_waited_for():
    with World(Scenario.of(IDLE), {**SMALLEST, "version": "7", "smoke_tests": [{}]}) as world:
        end = run(world)
        assert (end.status, world.routing) == ("SUCCEEDED", ("7", {}))


def test_an_idle_candidate_whose_smoke_test_fails_once_it_is_awake_is_rejected():
    request = {**SMALLEST, "version": "7", "smoke_tests": [{"expect": "statusCode == `418`"}]}
    with World(Scenario.of(IDLE), request) as world:
        end = run(world)
        assert (end.error, world.routing) == ("Rejected", ("1", {}))
        assert "smoke test 1 of version 7 of checkout does not satisfy" in end.cause


def test_an_idle_candidate_that_a_hook_wakes_is_waited_for_and_the_hook_is_asked_again():
    scenario = Scenario.of({**IDLE, "functions": [YES]})
    with World(scenario, {**SMALLEST, "version": "7", "hooks": {"before_traffic": "check"}}) as world:

        def tries_the_candidate(_qualifier, payload):
            asked.append(json.loads(payload)["candidate_version"])
            state = world.lambda_rules.version_state("checkout", asked[-1])
            if state != "Active":
                world.lambda_rules.set_version_state("checkout", asked[-1], "Pending", 60)
            return json.dumps({"status": "Succeeded" if state == "Active" else "Failed"}).encode(), None

        asked = []
        world.runtime.route("check", tries_the_candidate)
        assert (run(world).status, world.routing, asked) == ("SUCCEEDED", ("7", {}), ["7", "7"])


def test_an_idle_candidate_that_nothing_of_the_users_wakes_is_refused_with_the_cure():
    request = {**SMALLEST, "version": "7", "hooks": {"before_traffic": "check"}}
    with World(Scenario.of({**IDLE, "functions": [YES]}), request) as world:
        end = run(world)
        assert (end.error, world.routing) == ("Rejected", ("1", {}))
        assert "version 7 of checkout is Inactive" in end.cause
        assert "Invoke it once" in end.cause


def test_an_idle_candidate_whose_state_lags_behind_its_waking_is_waited_for():
    """Lambda still calls it Inactive, in the moment after the smoke test has invoked it."""

    def lags(params, proceed):
        answer = proceed()
        if caller.get() == "verify_candidate" and params.get("Qualifier") == "7" and world.clock.now() < STARTED_AT + 5:
            return {**answer, "State": "Inactive"}
        return answer

    with World(Scenario.of(IDLE), {**SMALLEST, "version": "7", "smoke_tests": [{}]}) as world:
        world.boundary.correct("lambda.GetFunctionConfiguration", lags)
        assert (run(world).status, world.routing) == ("SUCCEEDED", ("7", {}))


@pytest.mark.parametrize(
    ("scenario", "says"),
    [
        ({"functions": [{"name": "check", "answer": {"status": "Failed", "reason": "a holiday"}}]}, "a holiday"),
        ({"functions": [YES], "faults": [REFUSED_TO_INVOKE]}, "AccessDeniedException"),
    ],
)
def test_what_fails_on_an_idle_candidate_for_another_reason_says_that(scenario, says):
    request = {**SMALLEST, "version": "7", "hooks": {"before_traffic": "check"}}
    with World(Scenario.of({**IDLE, **scenario}), request) as world:
        end = run(world)
        assert (end.error, says in end.cause, "invoke it once" in end.cause) == ("Rejected", True, False)


@pytest.mark.parametrize(
    "scenario", [IDLE, {"stable": {"state": "Inactive"}}, {"versions": {"1": {"state": "Inactive"}}}]
)
def test_nothing_of_the_users_is_invoked_that_they_did_not_ask_for(scenario):
    version = {"version": "7"} if scenario is IDLE else {}
    with World(Scenario.of(scenario), {**SMALLEST, **version}) as world:
        invoked = []
        world.runtime.route("checkout", lambda *call: (b"{}", invoked.append(call)))
        end = run(world)
        assert (end.error, invoked) == ("Rejected", [])
        assert end.at - world.routings[0][0] < 30, "at once"


# What a plan says.


def planned(request=None, **scenario):
    asked = {**SMALLEST, **(request or {})}
    with World(Scenario.of(scenario), asked):
        answer = Account(STACK_NAME, REGION).rehearse(asked)
    return answer["plan"]["warnings"], answer["differences"]


@pytest.mark.parametrize("setting", ["LoggingConfig", "TracingConfig", "VpcConfig", "ImageConfig", "KMSKeyArn"])
def test_a_plan_tells_of_a_setting_that_alone_changes_and_the_rollout_publishes_it(setting):
    """aws/serverless-application-model#3622."""
    scenario = {"publish": {"changed": [setting], "code": False}, "function": {"package_type": "Image"}}
    warnings, differences = planned(**scenario)
    assert [each["what"] for each in differences] == [setting]
    assert warnings == []
    story = play(BRIEF, Scenario.of(scenario), 0)
    assert (story.outcome, story.alias["function_version"]) == ("promoted", "2")


def test_a_plan_says_of_a_description_that_it_may_be_nothing():
    warnings, differences = planned(publish={"changed": ["Description"], "code": False})
    assert [each["what"] for each in differences] == ["Description"]
    (warning,) = warnings
    assert warning.endswith("differs: perhaps nothing new, and then it would end Unchanged")


def test_an_environment_that_cannot_be_read_is_unknown_and_never_nothing_new():
    with World(Scenario.of({"publish": {"unchanged": True}}), SMALLEST) as world:
        error = {"Environment": {"Error": {"ErrorCode": "AccessDeniedException", "Message": "kms:Decrypt"}}}
        world.boundary.correct("lambda.GetFunctionConfiguration", lambda _, proceed: {**proceed(), **error})
        answer = Account(STACK_NAME, REGION).rehearse(SMALLEST)
    assert answer["plan"]["warnings"] == []
    assert answer["differences"] == [{"what": "environment", "stable": "unknown", "candidate": "unknown"}]


IDLE_WARNING = "what is asked of it before any traffic wakes it, and the rollout would wait for it"


def test_a_plan_says_that_an_idle_candidate_will_be_woken_or_is_refused():
    request = {"version": "7", "smoke_tests": [{}]}
    warnings, _ = planned(request, **IDLE)
    (warning,) = warnings
    assert warning == f"version 7 of checkout is Inactive: {IDLE_WARNING}"
    with pytest.raises(WouldBeRejected, match="version 7 of checkout is Inactive"):
        planned({"version": "7"}, **IDLE)


FOLLOWS = "Resources:\r\n  'LiveAlias': {Type: AWS::Lambda::Alias, Properties: {FunctionVersion: !Ref V}}\r\n"
FIXED = "Resources: {LiveAlias: {Type: AWS::Lambda::Alias, Properties: {FunctionVersion: '1', Name: live}}}"


@pytest.mark.parametrize(
    ("stack", "warned"),
    [
        ({"format": "yaml", "template": FOLLOWS}, True),
        ({"format": "yaml", "template": FIXED}, False),
        ({"format": "json", "template": '{"Resources": {"A": {"Type": "AWS::Lambda::Alias"}}}'}, True),
    ],
)
def test_a_plan_warns_of_the_stack_in_whatever_style_its_template_is_written(stack, warned):
    """aws-cloudformation/rain#782."""
    warnings, _ = planned(stack=stack)
    assert [warning.startswith("stack shop moves this alias") for warning in warnings] == [True] * warned


# Images.


def test_an_image_is_rolled_out_where_its_digest_is_the_expected_one():
    scenario = Scenario.of({"function": {"package_type": "Image"}})
    with World(scenario, SMALLEST) as world:
        digest = client("lambda").get_function_configuration(FunctionName="checkout")["CodeSha256"]
        assert len(bytes.fromhex(digest)) == 32
        world.request = {**SMALLEST, "expected_code_sha256": f"sha256:{digest.upper()}"}
        assert (run(world).status, world.routing) == ("SUCCEEDED", ("2", {}))
