"""What AWS says against a call is told in a sentence: which call, and what to do. Never a traceback."""

import json

import pytest
from botocore.exceptions import EndpointConnectionError

from sandbox.aws.boundary import AwsError
from tests.brief import BRIEF

REQUEST = {"function_name": "checkout", "alias_name": "live"}


def refuse(world, call, error):
    def correction(_params, _proceed):
        raise error

    world.boundary.correct(call, correction)


@pytest.fixture
def no_credentials(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_credentials")
def test_no_credentials(say):
    done = say("status", "checkout:live")
    assert done.exit_code == 4
    assert "no AWS credentials that work were found for cloudformation:DescribeStacks" in done.stderr


def test_no_region(say, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "known")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "known")
    done = say("status", "checkout:live")
    assert done.exit_code == 2
    assert "no region is chosen: say --region" in done.stderr


@pytest.mark.usefixtures("no_credentials")
@pytest.mark.parametrize("words", [["list"], ["status", "checkout:live"], ["abort", "checkout:live"], ["start", "-"]])
def test_neither_region_nor_credentials_is_one_complaint_that_says_what_to_do_for_both(say, monkeypatch, words):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    done = say(*words, given=REQUEST)
    assert done.exit_code == 2
    (told,) = done.stderr.splitlines()
    assert all(part in told for part in ("neither", "aws configure", "--region", "--profile-name"))


@pytest.mark.usefixtures("no_credentials")
def test_credentials_that_cannot_be_had_are_none(say, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "half of them")
    done = say("list")
    assert done.exit_code == 2
    assert "neither a region nor AWS credentials" in done.stderr


def test_an_unknown_profile(say):
    done = say("status", "checkout:live", "--profile-name", "nobody")
    assert done.exit_code == 2
    assert "nobody" in done.stderr


def test_no_such_stack(say, live, monkeypatch):
    with live(at_second=None):
        done = say("list", "--stack", "tidepool")
        monkeypatch.setenv("TIDEGATE_STACK", "tidepond")
        as_json = say("list", "--json")
    assert done.exit_code == as_json.exit_code == 4
    assert "there is no stack tidepool in us-east-1" in done.stderr
    assert "sam deploy" in done.stderr
    assert "tidepond" in json.loads(as_json.stdout)["error"]


def test_a_stack_of_another_kind(say, live):
    with live(at_second=None) as world:
        other = {"Stacks": [{"StackName": "tidegate", "Outputs": []}]}
        world.boundary.serve("cloudformation.DescribeStacks", lambda _: other)
        done = say("start", "-", given=REQUEST)
    assert done.exit_code == 4
    assert "has no output RolloutStateMachineArn" in done.stderr


@pytest.mark.parametrize(
    ("call", "words", "error", "why"),
    [
        (
            "stepfunctions.StartExecution",
            ["start", "-"],
            AwsError("AccessDeniedException", "not authorized", 403),
            ["AWS forbids states:StartExecution", "allow it"],
        ),
        ("lambda.Invoke", ["plan", "-"], AwsError("AccessDeniedException", "no", 403), ["lambda:InvokeFunction"]),
        (
            "dynamodb.GetItem",
            ["status", "checkout:live"],
            AwsError("ExpiredTokenException", "expired", 400),
            ["credentials have expired", "log in"],
        ),
        (
            "sts.GetCallerIdentity",
            ["abort", "checkout:live"],
            AwsError("InvalidClientTokenId", "unknown", 403),
            ["does not know these credentials"],
        ),
        (
            "dynamodb.Query",
            ["history", "checkout:live"],
            AwsError("InternalServerError", "oh", 500),
            ["could not answer dynamodb:Query", "try again"],
        ),
        (
            "cloudformation.DescribeStacks",
            ["list"],
            EndpointConnectionError(endpoint_url="https://cloudformation.us-east-1.amazonaws.com"),
            ["AWS did not answer cloudformation:DescribeStacks in us-east-1"],
        ),
        (
            "cloudformation.DescribeStacks",
            ["list"],
            AwsError("OptInRequired", "subscribe first", 403),
            ["AWS refused cloudformation:DescribeStacks (OptInRequired: subscribe first)"],
        ),
    ],
)
def test_a_refused_call_exits_with_4_and_says_which_and_what_to_do(say, live, call, words, error, why):
    with live(at_second=None) as world:
        refuse(world, call, error)
        done = say(*words, given=REQUEST)
    assert done.exit_code == 4, done.output
    assert all(part in done.stderr for part in why), done.stderr
    assert "Traceback" not in done.output


def silent(world, call, *, first, last, error):
    """From the `first` to the `last` time that it is asked for, the call fails."""
    asked = iter(range(1, 10_000))

    def correction(_params, proceed):
        if first <= next(asked) <= last:
            raise error
        return proceed()

    world.boundary.correct(call, correction)


def test_a_watched_rollout_may_be_out_of_sight_for_a_while(say, live):
    with live(at_second=5, request=BRIEF) as world:
        silent(
            world, "stepfunctions.DescribeExecution", first=3, last=20, error=AwsError("ServiceUnavailable", "", 503)
        )
        done = say("watch", "checkout:live")
    assert done.exit_code == 0, done.output


def test_a_watched_rollout_out_of_sight_for_good_exits_with_4(say, live):
    with live() as world:
        silent(world, "dynamodb.GetItem", first=5, last=9_999, error=AwsError("AccessDeniedException", "no", 403))
        done = say("watch", "checkout:live")
    assert done.exit_code == 4
    assert "AWS forbids dynamodb:GetItem" in done.stderr


def test_an_execution_that_is_not_known_yet_is_waited_for(say, live):
    with live(at_second=None) as world:
        unknown = AwsError("ExecutionDoesNotExist", "Execution Does Not Exist")
        silent(world, "stepfunctions.DescribeExecution", first=1, last=3, error=unknown)
        done = say("start", "--watch", "-", given=BRIEF)
    assert done.exit_code == 0, done.output


def test_a_dry_run_that_could_not_ask_is_no_refusal_of_the_request(say, live):
    with live(at_second=None) as world:
        refuse(world, "lambda.GetAlias", AwsError("AccessDeniedException", "not authorized", 403))
        done = say("plan", "-", given=REQUEST)
    assert done.exit_code == 4
    assert "PermissionDenied" in done.stderr
