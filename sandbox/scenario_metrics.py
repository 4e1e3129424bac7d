"""What a scenario says of metrics of the user's own: what counts in them, and where they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag
from pydantic import model_validator as validator

from sandbox.aws.cloudwatch import MINUTE_SECONDS
from sandbox.aws.shapes import Rate, Second, shape

#: How CloudWatch lets namespaces, metrics, dimensions and their values be called (its API reference, MetricDatum and
#: Dimension); it takes longer values than this.
MetricText = Annotated[str, StringConstraints(pattern=r"^[!-9;-~][ -~]{0,254}$")]


def _not_of_aws(namespace: str) -> str:
    if namespace.startswith("AWS/"):
        raise ValueError("AWS/ is for metrics of AWS's own")
    return namespace


@shape
class Shares:
    """Which share of each version's requests counts. The candidate's is as the stable version's where it is absent."""

    stable: Rate
    candidate: Rate | None = None


@shape
class Spread:
    """Values, one a request: log-normal, given by two of their percentiles."""

    median: Annotated[float, Field(gt=0)]
    p99: Annotated[float, Field(gt=0)]

    @validator(mode="after")
    def _ordered(self) -> Self:
        if self.p99 < self.median:
            raise ValueError("p99 is below the median")
        return self


@shape
class Values:
    """What each version's requests have as their values. The candidate's are as the stable version's where absent."""

    stable: Spread
    candidate: Spread | None = None


@shape
class Silence:
    """A while of whose minutes a version leaves nothing in the metric: from ever on, the day before included, unless
    `from_second` says when it begins, and for good, unless `to_second` says when it ends.
    """

    version: Literal["stable", "candidate", "both"]
    from_second: Second | None = None
    to_second: Second | None = None

    @validator(mode="after")
    def _forward(self) -> Self:
        if self.to_second is not None and self.to_second <= (self.from_second or 0):
            raise ValueError("to_second is not after from_second")
        return self

    def lasts(self, minute: int, *, stable: bool) -> bool:
        """Whether the version is silent in a minute of the rollout; those before it are negative."""
        if self.version not in ("both", "stable" if stable else "candidate"):
            return False
        begun = self.from_second is None or minute * MINUTE_SECONDS >= self.from_second
        return begun and (self.to_second is None or minute * MINUTE_SECONDS < self.to_second)


def _counts_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "<word>"
    return "<shares>" if isinstance(value, Mapping | Shares) else None


Counted = Annotated[
    Annotated[Literal["answered_errors", "requests"], Tag("<word>")] | Annotated[Shares, Tag("<shares>")],
    Discriminator(
        _counts_kind,
        custom_error_type="counts_kind",
        custom_error_message="must be 'answered_errors', 'requests', or an object of shares of 1",
    ),
]


@shape
class Metric:
    """A metric that the user's code keeps by version, one sample a request: 0 or 1 as it counts, or a value."""

    namespace: Annotated[MetricText, AfterValidator(_not_of_aws)]
    name: MetricText
    counts: Counted | None = None
    values: Values | None = None
    version_dimension: MetricText = "version"
    dimensions: Annotated[dict[MetricText, MetricText], Field(max_length=29)] = Field(default_factory=dict)
    silent: Silence | None = None

    @validator(mode="after")
    def _possible(self) -> Self:
        if (self.counts is None) == (self.values is None):
            raise ValueError("a metric has exactly one of counts and values")
        if self.version_dimension in self.dimensions:
            raise ValueError(f"{self.version_dimension} is the dimension of the version, and no fixed one beside it")
        return self

    def at(self, version: str) -> dict[str, str]:
        """The dimensions at which a version's are."""
        return {**self.dimensions, self.version_dimension: version}

    def silent_in(self, minute: int, *, stable: bool) -> bool:
        """Whether a version leaves nothing in it in a minute of the rollout; those before it are negative."""
        return self.silent is not None and self.silent.lasts(minute, stable=stable)


def told_twice(metrics: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Those of a raw file's metrics that are one and the same to CloudWatch: by namespace, name and dimensions."""
    known: list[tuple[Any, ...]] = []
    for index, metric in enumerate(metrics):
        of_version, fixed = metric.get("version_dimension", "version"), metric.get("dimensions", {})
        key = (metric.get("namespace"), metric.get("name"), of_version, fixed)
        if key in known:
            yield f"metrics.{index}: {metric.get('name')!r} is there twice, at the same dimensions"
        known.append(key)
