"""The live view: what a person sees while a rollout runs, drawn or in plain lines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from tidegate.live import lines, render
from tidegate.view import Counts, MinuteView, RolloutView, ShiftView, StepView, VerdictView

PLANNED = RolloutView(
    function_name="checkout",
    alias_name="live",
    stable="1",
    candidate=None,
    steps=(StepView(10, 300), StepView(100, 300)),
    step=0,
    weight_percent=0,
    started_at=0,
    now=0,
)
WAIT = VerdictView(66, 0, 10, "wait", "10 % bakes 3 min 54 s more")
BAKING = replace(
    PLANNED,
    candidate="2",
    weight_percent=10,
    now=90,
    shifts=(ShiftView(5, 10),),
    minutes=(
        MinuteView(0, 10, Counts(900, 0), Counts(100, 1)),
        MinuteView(1, 10, Counts(450, 9), Counts(50, 4)),
    ),
    verdicts=(WAIT,),
)
ROLLED_BACK = replace(
    BAKING,
    weight_percent=0,
    now=130,
    shifts=(ShiftView(5, 10), ShiftView(127, 0)),
    verdicts=(WAIT, VerdictView(126, 0, 10, "roll_back", "alarm [bold]checkout-errors[/] is ALARM")),
    outcome="rolled_back",
    cause="alarm checkout-errors is ALARM",
)


def drawn(view: RolloutView, width: int = 100) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(render(view))
    return capture.get()


def test_a_running_rollout_shows_weight_steps_and_errors_of_both_versions():
    screen = drawn(BAKING)
    assert "checkout:live" in screen
    assert "10 % to 2" in screen
    assert "● 10 % 5 min" in screen
    assert "○ 100 % 5 min" in screen
    assert "1,350" in screen
    assert "0.67 %" in screen  # stable, total
    assert "8.00 %" in screen  # candidate, last minute
    assert "10 % bakes 3 min 54 s more" in screen
    assert "01:30 of about 10:00" in screen


def test_the_end_says_what_happened_and_who_serves_now():
    screen = drawn(ROLLED_BACK)
    assert "✗ 10 %" in screen
    assert "Rolled back. Version 1 serves all traffic again." in screen
    assert "roll back" in screen


def test_a_promoted_rollout_ticks_every_step():
    screen = drawn(replace(BAKING, weight_percent=100, step=1, outcome="promoted"))
    assert "✓ 10 %" in screen
    assert "✓ 100 %" in screen
    assert "Promoted. Version 2 serves all traffic." in screen


@pytest.mark.parametrize(
    ("proven", "said"),
    [
        (None, "Promoted. Version 2 serves all traffic."),
        (True, "Promoted. Version 2 serves all traffic. Proven."),
        (False, "Promoted. Version 2 serves all traffic. Unproven: too little evidence."),
    ],
)
def test_the_end_of_a_promotion_says_what_it_rests_on_without_another_line(proven, said):
    promoted = replace(BAKING, weight_percent=100, step=1, outcome="promoted", proven=proven)
    assert said in drawn(promoted, width=80)
    assert drawn(promoted, width=80).count("\n") == drawn(replace(promoted, proven=None), width=80).count("\n")
    assert lines(promoted, BAKING)[-1] == f"01:30  {said}"


def test_warnings_are_told_in_full_once_and_stay_on_the_screen():
    warning = "10 % for 5 min sees only failures above 23 %: " + "bake longer, " * 8 + "[b]now[/b]"
    warned = replace(PLANNED, warnings=(warning,))
    assert lines(warned)[1:] == [f"warning: {warning}"]
    assert lines(replace(BAKING, warnings=(warning,)), warned) == lines(BAKING, PLANNED)
    screen = " ".join(drawn(replace(BAKING, warnings=(warning,)), width=80).replace("│", " ").split())
    assert f"warning {warning}" in screen


def test_reasons_are_text_and_never_markup():
    assert "[bold]checkout-errors[/]" in drawn(ROLLED_BACK)


def test_nothing_jumps_while_the_rollout_runs():
    later = replace(BAKING, verdicts=tuple(replace(WAIT, step=step) for step in range(30)))
    assert len({drawn(view).count("\n") for view in (PLANNED, BAKING, later)}) == 1


@pytest.mark.parametrize("view", [PLANNED, BAKING, ROLLED_BACK])
def test_it_fits_a_small_terminal(view):
    screen = drawn(view, width=80)
    assert max(map(len, screen.splitlines())) <= 80
    assert "traffic" in screen


def test_of_many_steps_those_around_the_present_one_are_shown():
    steps = tuple(StepView(weight, 60) for weight in range(1, 101))
    screen = drawn(replace(BAKING, steps=steps, step=49, weight_percent=50), width=80)
    assert "… ✓ 49 %" in screen
    assert "● 50 %" in screen
    assert "99 %" not in screen


def test_waits_at_one_step_are_folded_into_the_last():
    waits = tuple(replace(WAIT, at_second=at, reason=f"look {at}") for at in (60, 120, 180))
    screen = drawn(replace(BAKING, verdicts=waits))
    assert "look 180" in screen
    assert "look 120" not in screen


def test_a_minute_without_requests_has_no_rate():
    silent = replace(BAKING, minutes=(MinuteView(0, 10, Counts(600), Counts()),))
    row = next(line for line in drawn(silent).splitlines() if "version 2" in line and "→" not in line)
    assert row.split()[3:7] == ["0", "0", "–", "–"]


def test_plain_lines_tell_the_story_once_and_in_order():
    told = [
        line
        for before, after in ((None, PLANNED), (PLANNED, BAKING), (BAKING, ROLLED_BACK))
        for line in lines(after, before)
    ]
    assert told == [
        "checkout:live on version 1: 10 % for 5 min, 100 % for 5 min",
        "00:05  10 % of the traffic to version 2",
        "01:06  wait: 10 % bakes 3 min 54 s more  [errors: version 1 0.67 %, version 2 3.33 %]",
        "02:06  roll back: alarm [bold]checkout-errors[/] is ALARM  [errors: version 1 0.67 %, version 2 3.33 %]",
        "02:07  0 % of the traffic to version 2",
        "02:10  Rolled back. Version 1 serves all traffic again.",
        "alarm checkout-errors is ALARM",
    ]


def test_a_rollout_without_a_plan_tells_its_end_alone():
    unplanned = replace(PLANNED, steps=())
    rejected = replace(unplanned, now=1, outcome="rejected", cause="unknown key: colour")
    assert lines(unplanned) == []
    assert lines(rejected, unplanned) == ["00:01  Rejected. Traffic never moved.", "unknown key: colour"]


def test_a_write_that_moves_no_traffic_is_no_shift():
    promoted = replace(BAKING, weight_percent=100, shifts=(ShiftView(5, 100), ShiftView(900, 100)))
    assert promoted.weights == (ShiftView(5, 100),)


def test_nothing_new_is_no_line():
    assert lines(ROLLED_BACK, ROLLED_BACK) == []


def test_without_exact_shifts_the_minutes_say_when_the_weight_changed():
    view = replace(ROLLED_BACK, shifts=())
    assert view.weights == (ShiftView(0, 10), ShiftView(130, 0))


def test_what_holds_it_up_and_the_next_look_are_drawn_and_nothing_jumps():
    held = replace(BAKING, holding="paused by ana (a graph)", next_at=120)
    screen = drawn(held, width=80)
    assert "paused by ana (a graph)" in screen
    assert "next look in 30 s" in screen
    assert "next look is due" in drawn(replace(held, now=125))
    assert "next look" not in drawn(replace(held, outcome="promoted"))
    assert screen.count("\n") == drawn(BAKING, width=80).count("\n")
    assert lines(held, BAKING) == ["01:30  paused by ana (a graph)"]
