"""An alias as its CloudFormation stack declares it, and whether the stack's next update would move it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from tidegate.frozen import frozen
from tidegate.json_text import as_object

_ADVICE = (
    "keep the alias by DeletionPolicy: Retain, then let the stack publish another; or leave FunctionVersion fixed; see"
    " docs/infrastructure-as-code.md"
)


@frozen
class DeclaredAlias:
    """`fixed`: its FunctionVersion is a number, written out, so that no update of the stack changes it. `unread`: the
    stack has it, and its template could not be read.
    """

    stack_name: str
    fixed: bool = True
    weighted: bool = False
    deployed_by_codedeploy: bool = False
    unread: bool = False

    @classmethod
    def parse(cls, stack_name: str, resource: Mapping[str, Any]) -> Self:
        """From the resource in a template, JSON or YAML, where every scalar may be its text."""
        declared, policy = as_object(resource.get("Properties")), as_object(resource.get("UpdatePolicy"))
        version = declared.get("FunctionVersion")
        return cls(
            stack_name,
            fixed=isinstance(version, (str, int)) and re.fullmatch(r"\d+", str(version)) is not None,
            weighted="RoutingConfig" in declared,
            deployed_by_codedeploy="CodeDeployLambdaAliasUpdate" in policy,
        )

    def warnings(self) -> tuple[str, ...]:
        """What would become of a rollout at the stack's next update; nothing where it leaves the alias alone."""
        if self.unread:
            unread = (
                f"stack {self.stack_name} has this alias, and its template cannot be read here: see that none of its"
            )
            return (f"{unread} updates moves the alias; {_ADVICE}",)
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
