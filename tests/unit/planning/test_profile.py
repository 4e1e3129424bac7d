"""A profile: what a request leaves out, and what it replaces."""

import json

import pytest

from tidegate.errors import RequestInvalid
from tidegate.planning.profile import Profile, name_in
from tidegate.planning.strategy import Step
from tidegate.request.rollout_request import RolloutRequest

NAMED = {"profile": "prod-api", "function_name": "checkout", "alias_name": "live"}


def profile(**document):
    return Profile.parse("prod-api", 4, json.dumps(document))


def parse(request, **document):
    kept = profile(**document)
    return RolloutRequest.parse(request, region="us-east-1", account="123456789012", profile=kept)


def test_the_request_wins_key_by_key_in_objects_and_as_a_whole_elsewhere():
    kept = profile(alarms=["a", "b"], health={"max_error_percent": 1, "judge": {"false_rollback": 0.01}}, force=True)
    merged = kept.under({"alarms": ["c"], "health": {"judge": {"tolerated_rollback": 0.2}}})
    assert merged == {
        "alarms": ["c"],
        "health": {"max_error_percent": 1, "judge": {"false_rollback": 0.01, "tolerated_rollback": 0.2}},
        "force": True,
    }


def test_a_strategy_is_replaced_as_a_whole_and_so_are_steps():
    linear = {"type": "linear", "increment": 10, "interval_seconds": 60}
    steps = [{"weight": 100, "bake_seconds": 60}]
    assert profile(strategy=linear).under({"strategy": {"type": "all_at_once"}}) == {
        "strategy": {"type": "all_at_once"}
    }
    assert profile(strategy=linear).under({"steps": steps}) == {"steps": steps}
    assert profile(steps=steps).under({"strategy": "AllAtOnce"}) == {"strategy": "AllAtOnce"}


def test_null_in_the_request_takes_back_what_the_profile_says():
    assert profile(health={"judge": {"false_rollback": 0.01}}).under({"health": {"judge": None}}) == {
        "health": {"judge": None}
    }


def test_a_request_and_its_profile_together_are_one_request():
    request = parse({"profile": "prod-api", "function_name": "checkout"}, alias_name="live", strategy="AllAtOnce")
    assert (request.function_name, request.alias_name) == ("checkout", "live")
    assert request.chosen_steps() == (Step(100, 0),)
    assert str(profile()) == "prod-api:4"


def test_what_is_wrong_in_a_profile_is_listed_as_the_profiles():
    with pytest.raises(RequestInvalid, match=r"2 problems in profile prod-api:4: .*wieght: unknown key"):
        parse(NAMED, wieght=1, force="yes")


def test_what_both_leave_out_is_required_of_the_request():
    with pytest.raises(RequestInvalid, match="1 problem in the request: alias_name: is required"):
        parse({"profile": "prod-api", "function_name": "checkout"}, force=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "prod-api:4 is not JSON: line 1, column 2: a key in double quotes is missing"),
        ('{"force": true', "prod-api:4 is not JSON: line 1, column 15: a comma, or the end"),
        ("", "prod-api:4 is not JSON: it is empty"),
        ("[" * 100_000, "prod-api:4 is nested too deeply"),
        ('{"force": true, "force": false}', "prod-api:4 cannot be used: the key 'force' is there twice"),
        ('{"smoke_tests": [{"payload": 1e999}]}', "prod-api:4 cannot be used: the number 1e999 is too large"),
        ("[]", "prod-api:4 is not a JSON object"),
        ('"{}"', "prod-api:4 is not a JSON object"),
        ('{"profile": "other"}', "prod-api:4 names a profile itself"),
    ],
)
def test_what_is_no_profile_is_refused(text, says):
    with pytest.raises(RequestInvalid, match=says):
        Profile.parse("prod-api", 4, text)


def test_a_byte_order_mark_in_front_of_a_profile_is_read_over():
    assert Profile.parse("prod-api", 4, '\ufeff{"force": true}').document == {"force": True}


@pytest.mark.parametrize(
    ("document", "name"),
    [
        (NAMED, "prod-api"),
        ({"profile": "prod-api:7"}, "prod-api:7"),
        ({"profile": "prod-api:0"}, None),
        ({"profile": "a/b"}, None),
        ({"profile": 7}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_only_a_legal_name_is_looked_up(document, name):
    assert name_in(document) == name
