"""What a scenario says of the callers and of how both versions serve them: keys that make traffic."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Final, Self

from pydantic import Field
from pydantic import model_validator as validator

from sandbox.aws.shapes import Count, Name, Rate, Second, shape

RequestsPerMinute = Annotated[float, Field(ge=0, le=1_000_000)]


@shape
class Duration:
    """How long an invocation takes: log-normal, given by two of its percentiles in milliseconds. None: as Version."""

    median: Annotated[float, Field(gt=0)] | None = None
    p99: Annotated[float, Field(gt=0)] | None = None

    @validator(mode="after")
    def _ordered(self) -> Self:
        if self.median and self.p99 and self.p99 < self.median:
            raise ValueError("p99 is below the median")
        return self


#: A Managed Instance may run for so long, any other function for 1,800 s (Lambda API reference, Timeout).
LONGEST_TIMEOUT_SECONDS: Final = 5400


@shape
class Hang:
    """A share of the requests runs for so many seconds and fails by time-out."""

    share: Rate
    seconds: Annotated[float, Field(gt=0, le=LONGEST_TIMEOUT_SECONDS)]


@shape
class Version:
    """How one version behaves and what Lambda says of it. None: as the other version, or as Lambda's default."""

    error_rate: Rate | None = None
    error_rate_by_minute: Annotated[tuple[Rate, ...], Field(min_length=1)] | None = None
    answered_error_rate: Rate | None = None
    duration_ms: Duration | None = None
    slow_by_minute: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] | None = None
    fails_in_ms: Annotated[float, Field(gt=0)] | None = None
    hang: Hang | None = None
    cold_start_ms: Second | None = None
    cold_starts: Count | None = None
    role: Name | None = None
    state: Name | None = None
    active_after_seconds: Second | None = None

    def over(self, base: Version) -> Version:
        """This version, with `base`'s value for each key that it does not give.

        A list of error rates speaks for the rollout's minutes, so it does not outlive a plain rate given here.
        """
        given, kept = _given(self), _given(base)
        if "error_rate" in given:
            kept.pop("error_rate_by_minute", None)
        duration_ms = {**_given(base.duration_ms), **_given(self.duration_ms)}
        return Version(**{**kept, **given, "duration_ms": Duration(**duration_ms)})


def _given(shape: Version | Duration | None) -> dict[str, Any]:
    values = {key.name: getattr(shape, key.name) for key in fields(shape)} if shape else {}
    return {name: value for name, value in values.items() if value is not None}


SERVED = Version(error_rate=0.001, duration_ms=Duration(median=80, p99=400), cold_start_ms=0, cold_starts=0)


@shape
class DayBefore:
    """What the function's traffic was before the rollout. None: as in the rollout; 0 requests a minute: none at all.

    `last_hour_error_rate`: how often the stable version has failed in the last hour of it. None: as before that.
    """

    requests_per_minute: RequestsPerMinute | None = None
    error_rate: Rate | None = None
    last_hour_error_rate: Rate | None = None


@shape
class Bursts:
    """Every so many seconds, counted from `first_second`, `seconds` of another number of requests a minute.

    They have come at the same rhythm in the day before; from the start on, the first one is at `first_second`.
    """

    every_seconds: Annotated[float, Field(ge=1)]
    first_second: Second = 0
    seconds: Annotated[float, Field(gt=0)]
    requests_per_minute: RequestsPerMinute

    @validator(mode="after")
    def _apart(self) -> Self:
        if self.seconds > self.every_seconds:
            raise ValueError("seconds is more than every_seconds")
        return self


@shape
class _While:
    """From one second of the rollout up to another."""

    from_second: Second
    to_second: Second

    @validator(mode="after")
    def _forward(self) -> Self:
        if self.to_second <= self.from_second:
            raise ValueError("to_second is not after from_second")
        return self

    def lasts_at(self, second: float) -> bool:
        """Whether it is the case at a second of the rollout."""
        return self.from_second <= second < self.to_second


@shape
class Outage(_While):
    """A dependency of both versions fails: `error_rate` of their requests."""

    error_rate: Rate


@shape
class Throttles(_While):
    """A share of all callers' requests reaches no version: Lambda throttles them."""

    share: Rate


@shape
class Counts:
    """What one version did in one minute; `slow` requests are the ones over the request's latency limit."""

    n: Count
    errors: Count = 0
    slow: Count = 0

    @validator(mode="after")
    def _within(self) -> Self:
        if max(self.errors, self.slow) > self.n:
            raise ValueError("more errors or slow requests than requests")
        return self


@shape
class ReplayMinute:
    """Minute `t` of the rollout as it was recorded: b the stable version, c the candidate."""

    t: Count
    b: Counts
    c: Counts
