"""Virtual time: actors take turns on one baton, so that a story depends on its seed and on nothing else.

Whatever may wait (an execution, a handler, a guard) is an actor: a thread of its own, of which exactly one runs at
a time. An actor that sleeps or waits for a signal gives the baton back, and the clock moves to the next moment at
which somebody has something to do. Equal moments are served in the order in which they were asked for. No real time
is ever waited for. The thread that made the clock drives it: in `run`, and whenever it sleeps or waits itself.
"""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self

import time_machine

_SECONDS_PER_MINUTE = 60


class Killed(BaseException):
    """Raised by the clock in an actor that was killed; not an Exception, so that nobody handles it by accident."""


class Process(Protocol):
    """What an actor finds around it while it has the baton: environment variables, modules, standard output.

    It is left when somebody else's turn comes, since entering and leaving it are slow.
    """

    def enter(self) -> None: ...

    def leave(self) -> None: ...


class Handle:
    """Something that is due. `cancel` takes it back, and does nothing when it has happened already."""

    __slots__ = ("_clock", "action", "background", "pending", "process")

    def __init__(self, clock: Clock, action: Callable[[], None], background: bool) -> None:
        self._clock = clock
        self.action = action
        self.background = background
        self.pending = True
        self.process: Process | None = None

    def cancel(self) -> None:
        self._clock._close(self)


class Signal:
    """An event of virtual time: once set it stays set, and everybody who waits for it goes on at that moment."""

    __slots__ = ("_clock", "_set", "_waiting")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._set = False
        self._waiting: list[Actor] = []

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        if not self._set:
            self._set = True
            for actor in self._waiting:
                self._clock._wake(actor)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for so many virtual seconds at most; returns whether it is set.

        Outside actors it drives the clock, and gives up when nothing is left that could set it.
        """
        actor = self._clock.current()
        if self._set:
            return True
        if actor is None:
            self._clock._drive(self.is_set, None if timeout is None else self._clock.now() + timeout)
        else:
            self._waiting.append(actor)
            try:
                self._clock._pause(actor, timeout)
            finally:
                self._waiting.remove(actor)
        return self._set


class Actor:
    """One thread of the story; made by `Clock.spawn`. `finished` is set when it has ended, in whatever way."""

    def __init__(
        self,
        clock: Clock,
        action: Callable[[], None],
        name: str,
        background: bool,
        process: Process | None,
        thread_of: Actor | None,
    ) -> None:
        self.name = name
        self.background = background
        self.killed = False
        self._together: list[Actor] = [] if thread_of is None else thread_of._together
        self._together.append(self)
        self.finished = Signal(clock)
        self._clock = clock
        self._process: Process | None = process if thread_of is None else thread_of._process
        self._action = action
        self._ended = False
        self._error: BaseException | None = None
        self._due: Handle | None = None
        self._baton = _taken()
        self._thread = threading.Thread(target=copy_context().run, args=(self._live,), name=name, daemon=True)

    def kill(self) -> None:
        """End it, and with it the threads of the same process: the clock call it waits in, or else its next one, raises
        Killed, and so does every later one.
        """
        for each in self._together:
            if not (each.killed or each._ended):
                each.killed = True
                if self._clock.current() is not each:
                    self._clock._wake(each)

    def _live(self) -> None:
        self._baton.acquire()
        self._clock._here.actor = self
        try:
            if not self.killed:
                self._action()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again where the clock is driven
            self._error = error
        finally:
            self._ended = True
            self._clock._returned.release()

    def _turn(self) -> None:
        """Hand over the baton and take it back; raises what the actor failed with, unless it was killed."""
        if self._thread.ident is None:
            self._thread.start()
        self._baton.release()
        self._clock._returned.acquire()
        if self._ended:
            self._thread.join()
            self._clock._actors.remove(self)
            self.finished.set()
            if self._error is not None and not self.killed:
                raise self._error


class Clock:
    """Virtual time from `start` on (aware, UTC, a whole minute).

    As a context manager it makes time virtual for everybody (datetime.now, time.time, local time is UTC), and at the
    end kills every actor that is left. Measure real time with time.perf_counter, which stays real.
    """

    def __init__(self, start: datetime) -> None:
        if start.utcoffset() is None or start.timestamp() % _SECONDS_PER_MINUTE:
            raise ValueError("A clock starts at an aware datetime, on a whole minute.")
        self._now = start.timestamp()
        self._due: list[tuple[float, int, Handle]] = []
        self._asked = 0
        self._foreground = 0
        self._actors: list[Actor] = []
        self._here = threading.local()
        self._returned = _taken()
        self._driving = False
        self._around: Process | None = None
        self._driver = threading.get_ident()
        self._travel = time_machine.travel(start.astimezone(UTC).timestamp(), tick=False)
        self._traveller: time_machine.Traveller | None = None
        self._zone: str | None = None

    def __enter__(self) -> Self:
        self._zone = os.environ.get("TZ")
        _set_zone("UTC")
        self._traveller = self._travel.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._end()
        finally:
            self._traveller = None
            self._travel.stop()
            _set_zone(self._zone)

    # --- What everybody asks for --------------------------------------------------------------------------------------

    def now(self) -> float:
        """Virtual seconds since the epoch, to the microsecond."""
        return self._now

    def current(self) -> Actor | None:
        """The actor that asks, or None outside actors."""
        actor: Actor | None = getattr(self._here, "actor", None)
        return actor

    def sleep(self, seconds: float) -> None:
        """Let so much virtual time pass. Zero lets everybody go first who is due now."""
        actor = self.current()
        if actor is None:
            self._drive(_never, self._now + max(seconds, 0))
        else:
            self._pause(actor, seconds)

    def at(self, when: float, action: Callable[[], None], *, background: bool = False) -> Handle:
        """Call `action` at that moment (epoch seconds; now, if it has passed), between actors: it must not wait.

        `background` marks what goes on for ever, such as traffic: `idle` does not count it.
        """
        handle = Handle(self, action, background)
        self._asked += 1
        heapq.heappush(self._due, (max(round(when, 6), self._now), self._asked, handle))
        self._foreground += not background
        return handle

    def spawn(
        self,
        action: Callable[[], None],
        name: str,
        delay: float = 0,
        *,
        background: bool = False,
        process: Process | None = None,
        thread_of: Actor | None = None,
    ) -> Actor:
        """A new actor, which begins after `delay` seconds, with the context variables of whoever spawned it.

        What it raises comes out of `run`. `background` is as in `at`, and holds for all that the actor waits for
        and for every actor that it spawns. `thread_of` is an actor whose process it shares: both are killed together.
        """
        spawning = self.current()
        behind = background or (spawning is not None and spawning.background)
        actor = Actor(self, action, name, behind, process, thread_of)
        self._actors.append(actor)
        self._wake(actor, delay)
        return actor

    def signal(self) -> Signal:
        return Signal(self)

    def run(self, until: Callable[[], bool], limit: float | None = None) -> None:
        """Let time pass until `until` is true, nothing is left to do, or the moment `limit` (epoch seconds) is there.

        Raises:
            RuntimeError: called in an actor, in a callback of `at`, or by a thread the clock does not know.
        """
        self._drive(until, limit)

    def idle(self) -> bool:
        """Whether all that is still due is background."""
        return self._foreground == 0

    # --- How it is done -----------------------------------------------------------------------------------------------

    def _drive(self, until: Callable[[], bool], limit: float | None) -> None:
        if self._driving or threading.get_ident() != self._driver:
            raise RuntimeError("Only the thread that made the clock drives it, and no callback of its own waits.")
        self._driving = True
        try:
            while not until() and (handle := self._next(limit)) is not None:
                self._surround(handle.process)
                handle.action()
        finally:
            self._surround(None)
            self._driving = False

    def _surround(self, process: Process | None) -> None:
        """Leave the process of whoever had the last turn, and enter this one, where they differ."""
        if process is self._around:
            return
        if self._around is not None:
            self._around.leave()
        self._around = process
        if process is not None:
            process.enter()

    def _next(self, limit: float | None) -> Handle | None:
        """Move to the next moment that has something to do, up to `limit`; what is to do then."""
        while self._due:
            when, _, handle = self._due[0]
            if limit is not None and when > limit:
                break
            heapq.heappop(self._due)
            if handle.pending:
                self._close(handle)
                self._move(when)
                return handle
        if limit is not None:
            self._move(limit)
        return None

    def _move(self, when: float) -> None:
        if when > self._now:
            self._now = round(when, 6)
            if self._traveller is not None:
                self._traveller.move_to(self._now)

    def _close(self, handle: Handle) -> None:
        if handle.pending:
            handle.pending = False
            self._foreground -= not handle.background

    def _wake(self, actor: Actor, delay: float = 0) -> None:
        if actor._due is not None:
            actor._due.cancel()
        actor._due = self.at(self._now + max(delay, 0), actor._turn, background=actor.background)
        actor._due.process = actor._process

    def _pause(self, actor: Actor, seconds: float | None) -> None:
        """Give the baton back for so long, or until somebody wakes the actor."""
        if not actor.killed:
            if seconds is not None:
                self._wake(actor, seconds)
            self._returned.release()
            actor._baton.acquire()
        if actor.killed:
            raise Killed(actor.name)

    def _end(self) -> None:
        """Kill whoever is left, and those whom they spawn while they end."""
        while self._actors:
            actor = self._actors[0]
            actor.killed = True
            self._surround(actor._process)
            actor._turn()
        self._surround(None)
        self._due.clear()
        self._foreground = 0


def _taken() -> threading.Lock:
    """A lock to hand over: one thread waits to acquire it, and another one releases it. A semaphore is slower."""
    lock = threading.Lock()
    lock.acquire()
    return lock


def _never() -> bool:
    return False


def _set_zone(zone: str | None) -> None:
    if zone is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = zone
    time.tzset()
