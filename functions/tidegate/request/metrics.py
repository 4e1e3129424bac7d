"""Metrics of the user's own in a request: what is counted, by which dimensions, and how much worse may be."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tidegate.analysis.e_process import Tolerance
from tidegate.analysis.metric import (
    ALIAS,
    DURABLE,
    FUNCTION,
    PLACEHOLDERS,
    QUANTILES,
    TOLERATED_ERRORS,
    VERSION,
    CustomMetric,
    Series,
    quantile_name,
    tolerated_above,
)
from tidegate.printable import one_line
from tidegate.request.part import Or, Part, violation

MAX_METRICS: Final = 10
#: CloudWatch API reference, Metric and Dimension: namespace, names and values, and how many dimensions there are.
_MAX_NAME, _MAX_VALUE, _MAX_DIMENSIONS = 255, 1_024, 30
#: What the judge itself calls so.
_TAKEN: Final = frozenset({"errors", "slow p99", *map(quantile_name, QUANTILES)})
_IN_BRACES = re.compile(r"\{[^{}]*\}")
_WITHOUT_VERSION = (
    f"has no dimension with {VERSION}: a metric of all versions together compares nothing, so use an alarm on it"
)

#: What a request may name instead. Function URLs: Lambda Developer Guide, "Monitoring Lambda function URLs". Of durable
#: executions AWS publishes no metric by version, so they are counted by their events.
PRESETS: Final[dict[str, dict[str, Any]]] = {
    DURABLE: {"name": DURABLE},
    "url_5xx": {
        "name": "url_5xx",
        "bad": {"namespace": "AWS/Lambda", "metric": "Url5xxCount"},
        "total": {"namespace": "AWS/Lambda", "metric": "UrlRequestCount"},
        "sparse": True,
    },
}
_OF_ALIAS = {"FunctionName": FUNCTION, "Resource": f"{FUNCTION}:{ALIAS}", "ExecutedVersion": VERSION}

#: Of what is refused anyway.
_NOTHING: Final = Series("", "", ())

Text = Annotated[str, Field(min_length=1, max_length=_MAX_NAME)]


class ToleranceRequest(Part):
    """How much worse than the stable version the candidate may be."""

    max_ratio: Annotated[float, Field(ge=1, le=100)] | None = Field(
        None,
        description="So many times the stable version's rate; 1.2 for errors and 1.25 for slow (p99) by default.",
    )
    max_increase_percent: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None,
        description="And so many percentage points more; 0.1 for errors and 0.2 for slow (p99) by default.",
    )

    def tolerance(self, default: Tolerance) -> Tolerance:
        """These bounds, the default ones where none are given."""
        given = self.max_increase_percent
        return Tolerance(
            default.max_ratio if self.max_ratio is None else self.max_ratio,
            default.max_increase if given is None else given / 100,
        )


class SeriesRequest(Part):
    """A CloudWatch metric by its dimensions."""

    namespace: Text = Field(description="Such as Shop.")
    metric: Text = Field(description="The metric's name.")
    dimensions: dict[Text, Annotated[str, Field(min_length=1, max_length=_MAX_VALUE)]] = Field(
        max_length=_MAX_DIMENSIONS,
        description=f"All of its dimensions; {VERSION}, {FUNCTION} and {ALIAS} are filled in, and one holds {VERSION}.",
    )

    @field_validator("dimensions", mode="before")
    @classmethod
    def _is_an_object(cls, value: object) -> object:
        if not isinstance(value, dict):
            raise violation('must be an object such as {"service": "checkout", "version": "{version}"}')
        return value

    @field_validator("dimensions")
    @classmethod
    def _of_a_version(cls, value: dict[str, str]) -> dict[str, str]:
        unknown = sorted({found for text in value.values() for found in _IN_BRACES.findall(text)} - set(PLACEHOLDERS))
        if unknown:
            raise violation(f"{one_line(unknown[0][:40])} is not filled in: use {', '.join(PLACEHOLDERS)}")
        if shell := next((one for one in PLACEHOLDERS for text in value.values() if f"${one}" in text), None):
            raise violation(f"write {shell} without $: it is filled in as it stands, and the $ would stay")
        if not any(VERSION in text for text in value.values()):
            raise violation(_WITHOUT_VERSION)
        return value

    def series(self) -> Series:
        """As the plan keeps it."""
        return Series(self.namespace, self.metric, tuple(self.dimensions.items()))


class MetricRequest(ToleranceRequest):
    """A metric of yours that carries the version: what is bad among how many, or values above a percentile."""

    name: str = Field(min_length=1, max_length=60, description="What reports call it, such as orders failed.")
    bad: SeriesRequest | None = Field(None, description="Counts what is bad, by its sum.")
    total: SeriesRequest | None = Field(
        None, description="Counts what could have been bad; the version's invocations where it is left out."
    )
    value: SeriesRequest | None = Field(None, description="Values, of which those above a percentile are bad.")
    above: Annotated[str, Field(json_schema_extra={"pattern": r"^p(5|6|7|8|9)\d(\.\d{1,2})?$"})] | None = Field(
        None, description="With value: that percentile of the stable version's values of the day before; p50 to p99.99."
    )
    sparse: bool = Field(False, description="No datapoint of bad means that nothing was bad, where total has one.")
    new: bool = Field(
        False, description="It may not have been seen before; then it may speak against a version, and proves none."
    )

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if value in _TAKEN:
            raise violation(f"{value} is what the judge itself calls a metric: use another name")
        if one_line(value) != value or value != value.strip():
            raise violation("must be one line of text, with nothing around it")
        return value

    @field_validator("above", mode="before")
    @classmethod
    def _is_a_text(cls, value: object) -> object:
        if value is not None and not isinstance(value, str):
            raise violation('must be a percentile in quotes, such as "p99"')
        return value

    @field_validator("above")
    @classmethod
    def _is_a_percentile(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"p[5-9]\d(\.\d{1,2})?", value):
            raise violation(f"{value[:20]!r} is no percentile from p50 to p99.99")
        return value

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        wrong = []
        if self.is_durable:
            if self.model_fields_set - {"name", "max_ratio", "max_increase_percent"}:
                raise violation(f"{DURABLE} is counted by events: give its name alone, or what is tolerated")
            return self
        if (self.bad is None) == (self.value is None):
            wrong.append("give either bad, which is counted, or value with above")
        if self.bad is not None and self.value is None and self.above is not None:
            wrong.append("above goes with value, not with bad")
        elif (self.value is None) != (self.above is None):
            wrong.append('value and above go together: {"value": {…}, "above": "p99"}')
        if self.value is not None and self.total is not None:
            wrong.append("total goes with bad: of values, all are counted")
        if self.sparse and (self.bad is None or self.total is None):
            wrong.append("sparse goes with bad and total")
        if wrong:
            raise violation("; ".join(wrong))
        return self

    @property
    def is_durable(self) -> bool:
        """Whether these are the executions of a durable function."""
        return self.name == DURABLE

    def metric(self) -> CustomMetric:
        """As the plan keeps it; of one that is a series."""
        counted = self.bad or self.value
        usual = tolerated_above(self.above) if self.above else TOLERATED_ERRORS
        return CustomMetric(
            self.name,
            self.tolerance(usual),
            counted.series() if counted else _NOTHING,
            self.total.series() if self.total else None,
            self.above,
            sparse=self.sparse,
            new=self.new,
        )


def _of_preset(value: object) -> object:
    if isinstance(value, dict):
        return value
    preset = PRESETS.get(value) if isinstance(value, str) else None
    if preset is None:
        meant = get_close_matches(value.lower(), PRESETS, n=1) if isinstance(value, str) else []
        hint = f" (did you mean {meant[0]}?)" if meant else ""
        raise violation(f"must be an object, or one of {', '.join(PRESETS)} in quotes{hint}")
    return {key: {**one, "dimensions": _OF_ALIAS} if isinstance(one, dict) else one for key, one in preset.items()}


Metric = Annotated[MetricRequest, BeforeValidator(_of_preset), Or(enum=list(PRESETS))]
