"""The files that are deployed, as data."""

import json
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


class _CloudFormation(yaml.SafeLoader):
    """Reads CloudFormation's short tags as their long form without the `Fn::`."""


def _tag(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, object]:
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    return {name: loader.construct_sequence(node, deep=True)}


_CloudFormation.add_multi_constructor("!", _tag)

MACHINE = json.loads((ROOT / "statemachine/rollout.asl.json").read_text())
TEMPLATE = yaml.load((ROOT / "template.yaml").read_text(), _CloudFormation)  # noqa: S506 - a SafeLoader
RESOURCES = TEMPLATE["Resources"]
FUNCTIONS = {
    name: found["Properties"] for name, found in RESOURCES.items() if found["Type"] == "AWS::Serverless::Function"
}
