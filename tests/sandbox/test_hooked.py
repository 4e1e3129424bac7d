"""The scenario's functions beside the target: their answers in turn, and what they were told."""

import json

import pytest

from sandbox.aws.boundary import caller
from sandbox.aws.stack import client
from sandbox.scenario import Scenario, ScenarioInvalid
from sandbox.world import World

REQUEST = {"function_name": "checkout", "alias_name": "live"}


def invoke(name: str, document: object) -> tuple[object, str | None]:
    response = client("lambda").invoke(FunctionName=name, Payload=json.dumps(document).encode())
    return json.loads(response["Payload"].read()), response.get("FunctionError")


def test_answers_come_in_turn_and_the_last_one_holds_on() -> None:
    with World(Scenario.of({"functions": [{"name": "check", "answers": [1, {"a": 2}]}]}), REQUEST) as world:
        assert [invoke("check", {"n": n}) for n in range(3)] == [(1, None), ({"a": 2}, None), ({"a": 2}, None)]
        assert [(told.function_name, told.qualifier, told.document) for told in world.hooked.told] == [
            ("check", "$LATEST", {"n": n}) for n in range(3)
        ]


def test_an_error_is_a_function_error() -> None:
    with World(Scenario.of({"functions": [{"name": "check", "error": "no such table"}]}), REQUEST):
        document, function_error = invoke("check:1", {})

    assert function_error == "Unhandled"
    assert document == {"errorMessage": "no such table", "errorType": "Exception", "stackTrace": []}


def test_an_answer_takes_its_time() -> None:
    """The caller is a handler, which Lambda bills; the account's owner gets an answer at once."""
    scenario = Scenario.of({"functions": [{"name": "check", "answer": 1, "duration_ms": 2500}]})
    with World(scenario, REQUEST) as world:
        began = world.clock.now()
        token = caller.set("run_hook")
        invoke("check", {})
        caller.reset(token)
        assert world.clock.now() - began == pytest.approx(2.55)


def test_a_function_cannot_be_the_target_too() -> None:
    with pytest.raises(ScenarioInvalid, match="'checkout' is the rollout's own target"):
        World(Scenario.of({"functions": [{"name": "checkout"}]}), REQUEST)
