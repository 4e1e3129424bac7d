"""What every part of a request is made of. Like all of `request`, only plan_rollout imports it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError

from tidegate.planning import strategy

MAX_BAKE_SECONDS = 30 * 24 * 3600


class Or:
    """In the JSON Schema: the annotated object, or a plain value that stands for one."""

    def __init__(self, **plain_schema: Any) -> None:
        self._plain_schema = plain_schema

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [self._plain_schema, handler(schema)]}


def violation(message: str) -> PydanticCustomError:
    return PydanticCustomError("tidegate", "{message}", {"message": message})


def two_decimals(value: float) -> float:
    if round(value, strategy.WEIGHT_DECIMALS) != value:
        raise violation("has more than two decimals")
    return value


WeightPercent = Annotated[float, Field(gt=0, le=100)]
BakeSeconds = Annotated[int, Field(ge=0, le=MAX_BAKE_SECONDS)]
IntervalSeconds = Annotated[int, Field(ge=1, le=MAX_BAKE_SECONDS)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def keys_at(whole: type[Part], place: Sequence[str | int]) -> set[str]:
    """The keys that an object at this place of `whole` may have; pydantic's places name members of unions, too."""
    parts = [whole]
    for step in place:
        inner = [part.model_fields[step].annotation for part in parts if step in part.model_fields]
        if inner:
            parts = [part for annotation in inner for part in _parts(annotation)]
        else:
            parts = [part for part in parts if _tag(part) == step] or parts
    return {field.alias or key for part in parts for key, field in part.model_fields.items()}


def _parts(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    for inner in get_args(annotation):
        yield from _parts(inner)


def _tag(part: type[Part]) -> object:
    """What tells the part from the others of its union."""
    return next(iter(get_args(part.model_fields["type"].annotation)), None) if "type" in part.model_fields else None


def named(value: object, key: str, what: str) -> object:
    """A plain name as the object that it stands for; `what`: what it names, for the refusal of anything else."""
    if isinstance(value, str):
        return {key: value}
    if not isinstance(value, dict):
        raise violation(f"must be {what} in quotes, or an object")
    return value
