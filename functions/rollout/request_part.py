"""What every part of a request is made of. Like all of `request`, only plan_rollout imports it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError

from rollout import strategy

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
