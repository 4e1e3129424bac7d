"""How AWS's refusals come out in this project's words, and how often the SDK asks before it gives up."""

import pytest
from botocore.exceptions import ClientError, ParamValidationError, ReadTimeoutError

from sandbox.aws.boundary import AwsError
from tidegate.aws import sdk
from tidegate.errors import AwsRefused, AwsThrottled, AwsUnavailable, FunctionUpdating, PermissionDenied

GET = "lambda.GetAlias"
#: (AWS's code, HTTP status): what comes out, and after how many attempts.
TRANSLATED = {
    ("TooManyRequestsException", 429): (AwsThrottled, 4),
    ("Throttling", 400): (AwsThrottled, 4),
    ("ThrottlingException", 400): (AwsThrottled, 4),
    ("ThrottledException", 400): (AwsThrottled, 4),
    ("RequestLimitExceeded", 400): (AwsThrottled, 4),
    ("RequestThrottled", 400): (AwsThrottled, 4),
    ("ProvisionedThroughputExceededException", 400): (AwsThrottled, 4),
    ("TransactionInProgressException", 400): (AwsUnavailable, 4),
    ("ServiceException", 500): (AwsUnavailable, 4),
    ("InternalServerError", 500): (AwsUnavailable, 4),
    ("ServiceUnavailable", 503): (AwsUnavailable, 4),
    ("SomethingNew", 500): (AwsUnavailable, 4),
    # A status that the SDK does not retry, and the state machine does.
    ("SomethingNew", 507): (AwsUnavailable, 1),
    ("ResourceConflictException", 409): (FunctionUpdating, 1),
    ("AccessDenied", 403): (PermissionDenied, 1),
    ("AccessDeniedException", 400): (PermissionDenied, 1),
    ("UnauthorizedOperation", 403): (PermissionDenied, 1),
    # Lambda answers so where its own access to the function's key is denied: asking again does not help.
    ("KMSAccessDeniedException", 502): (PermissionDenied, 4),
    ("ResourceNotFoundException", 404): (AwsRefused, 1),
    ("PreconditionFailedException", 412): (AwsRefused, 1),
    ("InvalidParameterValueException", 400): (AwsRefused, 1),
    ("SomethingNew", 400): (AwsRefused, 1),
}


def ask(**params):
    with sdk.refusals("read alias checkout:live"):
        return sdk.client("lambda").get_alias(**{"FunctionName": "checkout", "Name": "live"} | params)


@pytest.mark.parametrize(("refusal", "expected"), TRANSLATED.items(), ids=[f"{code}-{at}" for code, at in TRANSLATED])
def test_a_refusal_is_translated_by_its_code_and_status(inhabit, refusal, expected):
    world, (code, status), (error, attempts) = inhabit(), refusal, expected

    def refuse(_params, _proceed):
        raise AwsError(code, "AWS's own words.", status)

    world.boundary.correct(GET, refuse)
    with pytest.raises(error) as raised:
        ask()
    assert type(raised.value) is error
    assert str(raised.value).startswith(f"could not read alias checkout:live: {code}: AWS's own words.")
    assert isinstance(raised.value.__cause__, ClientError)
    assert getattr(raised.value, "code", code) == code
    assert world.boundary.calls[GET] == attempts


def test_no_answer_in_time_is_to_be_tried_again_later(inhabit):
    world = inhabit(faults=[{"call": GET, "error": "lost_response", "times": "always"}])
    with pytest.raises(AwsUnavailable, match=r"no answer from AWS \(ReadTimeoutError\)") as raised:
        ask()
    assert isinstance(raised.value.__cause__, ReadTimeoutError)
    assert world.boundary.calls[GET] == 4


@pytest.mark.parametrize("error", ["ConnectTimeoutError", "EndpointConnectionError", "ConnectionClosedError"])
def test_a_connection_that_failed_is_to_be_tried_again_later(inhabit, error):
    """botocore has two families: those that were never there are no HTTPClientError."""
    world = inhabit(faults=[{"call": GET, "error": error, "times": "always"}])
    with pytest.raises(AwsUnavailable, match=rf"no answer from AWS \({error}\)"):
        ask()
    assert world.boundary.calls[GET] == 4


def test_what_the_sdk_itself_refuses_to_send_is_refused_under_its_name(inhabit):
    world = inhabit()
    with pytest.raises(AwsRefused, match="Invalid type for parameter Name") as raised:
        ask(Name=7)
    assert raised.value.code == "ParamValidationError"
    assert isinstance(raised.value.__cause__, ParamValidationError)
    assert world.boundary.calls[GET] == 0


def test_a_fault_of_our_own_is_not_blamed_on_aws(inhabit):
    inhabit()
    with pytest.raises(KeyError), sdk.refusals("read alias checkout:live"):
        {}["missing"]


def test_a_handler_gives_up_well_before_its_own_time_out(inhabit):
    """The functions' time-out is 30 seconds at least; four attempts that are refused at once take a fraction of it."""
    world = inhabit(faults=[{"call": GET, "error": "TooManyRequestsException", "times": "always"}])
    began = world.clock.now()
    with pytest.raises(AwsUnavailable):
        ask()
    assert world.clock.now() - began < 15


def test_a_service_has_one_client(inhabit):
    inhabit()
    assert sdk.client("lambda") is sdk.client("lambda")
    assert sdk.patient_client("lambda", 15) is sdk.patient_client("lambda", 15)
    assert sdk.patient_client("lambda", 15) is not sdk.patient_client("lambda", 20)
