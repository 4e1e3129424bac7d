"""What people do in the course of a rollout, as a scenario's timeline says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, StringConstraints, Tag
from pydantic import model_validator as validator

from sandbox.aws.alarm_rule import AlarmState
from sandbox.aws.shapes import Name, Qualifier, Second, VersionNumber, Weights, shape


@shape
class StopExecution:
    """Somebody presses Stop."""

    at_second: Second
    do: Literal["stop_execution"]


@shape
class SetAlarm:
    """An alarm changes state; its next evaluation may change it back."""

    at_second: Second
    do: Literal["set_alarm"]
    name: Name
    state: AlarmState


@shape
class UpdateAlias:
    """Somebody else moves the alias; as in Lambda, what is not given stays as it is."""

    at_second: Second
    do: Literal["update_alias"]
    function_version: Qualifier | None = None
    weights: Weights | None = None

    @validator(mode="after")
    def _something(self) -> Self:
        if self.function_version is None and self.weights is None:
            raise ValueError("update_alias gives neither function_version nor weights")
        return self


@shape
class DescribeAlias:
    """Somebody else writes the alias's description and nothing else: its RevisionId changes all the same."""

    at_second: Second
    do: Literal["describe_alias"]
    description: Annotated[str, StringConstraints(max_length=256)]


@shape
class DeleteAlias:
    """Somebody deletes the alias."""

    at_second: Second
    do: Literal["delete_alias"]


@shape
class DeleteFunction:
    """Somebody deletes the function, with its versions and aliases."""

    at_second: Second
    do: Literal["delete_function"]


@shape
class DeleteVersion:
    """Somebody deletes a version, which Lambda refuses while an alias names it."""

    at_second: Second
    do: Literal["delete_version"]
    version: VersionNumber


@shape
class Redrive:
    """Somebody has the first execution go on where it ended; refused while it runs, and where it succeeded."""

    at_second: Second
    do: Literal["redrive"]


@shape
class Command:
    """An operator's command for the rollout of the target, given through Tidegate's own `command` function."""

    at_second: Second
    do: Literal["command"]
    command: Literal["pause", "resume", "approve", "reject", "advance", "finish", "abort", "revert"]
    author: Name = "somebody"
    reason: Name = "the scenario says so"
    rollout_id: Name | None = None


@shape
class StartExecution:
    """A second execution starts; without a request, with that of the first."""

    at_second: Second
    do: Literal["start_execution"]
    request: Any = None


def _action_kind(value: Any) -> str | None:
    do = value.get("do") if isinstance(value, Mapping) else None
    return f"<{do}>" if isinstance(do, str) else None


Action = Annotated[
    Annotated[StopExecution, Tag("<stop_execution>")]
    | Annotated[SetAlarm, Tag("<set_alarm>")]
    | Annotated[UpdateAlias, Tag("<update_alias>")]
    | Annotated[DescribeAlias, Tag("<describe_alias>")]
    | Annotated[DeleteAlias, Tag("<delete_alias>")]
    | Annotated[DeleteFunction, Tag("<delete_function>")]
    | Annotated[DeleteVersion, Tag("<delete_version>")]
    | Annotated[Command, Tag("<command>")]
    | Annotated[StartExecution, Tag("<start_execution>")]
    | Annotated[Redrive, Tag("<redrive>")],
    Discriminator(
        _action_kind,
        custom_error_type="action_kind",
        custom_error_message="do is one of stop_execution, set_alarm, update_alias, describe_alias, delete_alias, "
        "delete_function, delete_version, command, start_execution, redrive",
    ),
]
