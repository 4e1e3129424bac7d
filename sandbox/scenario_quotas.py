"""A scenario's quotas: how many calls a second the account's APIs take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Field, StringConstraints, Tag

from sandbox.aws.quotas import Quota
from sandbox.aws.shapes import shape

_Rate = Annotated[float, Field(gt=0)]


@shape
class RateAndBurst:
    """A bucket that is filled with `rate` calls a second and holds `burst`; a second's calls, where nothing is said."""

    rate: _Rate
    burst: Annotated[float, Field(ge=1)] | None = None


def _kind(value: Any) -> str:
    return "<object>" if isinstance(value, (Mapping, RateAndBurst)) else "<number>"


#: By service, or by `service.Operation`.
Quotas = dict[
    Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[A-Za-z0-9]+)?$")],
    Annotated[
        Annotated[_Rate, Tag("<number>")] | Annotated[RateAndBurst, Tag("<object>")],
        Discriminator(_kind),
    ],
]


def bucket(said: float | RateAndBurst) -> Quota:
    """A quota as it is enforced: a bucket that holds less than one call would let none pass."""
    given = said if isinstance(said, RateAndBurst) else RateAndBurst(rate=said)
    return Quota(given.rate, given.burst or max(given.rate, 1.0))
