"""What the shapes of a scenario file are made of: strict, frozen, and told of every fault at once."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

T = TypeVar("T")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
def shape(cls: type[T]) -> type[T]:
    """A key of a scenario file that is an object: every key of its own known, nothing converted."""
    return cast("type[T]", dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)(cls))


Rate = Annotated[float, Field(ge=0, le=1)]
Second = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, StringConstraints(min_length=1)]
#: All versions up to the highest one named are published, one by one.
#: CloudWatch lets no alarm's name contain ASCII control characters (its API reference, PutMetricAlarm).
AlarmName = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$")]
VersionNumber = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,2}$")]
Qualifier = Annotated[str, StringConstraints(pattern=r"^([1-9][0-9]{0,2}|\$LATEST)$")]
Weights = Annotated[dict[VersionNumber, Rate], Field(max_length=1)]
Comparison = Literal[
    "GreaterThanThreshold", "GreaterThanOrEqualToThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"
]
MissingDataTreatment = Literal["missing", "ignore", "breaching", "notBreaching"]
