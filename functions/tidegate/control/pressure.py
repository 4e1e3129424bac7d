"""What a rollout does while AWS throttles it: it looks more seldom, and moves later. None of that is a verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tidegate.control.progress import Decision, Progress, Standing
from tidegate.planning.pace import MAX_POLL_SECONDS, MIN_POLL_SECONDS
from tidegate.planning.plan import Plan

#: Looks come twice as seldom after a look that was throttled, four times after two, and half of that after one that was
#: not: everybody who shares a quota does so, until it is enough for all.
MAX_STRAIN: Final = 2
#: Who was throttled at the same moment looks again at another: up to a quarter earlier or later.
JITTER: Final = 0.25
#: An alarm that fires is heard by its event (guard_alarm). Its state is asked for beside that before each move forward,
#: and every so many seconds: for so long, and one look, an alarm whose event is lost may go unnoticed.
ALARMS_ASKED_SECONDS: Final = 180


def strained(progress: Progress, before: int, *, throttled: bool) -> Progress:
    """The progress after a look any attempt of which was throttled, or none; `before`: the strain that it came with."""
    strain = min(before + 1, MAX_STRAIN) if throttled else max(before - 1, 0)
    return replace(progress, strain=strain)


def stretched(plan: Plan, strain: int, chance: float) -> Plan:
    """The plan at the pace of so much strain; `chance`, 0 to 1, spreads those who were throttled together."""
    if not strain:
        return plan
    spread = 1 - JITTER + 2 * JITTER * chance

    def longer(seconds: int, times: int) -> int:
        return max(seconds, min(round(seconds * times * spread), MAX_POLL_SECONDS))

    return replace(
        plan,
        poll_seconds=longer(plan.poll_seconds, 2**strain),
        # That is limited as a whole, and each of its looks a chance to see.
        extension_poll_seconds=longer(plan.extension_poll_seconds, 2),
        hold_poll_seconds=longer(plan.hold_poll_seconds, 2**strain),
    )


def late(plan: Plan, progress: Progress, why: str, chance: float, *, lowers: bool) -> Standing:
    """A move that was throttled: the rollout is looked at meanwhile, and the look asks for it once more.

    One that `lowers` the weight is for harm's sake, which no strain and no long interval may keep at the full weight.
    """
    paced = stretched(plan, min(progress.late, MAX_STRAIN), chance)
    wait_seconds = MIN_POLL_SECONDS if lowers else paced.poll_seconds
    return Standing(progress, Decision("late", f"AWS throttles the next move: {why}", wait_seconds))


def asks_alarms(progress: Progress, now: float) -> bool:
    """Whether the alarms' states are to be asked for, whatever the look decides.

    Half a minute early: looks come at no exact interval.
    """
    asked_at = max(progress.alarms_asked_at, progress.first_shift_at)
    return now - asked_at >= ALARMS_ASKED_SECONDS - 30
