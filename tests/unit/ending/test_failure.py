"""What a Catch was given becomes a name and one sentence, whatever its Cause is."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tidegate.ending.failure import Failure


def test_lambdas_json_gives_its_message():
    cause = json.dumps({"errorMessage": "no such alias", "errorType": "AliasNotFound", "stackTrace": ["…"]})
    failure = Failure.from_error_output({"Error": "AliasNotFound", "Cause": cause})
    assert str(failure) == "AliasNotFound: no such alias"


def test_a_cause_that_is_text_or_absent():
    assert str(Failure.from_error_output({"Error": "States.Timeout"})) == "States.Timeout"
    assert str(Failure.from_error_output({"Error": "States.Timeout", "Cause": ""})) == "States.Timeout"
    assert str(Failure.from_error_output({"Error": "Lambda.Unknown", "Cause": "gone"})) == "Lambda.Unknown: gone"


def test_a_cause_that_is_nested_more_deeply_than_can_be_read_is_text():
    failure = Failure.from_error_output({"Error": "Boom", "Cause": '{"a":' * 5_000})
    assert failure is not None
    assert failure.message.startswith('{"a":')


def test_nothing_failed():
    assert Failure.from_error_output({}) is None


@given(st.text(), st.text(min_size=1))
def test_any_cause_is_understood_and_bounded(cause, name):
    failure = Failure.from_error_output({"Error": name, "Cause": cause})
    assert failure is not None
    assert len(failure.message) <= 2000
