"""Threads of a handler: a pool's workers are actors of its process, so that they take turns like everybody else.

`concurrent.futures.ThreadPoolExecutor` and `time.sleep` are what a handler may use for that. Outside actors both are as
Python has them. A lock of `threading` that is held across a call of AWS would stop the whole account: who waits for it
has the baton.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

from sandbox.aws.clock import Actor, Clock


@contextmanager
def installed(clock: Clock) -> Iterator[None]:
    """Let an actor's pools and its sleep go by the clock."""
    submit, shutdown, sleep = ThreadPoolExecutor.submit, ThreadPoolExecutor.shutdown, time.sleep
    crews: WeakKeyDictionary[ThreadPoolExecutor, _Crew] = WeakKeyDictionary()

    def submitted(pool: Any, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        owner = clock.current()
        if owner is None:
            return submit(pool, work, *args, **more)
        if pool not in crews:
            crews[pool] = _Crew(clock, owner, pool._max_workers)
        return crews[pool].submit(partial(work, *args, **more))

    def shut_down(pool: ThreadPoolExecutor, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if pool not in crews:
            return shutdown(pool, wait, cancel_futures=cancel_futures)
        return crews[pool].shut_down(wait=wait, cancel=cancel_futures)

    def slept(seconds: float) -> None:
        (sleep if clock.current() is None else clock.sleep)(seconds)

    with (
        patch.object(ThreadPoolExecutor, "submit", submitted),
        patch.object(ThreadPoolExecutor, "shutdown", shut_down),
        patch("time.sleep", slept),
    ):
        yield


class _Crew:
    """The workers of one pool: at most `most` at once, each of which ends when there is nothing left to do."""

    def __init__(self, clock: Clock, owner: Actor, most: int) -> None:
        self._clock = clock
        self._owner = owner
        self._free = most
        self._waiting: deque[tuple[_Future, Callable[[], Any]]] = deque()
        self._futures: list[_Future] = []

    def submit(self, work: Callable[[], Any]) -> Future[Any]:
        future = _Future(self._clock)
        self._futures.append(future)
        self._waiting.append((future, work))
        if self._free:
            self._free -= 1
            self._clock.spawn(self._work, f"thread of {self._owner.name}", thread_of=self._owner)
        return future

    def shut_down(self, *, wait: bool, cancel: bool) -> None:
        while cancel and self._waiting:
            self._waiting.pop()[0].cancel()
        for future in self._futures if wait else ():
            future.ended.wait()

    def _work(self) -> None:
        while self._waiting:
            future, work = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
                    future.set_exception(error)
            future.ended.set()
        self._free += 1


class _Future(Future[Any]):
    """A result that is waited for in virtual time."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.ended = clock.signal()

    def cancel(self) -> bool:
        cancelled = super().cancel()
        if cancelled:
            self.ended.set()
        return cancelled

    def result(self, timeout: float | None = None) -> Any:
        self.ended.wait(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self.ended.wait(timeout)
        return super().exception(0)
