"""docs/security.md says of every role what the template gives it, and what people need, and no more."""

import json
import re

import pytest

from sandbox.aws.iam import statements as parsed
from tests.contract.artifacts import FUNCTIONS, ROOT, deployed
from tests.contract.test_policies import listed, resource_formats
from tests.contract.test_template import statements as written

PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
ACCOUNT = (ROOT / "functions/tidegate/cli/account.py").read_text(encoding="utf-8")
POLICIES = [
    document
    for text in re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    if "Statement" in text
    for document in [json.loads(text)]
]
HOOK = "check-checkout"
STACK = deployed(hooks=HOOK)
TASKS = (
    "PlanRollout",
    "PublishVersion",
    "VerifyCandidate",
    "ShiftTraffic",
    "RunHook",
    "CheckHealth",
    "Promote",
    "RollBack",
)

#: The page's words for resources, by what stands in an ARN after the account, or the whole of it.
PLACES = {
    "*": "everything",
    "function:checkout": "targets",
    "function:checkout:*": "target versions",
    f"function:{HOOK}": "hooks",
    f"function:{HOOK}:*": "hooks",
    "function:*:$LATEST": "latest",
    "parameter/tidegate/profiles/*": "profiles",
    "parameter/tidegate/settings/tidegate": "settings",
    "stack/*/*": "stacks",
    "execution:tidegate-rollout:*": "executions",
    "stateMachine:tidegate-rollout": "machine",
    "table/tidegate-RolloutTable": "books",
    "table/tidegate-RolloutTable/index/watched": "index",
    "event-bus/default": "bus",
    "tidegate-DeadLetters": "dead letters",
    "tidegate-DurableExecutions": "durable queue",
    "rule/tidegate-DurableExecutionsChanged": "durable rule",
    "function:tidegate-SweepFunction:live": "sweeper",
    **{f"function:tidegate-{task}Function:*": "tasks" for task in TASKS},
}

Grants = set[tuple[str, str, str, str]]


def place(resource: str, effect: str) -> str:
    what = resource.split(":", 5)[-1]
    return "itself" if effect == "Deny" and what.startswith("function:tidegate-") else PLACES[what]


def granted() -> Grants:
    """Role, Allow or Deny, action and place, for every statement that is deployed."""
    apart = [created.properties for created in STACK.of_kind("AWS::IAM::Policy").values()]
    found = {
        (name.removesuffix("Role"), statement["Effect"], action, place(resource, statement["Effect"]))
        for name, role in STACK.of_kind("AWS::IAM::Role").items()
        for policy in [*role.properties.get("Policies", []), *(each for each in apart if role.ref in each["Roles"])]
        for statement in listed(policy["PolicyDocument"]["Statement"])
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }
    # A stack without a topic notifies nobody.
    notifiers = {name for name, of in FUNCTIONS.items() for one in written(of) if one["Sid"] == "Notify"}
    return found | {(name, "Allow", "sns:Publish", "topic") for name in notifiers}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def table(heading: str) -> list[list[str]]:
    """The rows of the table below a heading."""
    below = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [cells(line) for line in below.splitlines() if line.startswith("| `")]


def told() -> Grants:
    """The same as the page has it: `may` is "place: `action` `action`; place: …", `never` so too."""
    return {
        (role.strip("`"), effect, action, what.partition(":")[0].strip())
        for role, may, never in table("Roles")
        for effect, cell in (("Allow", may), ("Deny", never))
        for what in cell.split(";")
        for action in re.findall(r"`(\S+)`", what)
    }


def test_the_page_says_of_every_role_what_the_template_gives_it():
    assert told() == granted()


def test_every_place_that_a_role_reaches_is_explained():
    explained = set(re.findall(r"^\| \*\*(.+?)\*\* \|", PAGE, re.MULTILINE))
    assert explained == {where for *_, where in granted()}


def test_the_policies_for_people_are_all_that_the_command_line_asks_for():
    asked = set(re.findall(r'_asking\("([\w:]+)"\)', ACCOUNT))
    # "No permissions are required to perform this operation" (AWS STS API reference, GetCallerIdentity).
    allowed = {action for policy in POLICIES for one in parsed(policy, "page") for action in one.actions}
    assert allowed == asked - {"sts:GetCallerIdentity"}


@pytest.mark.parametrize("number", range(len(POLICIES)))
def test_a_policy_for_people_names_resources_of_a_kind_that_its_actions_have(number):
    for statement in parsed(POLICIES[number], "page"):
        assert statement.effect == "Allow"
        for action in statement.actions:
            formats = resource_formats(action)
            for resource in statement.resources:
                assert any(re.match(each, resource) for each in formats), (statement.name, action, resource)
