"""What a rollout does while AWS throttles it."""

from dataclasses import replace

from tidegate.analysis.measurement import Shift
from tidegate.control.pressure import late, strained
from tidegate.control.progress import Progress

PROGRESS = Progress(0, 10.0, "r2", 0.0, 0.0, (Shift(0.0, 10.0),), late=2)


def test_a_weight_that_is_to_be_lowered_is_asked_for_again_soon(plan):
    seldom = replace(plan, poll_seconds=1500)
    assert late(seldom, PROGRESS, "busy", 0.5, lowers=True).decision.wait_seconds == 60
    assert late(seldom, PROGRESS, "busy", 0.5, lowers=False).decision.wait_seconds == 3600


def test_what_is_throttled_late_in_a_look_counts_once():
    early = strained(PROGRESS, 0, throttled=False)
    found = strained(strained(early, 0, throttled=True), 0, throttled=True)
    assert (early.strain, found.strain) == (0, 1)
