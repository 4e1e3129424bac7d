"""The files that are deployed, as data."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from moto import mock_aws

from sandbox.aws.stack import Stack, Template

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


class _Unheard:
    """Stands where functions would run and schedules tick: what is deployed needs neither."""

    def register(self, function_name: str, **_: Any) -> None: ...

    def schedule(self, *_: Any) -> None: ...

    @property
    def polling(self) -> "_Unheard":
        return self

    def keep(self, *_: Any) -> None: ...

    def poll(self, *_: Any) -> None: ...

    def configure_async(self, *_: Any) -> None: ...


@cache
def deployed(pattern: str = "checkout", hooks: str = "") -> Stack:
    """What the SAM transform makes of the template, all references resolved, for a FunctionNamePattern and a
    HookFunctionNamePattern. To be read.
    """
    parameters = {"FunctionNamePattern": pattern, "HookFunctionNamePattern": hooks}
    with mock_aws():
        stack = Stack(Template.load(ROOT / "template.yaml", parameters), _Unheard(), _Unheard())
        stack.deploy()
        return stack
