"""How many calls a second an account's APIs take of everybody together, as token buckets.

AWS documents rates and bursts of single services so (Step Functions Developer Guide, "Quotas related to API action
throttling"; Lambda Developer Guide, "Lambda quotas", for the control plane). Where only a rate is known, the bucket
holds a second's calls.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.aws.clock import Clock

#: Calls that a quota of their whole service does not speak of: Lambda's 15 requests a second are those of the control
#: plane, and these have quotas of their own ("Lambda quotas", API requests).
_APART: Final = frozenset({"lambda.Invoke", "lambda.GetFunction", "lambda.GetPolicy"})
#: What a service answers beyond its quota; all others answer ThrottlingException.
_CODES: Final = {
    "cloudformation": "Throttling",
    "cloudwatch": "Throttling",
    "iam": "Throttling",
    "lambda": "TooManyRequestsException",
    "sns": "Throttling",
    "sqs": "RequestThrottled",
    "sts": "Throttling",
}
#: Rounding must not cost the call that is due just now.
_NEARLY_ONE: Final = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class Quota:
    """So many calls a second, and how many may come at once, at least one."""

    rate: float
    burst: float


class Quotas:
    """The quotas of an account, by service ("lambda") or by call ("cloudwatch.DescribeAlarms").

    A call that has a quota of its own takes nothing of its service's.
    """

    def __init__(self, clock: Clock, quotas: Mapping[str, Quota] | None = None) -> None:
        self._clock = clock
        self._buckets = {name: _Bucket(quota, clock.now()) for name, quota in (quotas or {}).items()}

    def take(self, call: str) -> bool:
        """Whether a call that arrives now is within its quota; one that is not takes nothing of it."""
        name = quota_of(call, self._buckets)
        return name is None or self._buckets[name].take(self._clock.now())


def quota_of(call: str, names: Container[str]) -> str | None:
    """Under which of the names, services or calls, a call counts; None where it is under none of them."""
    service = call.partition(".")[0]
    if call in names:
        return call
    return service if service in names and call not in _APART else None


class _Bucket:
    """Fills at the quota's rate up to its burst, and gives one for each call."""

    def __init__(self, quota: Quota, now: float) -> None:
        self._quota = quota
        self._held = quota.burst
        self._at = now

    def take(self, now: float) -> bool:
        self._held = min(self._quota.burst, self._held + (now - self._at) * self._quota.rate)
        self._at = now
        if self._held < _NEARLY_ONE:
            return False
        self._held -= 1
        return True


def throttling(call: str) -> tuple[str, dict[str, str]]:
    """The error code of a call beyond its quota, and what the error holds beside its message."""
    service = call.partition(".")[0]
    extra = {"Reason": "CallerRateLimitExceeded", "Type": "User"} if service == "lambda" else {}
    return _CODES.get(service, "ThrottlingException"), extra
