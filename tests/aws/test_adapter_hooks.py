"""The adapter of hooks: who is there, and what one invocation answered."""

import json

import pytest

from sandbox.aws.boundary import AwsError
from tidegate.aws import hooks
from tidegate.errors import AwsUnavailable, PermissionDenied
from tidegate.hooks.hook import MAX_ANSWER_BYTES, Hook

CHECK = {"functions": [{"name": "check", "answer": {"status": "Succeeded"}}]}


def fault(call, error, **more):
    return {"faults": [{"call": f"lambda.{call}", "error": error, **more}]}


def test_whoever_cannot_be_asked_is_named_with_the_reason(inhabit):
    inhabit(**CHECK)
    assert hooks.faults(["check", "check:1"]) == ()
    assert hooks.faults(["chekc", "check:live", "check"]) == (
        "chekc does not exist in this account and region",
        "check:live does not exist in this account and region",
    )


def test_a_hook_that_may_not_be_read_is_not_allowed_by_the_stack(inhabit):
    inhabit(**CHECK, **fault("GetFunctionConfiguration", "AccessDeniedException"))
    (said,) = hooks.faults(["check"])
    assert said == "check is not among the functions that HookFunctionNamePattern of Tidegate's stack allows"


def test_a_hook_that_cannot_be_looked_up_now_is_not_missing(inhabit):
    inhabit(**CHECK, **fault("GetFunctionConfiguration", "TooManyRequestsException", times="always"))
    with pytest.raises(AwsUnavailable):
        hooks.faults(["check"])


@pytest.mark.parametrize(("name", "qualifier"), [("check", "$LATEST"), ("check:1", "1"), ("check:live", "live")])
def test_a_hook_is_told_the_document_under_the_name_that_was_given(inhabit, name, qualifier):
    world = inhabit(**CHECK)
    answer = hooks.invoke(Hook(name), {"hook": "each_step"})
    assert (json.loads(answer.payload), answer.function_error) == ({"status": "Succeeded"}, None)
    (told,) = world.hooked.told
    assert (told.function_name, told.qualifier, told.document) == ("check", qualifier, {"hook": "each_step"})


def test_no_more_of_an_answer_is_read_than_it_may_hold(inhabit):
    world = inhabit()
    world.runtime.route("check", lambda *_: (b"x" * 1_000_000, None))
    assert hooks.invoke(Hook("check"), {}).payload == b"x" * MAX_ANSWER_BYTES


def test_a_hook_is_waited_for_as_long_as_it_may_take_and_goes_on_without_a_listener(inhabit):
    world = inhabit(functions=[{"name": "check", "answer": 1, "duration_ms": 100_000}])
    began = world.clock.now()
    answer = hooks.invoke(Hook("check", 30), {})
    assert 30_000 < answer.duration_ms == pytest.approx((world.clock.now() - began) * 1000, abs=100)
    assert (answer.payload, len(world.hooked.told)) == (b"", 1)


@pytest.mark.parametrize("error", ["TooManyRequestsException", "ServiceException", "EndpointConnectionError"])
def test_a_hook_that_lambda_did_not_run_may_be_asked_again(inhabit, error):
    world = inhabit(**CHECK, **fault("Invoke", error, times="always"))
    with pytest.raises(AwsUnavailable, match="could not invoke check:"):
        hooks.invoke(Hook("check"), {})
    assert world.boundary.calls["lambda.Invoke"] == 1


@pytest.mark.parametrize("error", ["ConnectionClosedError", "HTTPClientError"])
def test_a_connection_that_breaks_is_no_success_and_no_reason_to_ask_again(inhabit, error):
    world = inhabit(**CHECK, **fault("Invoke", error, times="always"))
    assert hooks.invoke(Hook("check"), {}).function_error == error
    assert world.boundary.calls["lambda.Invoke"] == 1


def test_a_hook_that_may_not_be_asked_is_no_answer(inhabit):
    world = inhabit(**CHECK)

    def refuse(_params, _proceed):
        raise AwsError("AccessDeniedException", "not authorized to perform: lambda:InvokeFunction", 403)

    world.boundary.correct("lambda.Invoke", refuse)
    with pytest.raises(PermissionDenied, match="lambda:InvokeFunction"):
        hooks.invoke(Hook("check"), {})
