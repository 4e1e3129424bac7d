"""The request: every violation at once, unknown keys refused, and nothing secret repeated."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.analysis.health import AlarmRule
from tidegate.errors import RequestInvalid
from tidegate.hooks.hook import Hook
from tidegate.planning.strategy import DEFAULT_STEPS, Step
from tidegate.request.rollout_request import FromAlias, RolloutRequest, json_schema

SMALLEST = {"function_name": "checkout", "alias_name": "live"}


def parse(document):
    return RolloutRequest.parse(document, region="us-east-1", account="123456789012")


def refusal(document):
    with pytest.raises(RequestInvalid) as caught:
        parse(document)
    return str(caught.value)


def test_the_smallest_request_has_safe_defaults():
    request = parse(SMALLEST)
    assert request.chosen_steps() == DEFAULT_STEPS
    assert (request.health.minimum_invocations, request.health.max_extension_seconds) == (10, 600)
    assert request.health.when_inconclusive == "extend"
    assert request.version is None
    assert not request.force


def test_strategies_by_name_by_object_and_as_steps():
    assert parse({**SMALLEST, "strategy": "Canary10Percent5Minutes"}).chosen_steps() == (Step(10, 300), Step(100, 0))
    growth = {"type": "exponential", "factor": 2, "interval_seconds": 120}
    assert parse({**SMALLEST, "strategy": growth}).chosen_steps()[:2] == (Step(2, 120), Step(4, 120))
    free = [{"weight": 0.5, "bake_seconds": 30}, {"weight": 100, "bake_seconds": 60}]
    assert parse({**SMALLEST, "steps": free}).chosen_steps() == (Step(0.5, 30), Step(100, 60))


def test_alarms_by_name_or_with_their_policy():
    alarms = ["errors", {"name": "slow", "if_already_firing": "ignore_until_ok"}]
    assert parse({**SMALLEST, "alarms": alarms}).alarm_rules() == (
        AlarmRule("errors", "reject"),
        AlarmRule("slow", "ignore_until_ok"),
    )


def test_a_request_may_name_its_schema_for_editors():
    assert parse({**SMALLEST, "$schema": "./request.schema.json"}).chosen_steps() == DEFAULT_STEPS
    schema = json_schema()
    assert (schema["$id"], "$schema" in schema["properties"]) == ("urn:tidegate:request:1", True)


def test_a_payload_that_is_nested_too_deeply_is_one_clear_error():
    payload: list[object] = []
    for _ in range(sys.getrecursionlimit() + 1_000):
        payload = [payload]
    assert "nested too deeply" in refusal({**SMALLEST, "smoke_tests": [{"payload": payload}]})


def test_the_form_is_judged_without_an_account_and_without_the_profile():
    assert RolloutRequest.problems({"profile": "team"}) == []
    assert RolloutRequest.problems({"profile": "team", "steps": []}) == ["steps: must not be empty"]
    assert RolloutRequest.problems({**SMALLEST, "function_name": "arn:aws:lambda:mars-1:1:function:checkout"}) == []
    assert RolloutRequest.problems({}) == ["function_name: is required", "alias_name: is required"]
    assert "pass an object" in RolloutRequest.problems([])[0]


def test_everything_that_is_wrong_with_the_steps_is_said_at_once():
    falling = [{"weight": 50, "bake_seconds": 1}, {"weight": 20, "bake_seconds": 1}]
    said = refusal({**SMALLEST, "strategy": "AllAtOnce", "steps": falling})
    assert "either strategy or steps, not both, and the weights must rise" in said
    assert "the last weight must be 100" in said


def test_the_function_by_its_arn():
    arn = "arn:aws:lambda:us-east-1:123456789012:function:checkout"
    assert parse({**SMALLEST, "function_name": arn}).function_name == "checkout"


def test_a_version_to_adopt():
    assert parse({**SMALLEST, "version": "7"}).version == "7"
    assert parse({**SMALLEST, "version": {"from_alias": "dev"}}).version == FromAlias(from_alias="dev")


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"function_name": "checkout:live"}, "neither a function's name nor its unqualified ARN"),
        ({"function_name": "arn:aws:lambda:us-east-1:123456789012:function:checkout:live"}, "qualified with 'live'"),
        ({"function_name": "arn:aws:lambda:eu-west-1:123456789012:function:checkout"}, "is in region eu-west-1"),
        ({"function_name": "arn:aws:lambda:us-east-1:210987654321:function:checkout"}, "is in account 210987654321"),
        ({"alias_name": "12"}, "not an alias name"),
        ({"alias_name": "$LATEST"}, "not an alias name"),
        ({"alias_name": "live\n"}, "not an alias name"),
        ({"version": 7}, "version: must be a text in quotes (got 7)"),
        ({"version": "$LATEST"}, "no published version"),
        ({"strategy": "Canary"}, "'Canary' is no strategy"),
        ({"strategy": {"type": "canary", "weight": 100, "interval_seconds": 1}}, "less than 100"),
        ({"steps": []}, "steps: must not be empty"),
        ({"steps": [{"weight": "NaN", "bake_seconds": 1}]}, "steps[0].weight: must be a number"),
        (
            {"steps": [{"weight": float("nan"), "bake_seconds": 1}]},
            "steps[0].weight: must be a number that is not infinite",
        ),
        ({"steps": [{"weight": 101, "bake_seconds": 1}]}, "must be at most 100 (got 101)"),
        ({"steps": [{"weight": 0.001, "bake_seconds": 1}]}, "more than two decimals"),
        ({"steps": [{"weight": 50, "bake_seconds": 1}, {"weight": 10, "bake_seconds": 1}]}, "weights must rise"),
        ({"steps": [{"weight": 50, "bake_seconds": 1}]}, "last weight must be 100"),
        ({"steps": [{"weight": 100, "bake_seconds": True}]}, "must be a whole number"),
        ({"steps": [{"weight": 100, "bake_seconds": 1}], "strategy": "AllAtOnce"}, "not both"),
        ({"alarms": ["a", "a"]}, "named more than once: a"),
        ({"alarms": ["arn:aws:cloudwatch:us-east-1:123456789012:alarm:a"]}, "give the alarm's name"),
        ({"health": {"max_error_percent": -1}}, "health.max_error_percent"),
        ({"smoke_tests": [{"expect": "a =="}]}, "is not JMESPath"),
        ({"smoke_tests": [{"expect": "foo(@)"}]}, "expect: is not JMESPath: it has no function foo"),
        ({"smoke_tests": [{"expect": "a.b#"}]}, "expect: is not JMESPath: it cannot be read from character 4 on"),
        ({"smoke_tests": [{"expect": "length(a, b)"}]}, "length() takes 1 values, and is given 2"),
        ({"smoke_tests": [{"expect": "|".join(["[@,@][]"] * 60)}]}, "expect: takes too much work: make it simpler"),
        ({"smoke_tests": [{"expect": "|".join(["[@,@]"] * 80) + "|to_string(@)"}]}, "takes too much work"),
        ({"hooks": {"each_step": "checkout:7"}}, "hooks: each_step: is the function that is rolled out: name another"),
        ({"version": {"from_alias": "live"}}, "version: from_alias is the alias itself"),
        ({"\ud800": 1}, "a key holds half a character (a lone surrogate)"),
        ({"description": "\ud800"}, "description: holds half a character (a lone surrogate)"),
        ({"$schema": 1}, "$schema: must be a text in quotes (got 1)"),
        ({"schema": "x", "\x1b[2J": 1}, "\\u001b[2J: unknown key"),
        ({"steps": [{"weight": 10**300, "bake_seconds": 1}]}, "(got 100000000000000000000000"),
        ({"health": {"max_duration_p99_ms": 6_000_000}}, "must be at most 5,400,000 (got 6000000)"),
        ({"steps": [{"weight": 1, "bake_seconds": 1}] * 1001}, "may have 1,000 entries at most"),
        ({"smoke_tests": [{"max_duration_ms": 300_000}] * 3}, "840,000 is the limit"),
        ({"smoke_tests": [{"payload": "x" * 200_000}]}, "100,000 is the limit"),
        (
            {"smoke_tests": [{"payload": {"a": [float("inf")]}}]},
            "a payload with NaN or a number that is too large (1e999)",
        ),
        ({"smoke_tests": [{"payload": {"\ud800": 1}}]}, "smoke_tests: have a payload with half a character"),
        ({"smoke_tests": [{"payload": ["\udfff"]}]}, "smoke_tests: have a payload with half a character"),
        ({"alarms": ["a\nb"]}, "alarms[0].name: has a control character, which no alarm's name may have"),
        ({"alarms": [{"name": "a\x7f"}]}, "alarms[0].name: has a control character"),
        ({"a\nb": 1}, "a\\nb: unknown key"),
        ({"profile": "a b"}, "profile: 'a b' is no profile's name: 1 to 100 letters, digits, '_', '.' and '-'"),
        ({"profile": "a:0"}, "profile: 'a:0' is no profile's name"),
        ({"smoke_tests": [{"payload": float("nan")}]}, "a payload with NaN or a number that is too large"),
        ({"hooks": {"each_step": "check/it"}}, "'check/it' is neither a function's name nor its ARN"),
        ({"hooks": {"each_step": {"function_name": "check", "timeout_seconds": 841}}}, "must be at most 840 (got 841)"),
        ({"hooks": {"after": "check"}}, "hooks.after"),
        (
            {
                "smoke_tests": [{"max_duration_ms": 300_000}],
                "hooks": {"before_traffic": {"function_name": "check", "timeout_seconds": 600}},
            },
            "may take 900,000 ms together, and 840,000 is the limit",
        ),
        ({"expected_code_sha256": "abc"}, "expected_code_sha256"),
        ({"force": "yes"}, "must be true or false"),
        ({"wieght": 10}, "wieght: unknown key"),
    ],
)
def test_bad_values_are_refused_by_name(part, says):
    assert says in refusal({**SMALLEST, **part})


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "the input is a list: pass an object"),
        (3, "the input is a number"),
        (None, "the input is null"),
        (json.dumps(SMALLEST), "the input is a JSON string"),
        ({"version": "0", "detail-type": "x", "source": "y", "detail": SMALLEST}, "a whole EventBridge event"),
    ],
)
def test_other_shapes_are_answered_with_what_to_do(document, says):
    assert says in refusal(document)


def test_fifty_problems_are_listed_in_one_message():
    steps = [{"weight": 200 + n, "bake_seconds": -1} for n in range(24)]
    message = refusal({"function_name": "a b", "steps": steps, "nonsense": 1})
    assert message.startswith("51 problems in the request: ")
    assert all(f"steps[{n}].weight" in message and f"steps[{n}].bake_seconds" in message for n in range(24))
    assert len(message) < 10_000


def test_a_message_stays_short_enough_to_be_read_whatever_is_wrong():
    message = refusal({**SMALLEST, "steps": [{"weight": 200 + n, "bake_seconds": -1} for n in range(900)]})
    assert message.startswith("1800 problems in the request: ")
    assert len(message) < 21_000


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"stratgy": "AllAtOnce"}, "stratgy: unknown key (did you mean strategy?)"),
        ({"alias": "live"}, "alias: unknown key (did you mean alias_name?)"),
        (
            {"health": {"max_error_percentage": 1}},
            "health.max_error_percentage: unknown key (did you mean max_error_percent?)",
        ),
        ({"health": {"judge": {"errors": {"ratio": 2}}}}, "health.judge.errors.ratio: unknown key (did you mean max_r"),
        ({"strategy": {"type": "linear", "increments": 5}}, "strategy.increments: unknown key (did you mean increm"),
        ({"version": {"fromalias": "latest"}}, "version.fromalias: unknown key (did you mean from_alias?)"),
        ({"hooks": {"each_step": {"functionname": "f"}}}, "functionname: unknown key (did you mean function_name?)"),
        ({"steps": [{"approval": {"on_time_out": "continue"}}]}, "on_time_out: unknown key (did you mean on_timeout?)"),
    ],
)
def test_an_unknown_key_suggests_the_nearest_known_one_of_its_object(part, says):
    assert says in refusal({**SMALLEST, **part})


@pytest.mark.parametrize(
    "part",
    [
        {"nonsense": 1},
        {"bake_second": 300},  # known in another object
        {"strategy": {"type": "canary", "weight": 10, "interval_seconds": 60, "increment": 5}},  # of another strategy
    ],
)
def test_an_unknown_key_that_resembles_no_key_of_its_object_suggests_none(part):
    assert refusal({**SMALLEST, **part}).endswith(": unknown key")


def test_suggestions_stand_beside_everything_else_that_is_wrong():
    assert refusal({"function_name": "checkout", "alias": "live", "force": 1}) == (
        "3 problems in the request: alias_name: is required; force: must be true or false (got 1);"
        " alias: unknown key (did you mean alias_name?)"
    )


def test_a_smoke_tests_payload_is_never_repeated():
    message = refusal({**SMALLEST, "smoke_tests": [{"payload": {"key": "hunter2"}, "max_duration_ms": "hunter2"}]})
    assert "hunter2" not in message
    assert "hunter2" not in refusal({**SMALLEST, "secret": "hunter2"})


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def complaint(document):
    """What is said against a document; None where it is parsed."""
    try:
        parse(document)
    except RequestInvalid as refused:
        return str(refused)
    return None


@given(json_values)
def test_any_json_is_parsed_or_refused(document):
    assert complaint(document) != ""


@given(st.dictionaries(st.sampled_from(sorted(RolloutRequest.model_fields)), json_values))
def test_any_value_in_any_field_is_parsed_or_refused(part):
    said = complaint({**SMALLEST, **part})
    assert said is None or "problem" in said


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        ("check", "check"),
        ("check:live", "check:live"),
        ("check:$LATEST", "check"),
        ("arn:aws:lambda:us-east-1:123456789012:function:check", "check"),
        ("arn:aws:lambda:us-east-1:123456789012:function:check:7", "check:7"),
    ],
)
def test_a_hook_is_kept_by_its_name_and_qualifier(named, kept):
    hooks = parse({**SMALLEST, "hooks": {"each_step": named}}).hooks.hooks()
    assert (hooks.each_step, hooks.before_traffic, hooks.after_traffic) == (Hook(kept, 60), None, None)


ELSEWHERE = [
    "arn:aws:lambda:eu-west-1:123456789012:function:checkout",
    "arn:aws:lambda:us-east-1:210987654321:function:checkout:7",
    "arn:aws-cn:lambda:us-east-1:123456789012:function:checkout",
]


@pytest.mark.parametrize("hook", ELSEWHERE)
def test_a_hook_of_another_place_is_not_taken_for_the_function_of_that_name(hook):
    document = {**SMALLEST, "hooks": {"each_step": hook}}
    assert RolloutRequest.problems(document) == []
    assert "is the function that is rolled out" not in refusal(document)
    assert "and this Tidegate serves" in refusal(document)


def test_a_hook_that_is_the_function_itself_is_refused_by_whatever_name():
    own = {**SMALLEST, "hooks": {"each_step": "arn:aws:lambda:us-east-1:123456789012:function:checkout"}}
    assert "is the function that is rolled out" in refusal(own)
    assert (
        "is the function that is rolled out" in RolloutRequest.problems({**own, "hooks": {"each_step": "checkout"}})[0]
    )
