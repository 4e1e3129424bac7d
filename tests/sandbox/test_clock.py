"""Virtual time: who goes when, what killing means, and what is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta, timezone

import pytest

from sandbox.aws.clock import Clock

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
T0 = START.timestamp()


@pytest.fixture
def clock() -> Iterator[Clock]:
    with Clock(START) as clock:
        yield clock


def never() -> bool:
    return False


def test_a_sleeping_actor_costs_virtual_time_alone(clock: Clock) -> None:
    seen: list[datetime] = []

    def nap() -> None:
        clock.sleep(86_400)
        seen.append(datetime.now(UTC))

    clock.spawn(nap, "napper")
    clock.run(never)

    assert seen == [START + timedelta(days=1)]
    assert clock.now() == time.time() == T0 + 86_400


def test_actors_take_turns_in_the_order_of_time_and_then_of_asking(clock: Clock) -> None:
    story: list[tuple[str, float]] = []

    def tick(name: str, every: float) -> None:
        for _ in range(3):
            clock.sleep(every)
            story.append((name, clock.now() - T0))

    clock.spawn(lambda: tick("slow", 3), "slow")
    clock.spawn(lambda: tick("quick", 2), "quick")
    clock.at(T0 + 6, lambda: story.append(("callback", 6)))
    clock.run(never)

    assert story == [("quick", 2), ("slow", 3), ("quick", 4), ("callback", 6), ("slow", 6), ("quick", 6), ("slow", 9)]


def test_the_thread_that_made_the_clock_may_sleep_and_others_go_on_meanwhile(clock: Clock) -> None:
    story: list[str] = []
    clock.at(T0 + 5, lambda: story.append("five"))
    clock.at(T0 + 15, lambda: story.append("fifteen"))

    clock.sleep(10)

    assert story == ["five"]
    assert clock.now() == T0 + 10


def test_run_stops_when_the_condition_holds_or_at_the_limit(clock: Clock) -> None:
    reached: list[float] = []
    for second in (10, 20, 30):
        clock.at(T0 + second, lambda: reached.append(clock.now() - T0))

    clock.run(lambda: len(reached) == 1)
    assert reached == [10]
    clock.run(never, limit=T0 + 25)
    assert reached == [10, 20]
    assert clock.now() == T0 + 25


def test_a_signal_wakes_everybody_and_a_waiting_may_time_out(clock: Clock) -> None:
    signal, story = clock.signal(), []

    def wait(timeout: float | None) -> None:
        answer = signal.wait(timeout)
        story.append((answer, clock.now() - T0))

    for timeout in (None, 3.0, 8.0):
        clock.spawn(lambda timeout=timeout: wait(timeout), "waiter")
    clock.at(T0 + 5, signal.set)
    clock.run(never)

    assert story == [(False, 3), (True, 5), (True, 5)]
    assert signal.wait(100)
    assert clock.now() == T0 + 5, "time-outs of those who were woken are no longer due"


def test_a_cancelled_callback_does_not_happen(clock: Clock) -> None:
    handle = clock.at(T0 + 5, lambda: pytest.fail("it was cancelled"))
    handle.cancel()
    handle.cancel()
    clock.run(never)
    assert clock.idle()


def test_a_killed_actor_unwinds_at_once_and_gets_no_further(clock: Clock) -> None:
    story: list[object] = []

    def stubborn() -> None:
        try:
            clock.sleep(100)
            story.append("slept")
        except Exception:  # noqa: BLE001 - this is what must not catch it
            story.append("caught")
        finally:
            story.append(clock.now() - T0)
            clock.sleep(1)
            story.append("slept after all")

    actor = clock.spawn(stubborn, "stubborn")
    clock.at(T0 + 7, actor.kill)
    clock.run(actor.finished.is_set)

    assert story == [7]
    assert clock.now() == T0 + 7


def test_an_actor_killed_before_its_first_turn_never_runs(clock: Clock) -> None:
    actor = clock.spawn(lambda: pytest.fail("it was killed"), "late", delay=10)
    actor.kill()
    clock.run(never)
    assert actor.finished.is_set()
    assert clock.now() == T0


def test_what_an_actor_raises_comes_out_of_run(clock: Clock) -> None:
    def fail() -> None:
        clock.sleep(1)
        raise LookupError("lost")

    clock.spawn(fail, "failing")
    with pytest.raises(LookupError, match="lost"):
        clock.run(never)


def test_a_callback_may_not_wait(clock: Clock) -> None:
    clock.at(T0 + 1, lambda: clock.sleep(1))
    with pytest.raises(RuntimeError, match="callback"):
        clock.run(never)


def test_a_thread_nobody_spawned_may_not_move_time(clock: Clock) -> None:
    errors: list[BaseException] = []

    def stranger() -> None:
        try:
            clock.sleep(1)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=stranger)
    thread.start()
    thread.join()
    assert len(errors) == 1


def test_background_does_not_keep_a_story_going(clock: Clock) -> None:
    ticks: list[float] = []

    def tick() -> None:
        ticks.append(clock.now() - T0)
        clock.at(clock.now() + 60, tick, background=True)

    clock.at(T0 + 60, tick, background=True)
    clock.spawn(lambda: clock.sleep(150), "the story")
    clock.run(clock.idle)

    assert ticks == [60, 120]
    assert clock.now() == T0 + 150


def test_actors_inherit_context_variables_and_keep_their_own(clock: Clock) -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")
    seen: list[str] = []

    def child() -> None:
        seen.append(who.get())

    def parent() -> None:
        who.set("parent")
        clock.spawn(child, "child")

    clock.spawn(parent, "parent")
    clock.run(never)
    assert seen == ["parent"]
    assert who.get() == "nobody"


def test_a_process_is_entered_with_the_baton_and_left_without_it(clock: Clock) -> None:
    class Process:
        inside = False

        def enter(self) -> None:
            self.inside = True

        def leave(self) -> None:
            self.inside = False

    process, seen = Process(), []

    def live() -> None:
        seen.append(process.inside)
        clock.sleep(2)
        seen.append(process.inside)

    clock.spawn(live, "inhabitant", process=process)
    clock.at(T0 + 1, lambda: seen.append(process.inside))
    clock.run(never)
    assert seen == [True, False, True]
    assert not process.inside


def test_a_process_is_left_only_for_somebody_else(clock: Clock) -> None:
    class Process:
        def __init__(self, name: str) -> None:
            self.name = name

        def enter(self) -> None:
            seen.append(f"into {self.name}")

        def leave(self) -> None:
            seen.append(f"out of {self.name}")

    def live(name: str) -> None:
        for _ in range(2):
            seen.append(name)
            clock.sleep(1)

    seen: list[str] = []
    clock.spawn(lambda: live("first"), "first", process=Process("one"))
    clock.spawn(lambda: live("second"), "second", delay=1.5, process=Process("two"))
    clock.run(never)
    assert seen == [
        *("into one", "first", "first", "out of one"),
        *("into two", "second", "out of two"),
        *("into one", "out of one"),
        *("into two", "second", "out of two"),
    ]


def test_leaving_the_clock_kills_every_actor_and_restores_real_time() -> None:
    before = threading.active_count()
    with Clock(START) as clock:
        for number in range(5):
            clock.spawn(lambda: clock.signal().wait(), f"waiting {number}")
        clock.spawn(lambda: clock.sleep(3600), "sleeping")
        clock.sleep(1)
        assert threading.active_count() == before + 6
    assert threading.active_count() == before
    assert abs(datetime.now(UTC).timestamp() - T0) > 60


@pytest.mark.parametrize(
    "start", [START.replace(tzinfo=None), START.replace(second=30)], ids=["naive", "half a minute"]
)
def test_a_clock_starts_at_an_aware_whole_minute(start: datetime) -> None:
    with pytest.raises(ValueError, match="aware"):
        Clock(start)


def test_local_time_is_utc_wherever_this_runs() -> None:
    with Clock(START.astimezone(timezone(timedelta(hours=9)))):
        assert time.localtime().tm_hour == 12
        assert datetime.now() == START.replace(tzinfo=None)  # noqa: DTZ005 - what naive code sees
