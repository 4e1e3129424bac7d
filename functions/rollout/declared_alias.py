"""An alias as its CloudFormation stack declares it, and whether the stack's next update would move it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_ADVICE = (
    "keep the alias by DeletionPolicy: Retain, then let the stack publish another; or leave FunctionVersion fixed; see"
    " docs/infrastructure-as-code.md"
)


@dataclass(frozen=True, slots=True)
class DeclaredAlias:
    """`fixed`: its FunctionVersion is written out, so that no update of the stack changes it."""

    stack_name: str
    fixed: bool
    weighted: bool
    deployed_by_codedeploy: bool

    @classmethod
    def parse(cls, stack_name: str, resource: Mapping[str, Any]) -> Self:
        """From the resource in a template's JSON."""
        properties, policy = resource.get("Properties"), resource.get("UpdatePolicy")
        declared = properties if isinstance(properties, dict) else {}
        return cls(
            stack_name,
            fixed=isinstance(declared.get("FunctionVersion"), (str, int)),
            weighted="RoutingConfig" in declared,
            deployed_by_codedeploy=isinstance(policy, dict) and "CodeDeployLambdaAliasUpdate" in policy,
        )

    @classmethod
    def parse_yaml(cls, stack_name: str, block: str) -> Self:
        """From the resource's lines in a template that is YAML, as far as they are plain."""
        version = re.search(r"^\s+FunctionVersion:\s*(.*)$", block, re.MULTILINE)
        return cls(
            stack_name,
            fixed=version is not None and re.fullmatch(r"""(["']?)\d+\1\s*(#.*)?""", version[1]) is not None,
            weighted=re.search(r"^\s+RoutingConfig:", block, re.MULTILINE) is not None,
            deployed_by_codedeploy="CodeDeployLambdaAliasUpdate:" in block,
        )

    def warnings(self) -> tuple[str, ...]:
        """What would become of a rollout at the stack's next update; nothing where it leaves the alias alone."""
        reasons = [
            reason
            for reason, holds in (
                ("CodeDeploy deploys it", self.deployed_by_codedeploy),
                ("its FunctionVersion follows the code, as with AutoPublishAlias", not self.fixed),
                ("its template has a RoutingConfig", self.weighted),
            )
            if holds
        ]
        if not reasons:
            return ()
        why = ", ".join(reasons)
        return (f"stack {self.stack_name} moves this alias at its next update ({why}): {_ADVICE}",)


def resource_block(template: str, logical_id: str) -> str | None:
    """The lines of one resource in a template's YAML: its own, and all below it that stand further to the right."""
    found = re.search(rf"^(?P<indent>[ ]+){re.escape(logical_id)}:[ ]*(#.*)?\n", template, re.MULTILINE)
    if found is None:
        return None
    lines = []
    for line in template[found.end() :].splitlines():
        if line.strip() and len(line) - len(line.lstrip()) <= len(found["indent"]):
            break
        lines.append(line)
    return "\n".join(lines)
