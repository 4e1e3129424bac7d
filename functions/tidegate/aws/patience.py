"""How often AWS is asked again: one budget for all calls of an invocation, so that retries do not multiply the load.

The SDK keeps its budget by client and repeats each call by itself, and the state machine repeats whole tasks: a look of
four calls would be made of up to 64 attempts. So the clients of `sdk` leave repeating to this module. What is throttled
is repeated as often as the invocation's `Patience` says, for all its calls together; what failed on AWS's side, or got
no answer, as often as its client says, for each call. Back-off is that of the SDK's standard mode: full jitter below a
second, two, four and so on (AWS SDKs and Tools Reference Guide, "Retry behavior").
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import ConnectionError as NoConnection
from botocore.exceptions import HTTPClientError

from tidegate.frozen import frozen

#: What says that there are too many requests, by whomever; each service has its own word.
THROTTLED: Final = frozenset(
    {
        "TooManyRequestsException",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestLimitExceeded",
        "ProvisionedThroughputExceededException",
        "RequestThrottled",
        "RequestThrottledException",
    }
)
TOO_MANY_REQUESTS: Final = 429
#: What the SDK's standard mode repeats beside: AWS's own failures.
_FAILED: Final = frozenset(
    {"RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete", "TransactionInProgressException"}
)
_FAILED_STATUS: Final = frozenset({500, 502, 503, 504})
_LONGEST_DELAY_SECONDS: Final = 8
#: A client that asks no more often than this asks so whoever is patient.
HASTY_ATTEMPTS: Final = 2


@frozen
class Patience:
    """How often all throttled calls of one invocation together are made again; `retries` is None where each is made as
    often as its client says.

    `earned` are so many more for each answer that the throttled service has given: who got as far as that goes on, and
    who got nowhere leaves the room to others. Nothing is repeated later than `seconds` after the invocation began.
    """

    retries: int | None = None
    earned: int = 0
    seconds: float = math.inf


#: For what must get through, such as a restore.
EACH_CALL: Final = Patience()
#: For what is done again soon anyway: a look, or a move that the next look asks for once more.
BRIEF: Final = Patience(retries=3, seconds=15)
#: For what would have to begin anew: a plan, a version that is published.
LONG: Final = Patience(retries=1, earned=8, seconds=40)


class _Invocation:
    """What the present invocation has asked AWS so far."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.until = time.time() + patience.seconds
        self.throttled = 0
        self.repeated = 0
        self.answers = Counter[str]()


_now = _Invocation(EACH_CALL)


def begin(patience: Patience = EACH_CALL) -> None:
    """An invocation begins; Lambda runs one at a time in each environment."""
    global _now  # noqa: PLW0603 - an environment has one invocation, and clients outlive it
    _now = _Invocation(patience)


def throttled() -> bool:
    """Whether any attempt of this invocation was throttled so far, though a later one may have got through."""
    return _now.throttled > 0


def keep_to_it(client: Any, attempts: int) -> Any:
    """Have a client of the SDK, one that repeats nothing itself, ask again as this module says; the client.

    `attempts` is how often a call is made at most that fails on AWS's side, or gets no answer; one that is throttled
    so often, too, where that is at most `HASTY_ATTEMPTS`, or nobody's patience says otherwise.
    """
    client.meta.events.register("needs-retry", _needs_retry(attempts))
    return client


def _needs_retry(most: int) -> Callable[..., float | None]:
    """A handler of the SDK's event of that name: after how many seconds an attempt is repeated; None: it is not."""

    def needs_retry(attempts: int, operation: Any, response: Any, caught_exception: Any, **_: Any) -> float | None:
        service, invocation = operation.service_model.service_name, _now
        code, status = _said(response)
        if code in THROTTLED or status == TOO_MANY_REQUESTS:
            invocation.throttled += 1
            may = _may_repeat(invocation, service, attempts, most)
            invocation.repeated += may
        elif (
            isinstance(caught_exception, (HTTPClientError, NoConnection)) or code in _FAILED or status in _FAILED_STATUS
        ):
            may = attempts < most
        else:
            invocation.answers[service] += response is not None
            return None
        delay = random.random() * min(2 ** (attempts - 1), _LONGEST_DELAY_SECONDS)  # noqa: S311 - no secret
        return delay if may and time.time() + delay <= invocation.until else None

    return needs_retry


def _may_repeat(invocation: _Invocation, service: str, attempts: int, most: int) -> bool:
    patience = invocation.patience
    if patience.retries is None or most <= HASTY_ATTEMPTS:
        return attempts < most
    return invocation.repeated < patience.retries + patience.earned * invocation.answers[service]


def _said(response: tuple[Any, Mapping[str, Any]] | None) -> tuple[str, int]:
    """The error code and the HTTP status of an answer; neither where there is none."""
    if response is None:
        return "", 0
    http, parsed = response
    return parsed.get("Error", {}).get("Code", ""), http.status_code
