"""The example files, read as AWS would: a template's values with every reference resolved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from sandbox.aws.intrinsics import Created, Resolver
from sandbox.aws.stack import ACCOUNT_ID, REGION

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
MACHINE_ARN = f"arn:aws:states:{REGION}:{ACCOUNT_ID}:stateMachine:tidegate-rollout"
#: What a request leaves in the metric that the function to practise on prints, as a scenario says it.
PRACTICE_ORDERS = {
    "namespace": "Practice",
    "name": "OrdersFailed",
    "counts": "answered_errors",
    "dimensions": {"function": "practice"},
}


class Shipped:
    """A CloudFormation template with parameters; a resource's `Ref` is its logical id, an attribute ID.Attribute."""

    def __init__(self, name: str, **parameters: str) -> None:
        self.template = yaml_parse((EXAMPLES / name).read_text(encoding="utf-8"))
        defaults = {key: each["Default"] for key, each in self.template["Parameters"].items() if "Default" in each}
        pseudo = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT_ID}
        made = {
            logical_id: Created(each["Type"], logical_id, _Attributes(logical_id))
            for logical_id, each in self.template["Resources"].items()
        }
        self._resolver = Resolver(
            {**defaults, **pseudo, **parameters},
            self.template.get("Conditions", {}),
            self.template.get("Mappings", {}),
            made,
        )

    def properties(self, logical_id: str) -> dict[str, Any]:
        """A resource's properties, all references resolved."""
        resolved: dict[str, Any] = self._resolver.resolve(self.template["Resources"][logical_id]["Properties"])
        return resolved

    def exists(self, logical_id: str) -> bool:
        """Whether the parameters ask for the resource."""
        condition = self.template["Resources"][logical_id].get("Condition")
        return condition is None or self._resolver.holds(condition)

    def statements(self, role: str) -> dict[str, dict[str, Any]]:
        """What a role may do, by Sid."""
        policies = self.properties(role)["Policies"]
        return {each["Sid"]: each for policy in policies for each in policy["PolicyDocument"]["Statement"]}


class _Attributes(Mapping[str, str]):
    """Every attribute there could be."""

    def __init__(self, logical_id: str) -> None:
        self._logical_id = logical_id

    def __getitem__(self, name: str) -> str:
        return f"{self._logical_id}.{name}"

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)


def request(name: str) -> dict[str, Any]:
    """A request that ships, below the project's folder."""
    document: dict[str, Any] = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return document
