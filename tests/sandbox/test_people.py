"""What people of a scenario's timeline do to the alias, the function and the execution, and that the world copes.

Judged by the account, not by what the rollout makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sandbox.__main__ import main
from sandbox.aws.stack import client
from sandbox.scenario import Scenario, shipped
from sandbox.story import play, rollout_view, tell
from sandbox.world import STARTED_AT, World
from tidegate.views.rollout_view import remedy

REQUEST = {"function_name": "checkout", "alias_name": "live"}
LIVE = {"FunctionName": "checkout", "Name": "live"}
GONE = ("alias_deleted", "function_deleted")


@contextmanager
def played(*timeline: dict[str, Any], **scenario: Any) -> Iterator[World]:
    """A world in which everything has happened."""
    with World(Scenario.of({"timeline": timeline, **scenario}), REQUEST) as world:
        world.follow(world.start())
        world.settle()
        yield world


def test_a_description_is_written_and_nothing_else() -> None:
    with World(
        Scenario.of({"timeline": [{"at_second": 20, "do": "describe_alias", "description": "build 7"}]})
    ) as world:
        before = client("lambda").get_alias(**LIVE)
        world.follow(world.start())
        world.settle()
        after = client("lambda").get_alias(**LIVE)
    assert (before["Description"], after["Description"]) == ("", "build 7")
    assert after["RevisionId"] != before["RevisionId"]
    assert after["FunctionVersion"] == before["FunctionVersion"]
    assert (world.intervened_at, world.refused) == ([STARTED_AT + 20], [])


@pytest.mark.parametrize("what", ["delete_alias", "delete_function"])
def test_nobody_is_served_where_the_alias_is_gone(what: str) -> None:
    with played({"at_second": 100, "do": what}) as world:
        assert world.routings[-1] == (STARTED_AT + 100, None)
        assert world.routing is None
        assert world.intervened_at == [STARTED_AT + 100]
        world.traffic.catch_up(world.clock.now())
        served = sum(sum(each[0] for each in minute.values()) for _, minute in world.traffic.minutes())
    assert served == 1000


@pytest.mark.parametrize("what", ["delete_alias", "delete_function"])
def test_what_people_do_to_an_alias_that_is_gone_is_refused(what: str) -> None:
    described = {"at_second": 60, "do": "describe_alias", "description": "build 7"}
    moved = {"at_second": 70, "do": "update_alias", "weights": {}}
    with played({"at_second": 50, "do": what}, described, moved) as world:
        pass
    assert [refusal.split(":")[0] for refusal in world.refused] == ["describe_alias", "update_alias"]
    assert all("ResourceNotFoundException" in refusal for refusal in world.refused)


def test_a_version_that_the_alias_names_is_kept_and_another_one_goes() -> None:
    delete = {"at_second": 50, "do": "delete_version"}
    with played({**delete, "version": "3"}, {**delete, "version": "2"}, alias={"function_version": "3"}) as world:
        listed = client("lambda").list_versions_by_function(FunctionName="checkout")["Versions"]
    (refused,) = world.refused
    assert refused.startswith("delete_version: ")
    assert "ResourceConflictException" in refused
    assert {"1", "3"} <= {version["Version"] for version in listed}
    assert "2" not in {version["Version"] for version in listed}
    assert world.intervened_at == [], "it writes no alias"


def test_a_redriven_execution_is_followed_to_its_last_end() -> None:
    stop = {"at_second": 100, "do": "stop_execution"}
    timeline = [stop, {"at_second": 400, "do": "redrive"}]
    with World(Scenario.of({"timeline": timeline}), REQUEST) as world:
        arn = world.start()
        first = world.follow(arn)
        world.settle()
        last = world.follow(arn)
        told = tell(world, arn, first, 0.0)
        described = client("stepfunctions").describe_execution(executionArn=arn)
    assert (first.status, first.at) == ("ABORTED", STARTED_AT + 100)
    assert last.at > STARTED_AT + 400
    assert (told.status, told.virtual_seconds) == (last.status, round(last.at - STARTED_AT, 1))
    assert (described["status"], described["redriveCount"]) == (last.status, 1)
    assert world.clock.now() >= last.at + 180, "the sweeper has looked after the last end"
    assert world.intervened_at == [STARTED_AT + 400]


def test_redriving_what_runs_is_refused() -> None:
    with played({"at_second": 20, "do": "redrive"}) as world:
        pass
    (refused,) = world.refused
    assert "ExecutionNotRedrivable" in refused


def test_a_redriven_rollout_is_looked_at_while_it_runs() -> None:
    looks: list[float] = []
    play(REQUEST, shipped()["redriven"], 0, lambda world: looks.append(rollout_view(world).elapsed_seconds))
    assert any(380 < second < 440 for second in looks)


@pytest.mark.parametrize("scenario", GONE)
def test_the_story_of_an_alias_that_is_gone_has_none(
    scenario: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    request, page = tmp_path / "request.json", tmp_path / "report.html"
    request.write_text(json.dumps(REQUEST))
    main(["run", str(request), "--scenario", scenario, "--json", "--report", str(page)])
    told = json.loads(capsys.readouterr().out)
    assert told["alias"] is None
    assert told["traffic"]["requests"] > 0
    assert page.read_text().startswith("<!")


def test_a_weight_of_nothing_sends_nobody() -> None:
    with World(shipped()["weight_of_nothing"], REQUEST) as world:
        assert world.routing == ("1", {"2": 0.0})
        world.clock.sleep(120)
        world.traffic.catch_up(world.clock.now())
        assert world.traffic.counts.to_candidate == 0
        assert world.traffic.counts.requests == 1200


def test_idle_versions_wait_for_somebody_to_invoke_them() -> None:
    with World(shipped()["idle_versions"], REQUEST) as world:
        named = {"FunctionName": "checkout", "Qualifier": "7"}
        states = [client("lambda").get_function_configuration(**named)["State"]]
        with pytest.raises(client("lambda").exceptions.ClientError):
            client("lambda").invoke(**named)
        for _ in range(2):
            states.append(client("lambda").get_function_configuration(**named)["State"])
            world.clock.sleep(60)
        answer = client("lambda").invoke(**named)
    assert states == ["Inactive", "Pending", "Active"]
    assert json.loads(answer["Payload"].read())["version"] == "7"


@pytest.mark.parametrize(
    ("scenario", "call"), [("slow_publish", "lambda.PublishVersion"), ("slow_answers", "lambda.GetAlias")]
)
def test_calls_with_slow_answers_are_made_all_the_same(scenario: str, call: str) -> None:
    with World(shipped()[scenario], REQUEST) as world:
        asked: list[tuple[float, str | None]] = []
        world.boundary.listen(lambda each: asked.append((each.at, each.error)) if each.name == call else None)
        world.follow(world.start())
        listed = client("lambda").list_versions_by_function(FunctionName="checkout")["Versions"]
    assert "2" in {version["Version"] for version in listed}
    if scenario == "slow_publish":
        assert asked[0][1] == "ReadTimeoutError"
        assert asked[1][0] - asked[0][0] > 5
    else:
        assert {error for _, error in asked} == {None}


@pytest.mark.parametrize(
    "theirs",
    [{"do": "update_alias", "function_version": "3"}, {"do": "delete_alias"}],
)
def test_nobody_is_told_to_undo_what_somebody_did_before_a_stop(theirs: dict[str, Any]) -> None:
    with played({"at_second": 20, **theirs}, {"at_second": 25, "do": "stop_execution"}) as world:
        view = rollout_view(world)
    assert (view.outcome, remedy(view)) == ("interrupted", "")
