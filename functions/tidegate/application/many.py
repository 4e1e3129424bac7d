"""Many rollouts at once: by several threads, at a pace that leaves room in the region's API, while there is time.

Each is tried in turn with all others; one that is slow or fails keeps a thread busy, and nobody waiting.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar
from zlib import crc32

from tidegate.application.telemetry import seconds_left
from tidegate.errors import RolloutError, Transient
from tidegate.frozen import frozen

#: No more than a client of the SDK has connections for (botocore, max_pool_connections).
THREADS = 10

#: After a round of which nothing came the next one waits so long, and twice as long after the next such one.
_PAUSE_SECONDS = 10
_MINUTE_SECONDS = 60

T = TypeVar("T")
R = TypeVar("R")


@frozen
class Tried(Generic[T, R]):
    """What came of one; `begun` is False where there was no time left for it."""

    item: T
    result: R | None = None
    error: RolloutError | None = None
    begun: bool = True


def shuffled(items: Iterable[T], key: Callable[[T], str]) -> list[T]:
    """In another order at each time: what is cut off at the end is not cut off again."""
    return sorted(items, key=lambda item: crc32(f"{time.time()}{key(item)}".encode()))


def share(items: Iterable[T], key: Callable[[T], str], most: int) -> list[T]:
    """Of more items than that about as many: each has its minute, and all have one before it comes again."""
    found = list(items)
    parts, minute = math.ceil(len(found) / most), int(time.time() // _MINUTE_SECONDS)
    return [item for item in found if parts <= 1 or crc32(key(item).encode()) % parts == minute % parts]


def each(
    items: Sequence[T], act: Callable[[T], R], *, per_second: float, until_seconds_left: float, in_vain: int = 0
) -> Iterator[Tried[T, R]]:
    """Do that with each of them, in any order; with those whose failure may pass again and again, until nothing came of
    `in_vain` rounds in a row.

    So many are begun a second at most, and none once the invocation has fewer seconds left. `act` may raise
    RolloutError. What it raises beside comes out of this, once all others were tried.
    """
    attempt = partial(_attempt, act, _Pace(per_second, until_seconds_left))
    left, failed, vain = list(items), list[Tried[T, R]](), 0
    while left:
        failed, done = [], 0
        for tried in _tried(left, attempt):
            if isinstance(tried.error, Transient):
                failed.append(tried)
            else:
                done += tried.begun
                yield tried
        vain = 0 if done else vain + 1
        left = [tried.item for tried in failed] if vain < in_vain else []
        time.sleep(_PAUSE_SECONDS * 2 ** (vain - 1) if left and vain else 0)
    yield from failed


def _tried(items: Sequence[T], attempt: Callable[[T], Tried[T, R]]) -> Iterator[Tried[T, R]]:
    if len(items) <= 1:
        yield from map(attempt, items)
        return
    with ThreadPoolExecutor(min(THREADS, len(items))) as pool:
        yield from pool.map(attempt, items)


def _attempt(act: Callable[[T], R], pace: _Pace, item: T) -> Tried[T, R]:
    if not pace.wait():
        return Tried(item, begun=False)
    try:
        return Tried(item, act(item))
    except RolloutError as error:
        return Tried(item, error=error)


class _Pace:
    """When the next one may begin; threads share it."""

    def __init__(self, per_second: float, until_seconds_left: float) -> None:
        self._seconds = 1 / per_second
        self._until = until_seconds_left
        self._next_at = 0.0
        self._lock = threading.Lock()

    def wait(self) -> bool:
        """Wait for one's turn; whether there still is time."""
        with self._lock:
            now = time.time()
            at = max(now, self._next_at)
            self._next_at = at + self._seconds
        if seconds_left() - (at - now) < self._until:
            return False
        if at > now:
            time.sleep(at - now)
        return True
