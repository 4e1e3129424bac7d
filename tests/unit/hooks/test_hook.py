"""Hooks: nothing but a yes in time is a yes, and the sentence says what it was instead."""

import json
from dataclasses import asdict

import pytest

from tidegate.hooks.hook import MAX_ANSWER_BYTES, NO_HOOKS, Hook, Hooks, failure
from tidegate.hooks.smoke_test import Answer

HOOK = Hook("check", 20)
YES = b'{"status": "Succeeded"}'


@pytest.mark.parametrize("payload", [YES, b'{"status": "Succeeded", "reason": "all is well", "rows": [1]}'])
@pytest.mark.parametrize("duration_ms", [1, 20_000])
def test_a_yes_in_time_passes(payload, duration_ms):
    assert failure(HOOK, Answer(payload, None, duration_ms)) is None


@pytest.mark.parametrize(
    ("payload", "function_error", "duration_ms", "why"),
    [
        (b'{"status": "Failed", "reason": "the till is open"}', None, 1, "says no: the till is open"),
        (b'{"status": "Failed"}', None, 1, "says no: it gives no reason"),
        (b'{"status": "Failed", "reason": {"code": 7}}', None, 1, "says no: {'code': 7}"),
        (b'{"status": "Failed", "reason": "a\\n\\nb \\u001b[31m\\u202e"}', None, 1, "says no: a b \\u001b[31m\\u202e"),
        (YES, "Unhandled", 1, "failed with Unhandled"),
        (YES, None, 20_001, "did not answer within 20 s"),
        (b"", None, 25_000, "did not answer within 20 s"),
        (b"", None, 1, "answered nothing, where"),
        (b"null", None, 1, "answered null, where"),
        (b"[]", None, 1, "answered [], where"),
        (b'"Succeeded"', None, 1, 'answered "Succeeded", where'),
        (b"<html>", None, 1, "answered <html>, where"),
        (b"\xff\xfe", None, 1, "is expected"),
        (b'{"status": "succeeded"}', None, 1, 'answered {"status": "succeeded"}, where {"status": "Succeeded"} or'),
        (b'{"status": true}', None, 1, "is expected"),
        (b'{"status": ["Succeeded"]}', None, 1, "is expected"),
        (b"[" * 15_000, None, 1, "is expected"),
    ],
)
def test_anything_else_says_why(payload, function_error, duration_ms, why):
    assert why in (failure(HOOK, Answer(payload, function_error, duration_ms)) or "")


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps({"status": "Failed", "reason": "x" * 10_000}).encode(),
        json.dumps({"status": "Succeeded", "rows": "x" * MAX_ANSWER_BYTES}).encode(),
        b"x" * 1_000_000,
    ],
    ids=["long reason", "long yes", "long garbage"],
)
def test_no_more_of_an_answer_is_read_or_repeated_than_a_message_can_hold(payload):
    assert 0 < len(failure(HOOK, Answer(payload, None, 1)) or "") < 400


def test_hooks_survive_the_plan_and_name_each_function_once():
    hooks = Hooks(before_traffic=HOOK, after_traffic=Hook("check", 60))
    assert Hooks.from_json(json.loads(json.dumps(asdict(hooks)))) == hooks
    assert (hooks.names(), NO_HOOKS.names()) == (("check",), ())
    assert (hooks.at("each_step"), hooks.at("before_traffic")) == (None, HOOK)
