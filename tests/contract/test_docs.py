"""The pages in docs/ keep their word: requests in them are valid, hooks in them work, links in them lead somewhere."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from sandbox.scenario import Scenario
from sandbox.world import World
from tests.contract.artifacts import ROOT
from tidegate.hooks.hook import Hook, failure
from tidegate.hooks.smoke_test import Answer
from tidegate.request.rollout_request import RolloutRequest

PAGES = {path.relative_to(ROOT / "docs"): path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md")}
BLOCKS = [
    (f"{page}:{number}", kind, text)
    for page, whole in PAGES.items()
    for number, (kind, text) in enumerate(re.findall(r"^```(\w+)\n(.*?)^```", whole, re.DOTALL | re.MULTILINE))
]
DOCUMENTS = {place: json.loads(text) for place, kind, text in BLOCKS if kind == "json"}
TOLD = {place: document for place, document in DOCUMENTS.items() if "hook" in document}
REQUESTS = {place: each for place, each in DOCUMENTS.items() if "function_name" in each and place not in TOLD}
HOOKS = [(place, text) for place, kind, text in BLOCKS if kind == "python" and '{"status": "Succeeded"}' in text]
SMALLEST = {"function_name": "checkout", "alias_name": "live"}


@pytest.mark.parametrize("place", REQUESTS)
def test_a_request_is_valid(place):
    assert RolloutRequest.parse(REQUESTS[place], region="us-east-1", account="123456789012")


def test_the_scenario_with_every_key_is_one_and_its_table_has_them_all():
    (document,) = (each for place, each in DOCUMENTS.items() if place.startswith("sandbox.md"))
    assert Scenario.of(document).candidate.state == "Pending"
    documented = set(
        re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.+?) \|", str(PAGES[Path("sandbox.md")]), re.MULTILINE)))
    )
    assert {field.name for field in dataclasses.fields(Scenario)} - {"description"} <= documented


@pytest.mark.parametrize("place", TOLD)
def test_a_hook_is_told_what_the_page_says(place):
    scenario = Scenario.of({"functions": [{"name": "check", "answer": None}]})
    with World(scenario, {**SMALLEST, "hooks": {TOLD[place]["hook"]: "check"}}) as world:
        world.follow(world.start())
        (told,) = world.hooked.told
    kinds = {key: type(value) for key, value in TOLD[place].items()}
    assert {key: type(value) for key, value in json.loads(json.dumps(told.document)).items()} == {
        **kinds,
        "weight_percent": type(told.document["weight_percent"]),
    }


@pytest.mark.parametrize("text", [text for _, text in HOOKS], ids=[place for place, _ in HOOKS])
@pytest.mark.parametrize(("error_rate", "says"), [(0, None), (1, "says no: version 2 does not take orders")])
def test_a_hook_of_a_page_says_yes_to_a_good_version_and_no_to_a_bad_one(text, error_rate, says, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    namespace = {}
    exec(text, namespace)  # noqa: S102 - the page's own code
    told = {**next(iter(TOLD.values())), "candidate_version": "2"}
    with World(Scenario.of({"candidate": {"error_rate": error_rate}}), SMALLEST):
        answer = json.dumps(namespace["handler"](told, None)).encode()
    assert failure(Hook("check"), Answer(answer, None, 1)) == says


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_linked_file_exists(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", PAGES[page])
    assert [link for link in links if not (ROOT / "docs" / page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_event_that_is_named_is_sent(page):
    named = set(
        re.findall(
            r"\b(Roll(?:out|back)(?:Started|Promoted|Unchanged|RolledBack|Rejected|Interrupted|Failed))\b", PAGES[page]
        )
    )
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "functions").rglob("*.py"))
    assert {event for event in named if f'"{event}"' not in source} == set()
