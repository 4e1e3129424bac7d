"""Smoke tests: an answer passes, or the sentence says why, and repeats no more than an excerpt."""

import pytest

from tidegate.errors import SmokeTestInvalid
from tidegate.hooks.smoke_test import Answer, SmokeTest, failure

OK = b'{"statusCode": 200, "body": "fine"}'


def test_an_answer_in_time_passes():
    assert failure(SmokeTest(expect="statusCode == `200`"), Answer(OK, None, 50)) is None
    assert failure(SmokeTest(), Answer(b"", None, 50)) is None


@pytest.mark.parametrize(
    ("test", "answer", "why"),
    [
        (SmokeTest(), Answer(b'{"errorMessage": "boom"}', "Unhandled", 50), "failed with Unhandled"),
        (SmokeTest(max_duration_ms=100), Answer(OK, None, 2500), "took 2,500 ms, max_duration_ms is 100"),
        (SmokeTest(expect="statusCode == `201`"), Answer(OK, None, 50), "does not satisfy 'statusCode == `201`'"),
        (SmokeTest(expect="statusCode"), Answer(OK, None, 50), "does not satisfy 'statusCode'"),
        (SmokeTest(expect="a"), Answer(b"<html>", None, 50), "did not answer JSON"),
        (SmokeTest(expect="a == `1`"), Answer(b"", None, 50), "does not satisfy"),
        (SmokeTest(expect="length(body) > `9`"), Answer(b'{"body": 7}', None, 50), "(length() does not take a number)"),
        (
            SmokeTest(expect="floor(to_number(a)) > `1`"),
            Answer(b'{"a": "inf"}', None, 50),
            "computes or compares what cannot be",
        ),
        (SmokeTest(expect="to_string(@) < length(@)"), Answer(b"[1]", None, 50), "computes or compares what cannot be"),
        (SmokeTest(), Answer(b"\x1b[31m\xe2\x80\xae", "Unhandled", 50), "failed with Unhandled: \\u001b[31m\\u202e"),
    ],
)
def test_a_failing_answer_says_why(test, answer, why):
    assert why in (failure(test, answer) or "")


def test_an_expression_that_takes_too_much_work_convicts_nobody():
    with pytest.raises(SmokeTestInvalid, match="cannot be held against the candidate's answer: it takes too much work"):
        failure(SmokeTest(expect="|".join(["[@,@][]"] * 60)), Answer(b"[1]", None, 50))


def test_an_expectation_that_cannot_take_the_answer_repeats_no_more_than_an_excerpt():
    answer = Answer(b'{"body": {"secret": "' + b"x" * 5000 + b'"}}', None, 50)
    assert len(failure(SmokeTest(expect="abs(body) == `1`"), answer) or "") < 400


def test_only_an_excerpt_of_the_answer_is_repeated():
    assert len(failure(SmokeTest(), Answer(b"x" * 100_000, "Unhandled", 50)) or "") < 300


@pytest.mark.parametrize(("payload", "expect"), [(b"[1]", "[::0]"), (b"[" * 3000 + b"]" * 3000, "ok")])
def test_what_no_expression_can_be_held_against_fails_and_is_no_crash(payload, expect):
    assert failure(SmokeTest(expect=expect), Answer(payload, None, 1.0)) is not None


def test_an_answer_of_several_lines_makes_no_line_of_its_own():
    said = failure(SmokeTest(), Answer(b'{\n  "errorType": "x"\n}', "Unhandled", 50)) or ""
    assert said.endswith('{\\n  "errorType": "x"\\n}')
