"""What AWS was recorded to answer, fact by fact, seen through a real SDK client.

Each row of `facts/` has the id by which docs/assumptions.md names it, what was recorded, and where: LS is
localstack/localstack at 8b9a79f0, whose `tests/aws/services/*.snapshot.json` are answers of real AWS, by the name of
the test that took them. Names, accounts and moments are the sandbox's own. A row that says "reported" was told by
somebody, not recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.scenario import Scenario
from sandbox.world import World
from tests.aws import cloudwatch_account, lambda_account
from tests.aws.step_functions import world as state_machines
from tests.sandbox.facts.alarms import ALARMS
from tests.sandbox.facts.aliases import ALIASES
from tests.sandbox.facts.events import EVENTS, QUEUED, SCENARIO
from tests.sandbox.facts.fact import Fact
from tests.sandbox.facts.provisioning import PROVISIONING
from tests.sandbox.facts.states import STATES, STRUCK
from tests.sandbox.facts.versions import VERSIONS

FACTS = [*VERSIONS, *ALIASES, *PROVISIONING, *STATES, *(fact for fact, _ in STRUCK), *ALARMS, *EVENTS, QUEUED]
ASSUMPTIONS = (Path(__file__).parents[2] / "docs/assumptions.md").read_text(encoding="utf-8")


def rows(facts: list[Fact]) -> Any:
    return pytest.mark.parametrize("fact", facts, ids=lambda fact: f"{fact.id}: {fact.what}")


@pytest.fixture
def function() -> Iterator[lambda_account.Account]:
    """Nothing is published yet."""
    with lambda_account.opened_account() as account:
        yield account


@rows(VERSIONS)
def test_versions(fact: Fact, function: lambda_account.Account) -> None:
    assert fact.seen(function) == fact.expected


@rows([*ALIASES, *PROVISIONING])
def test_aliases(fact: Fact, function: lambda_account.Account) -> None:
    function.alias()
    assert fact.seen(function) == fact.expected


@rows(STATES)
def test_states(fact: Fact, tmp_path: Path) -> None:
    with state_machines(tmp_path) as sfn:
        assert fact.seen(sfn) == fact.expected


@pytest.mark.parametrize(
    ("fact", "faults"), [pytest.param(*each, id=f"{each[0].id}: {each[0].what}") for each in STRUCK]
)
def test_handlers_that_are_struck(fact: Fact, faults: dict[str, Any], tmp_path: Path) -> None:
    with state_machines(tmp_path, **faults) as sfn:
        assert fact.seen(sfn) == fact.expected


@rows(ALARMS)
def test_alarms(fact: Fact) -> None:
    with cloudwatch_account.account_with(delay_seconds=0) as account:
        assert fact.seen(account) == fact.expected


@rows(EVENTS)
def test_events(fact: Fact) -> None:
    with World(Scenario.of(SCENARIO), {"function_name": "checkout", "alias_name": "live"}) as world:
        assert fact.seen(world) == fact.expected


@rows([QUEUED])
def test_queues(fact: Fact, tmp_path: Path) -> None:
    assert fact.seen(tmp_path) == fact.expected


def test_the_page_on_assumptions_names_each_fact_once_and_no_other() -> None:
    (table,) = re.findall(r"^## What was recorded\n(.*?)(?=^## |\Z)", ASSUMPTIONS, re.DOTALL | re.MULTILINE)
    named = [name for cell in re.findall(r"^\| ([A-Z].*?) \|", table, re.MULTILINE) for name in cell.split(", ")]
    assert sorted(named) == sorted(fact.id for fact in FACTS)
    assert len(named) == len(set(named))
