"""What is said of a crowd: for a terminal, and as rows of the page of figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from bench.row import Row
from bench.scale.crowd import Crowd, Restores, Starts, play

#: What `make bench` plays; more of them take minutes.
ROLLOUTS = (10, 50)


def rows(say: Callable[[str], None] = lambda _: None, rollouts: Sequence[int] = ROLLOUTS) -> Iterator[Row]:
    """Two rows for each number of rollouts."""
    for number in rollouts:
        say(f"sandbox: {number} rollouts at once")
        yield from crowd_rows(play(number))


def crowd_rows(crowd: Crowd) -> tuple[Row, Row]:
    """How they ended to which nothing happened, and how soon an alarm restored all."""
    starts, alarm, number = crowd.starts, crowd.alarm, crowd.rollouts
    every = f"{number} promoted"
    return (
        Row(
            f"{number} starts at once",
            _counted(starts.ends),
            every,
            _counted(starts.ends) == every,
            f"{starts.virtual_seconds:,.0f} virtual seconds; {_throttled(starts.throttled)}; {_rates(starts)}",
        ),
        Row(
            f"from alarm to all restored, {number} started at once",
            _seconds(alarm),
            f"{alarm.limit_seconds:g} s",
            alarm.in_time,
            f"of {alarm.exposed} with a weight; {alarm.floor_seconds:g} s are the quota's floor, a write each;"
            f" {_throttled(alarm.throttled)}",
        ),
    )


def text(crowd: Crowd) -> str:
    """One crowd for a terminal."""
    starts, alarm = crowd.starts, crowd.alarm
    took = f"{starts.virtual_seconds:,.0f} virtual seconds, {_here(starts)}"
    fired = f"an alarm over all, at second {alarm.fired_at_second:g}, {alarm.exposed} with a weight"
    floor = f"{alarm.floor_seconds:g} s are the quota's floor, a write each; {_here(alarm)}"
    lines = [
        f"{crowd.rollouts} starts at once: {_counted(starts.ends)}",
        f"  {took}; {_throttled(starts.throttled)}",
        *_table(starts),
        f"  {fired}: {_seconds(alarm)}",
        f"  {floor}; {_throttled(alarm.throttled)}",
        f"  {_counted(alarm.ends)} in the end; until all were restored:",
        *_table(alarm),
    ]
    return "\n".join(lines)


def _table(played: Starts | Restores) -> Iterator[str]:
    for handler, calls in played.throttled.items():
        yield f"    throttled, {handler}: {', '.join(f'{call} {times:,}' for call, times in calls.items())}"
    for api, rate in played.calls.items():
        yield (
            f"    {api:<42} {rate.calls:>7,} calls, {rate.throttled:>6,} throttled,"
            f" {rate.mean:>6.2f} a second, {rate.peak:>4,} at most"
        )


def _here(played: Starts | Restores) -> str:
    return f"{played.wall_seconds:g} s here, {played.cpu_seconds:g} s of a processor"


def _counted(ends: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {outcome.replace('_', ' ')}" for outcome, number in ends.items())


def _seconds(alarm: Restores) -> str:
    if alarm.last_seconds is None:
        return "nothing restored" if alarm.exposed else "nothing to restore"
    found = (
        f"first {alarm.first_seconds:g}, median {alarm.median_seconds:g}, last {alarm.last_seconds:g} virtual seconds"
    )
    return f"{found}, {alarm.not_restored} not restored" if alarm.not_restored else found


def _throttled(throttled: Mapping[str, Mapping[str, int]]) -> str:
    by_handler = {handler: sum(calls.values()) for handler, calls in throttled.items()}
    if not by_handler:
        return "nothing throttled"
    said = ", ".join(f"{handler} {times:,}" for handler, times in by_handler.items())
    return f"{sum(by_handler.values()):,} calls throttled ({said})"


def _rates(starts: Starts) -> str:
    """The control plane's calls: those that a quota of the whole account is soonest reached by."""
    rate = starts.calls.get("lambda")
    return (
        f"{rate.mean:g} control-plane calls a second, {rate.peak:,} at most" if rate else "no call of the control plane"
    )
