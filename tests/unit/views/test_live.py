"""The live view: what a person sees while a rollout runs, drawn or in plain lines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from tidegate.ending.outcome import Outcome
from tidegate.views.live import lines, render
from tidegate.views.rollout_view import (
    CommandView,
    Counts,
    MinuteView,
    RolloutView,
    ShiftView,
    StepView,
    VerdictView,
    closing_words,
)

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
    outcome=Outcome.ROLLED_BACK,
    cause="alarm checkout-errors is ALARM",
)


RESTORE = "aws lambda update-alias --function-name checkout --name live --function-version 1"


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
    screen = drawn(replace(BAKING, weight_percent=100, step=1, outcome=Outcome.PROMOTED))
    assert "✓ 10 %" in screen
    assert "✓ 100 %" in screen
    assert "Promoted. Version 2 serves all traffic." in screen


@pytest.mark.parametrize(
    ("proven", "names", "said"),
    [
        (None, "", "Promoted. Version 2 serves all traffic."),
        (True, "", "Promoted. Version 2 serves all traffic. Proven."),
        (True, "ab", "Promoted. Version 2 serves all traffic. Proven by a, b."),
        (True, "abcd", "Promoted. Version 2 serves all traffic. Proven by a, b, c, d."),
        (True, "abcdef", "Promoted. Version 2 serves all traffic. Proven by a, b, c, d and 2 more."),
        (False, "", "Promoted. Version 2 serves all traffic. Unproven: not enough was seen."),
    ],
)
def test_the_end_of_a_promotion_says_what_it_rests_on_without_another_line(proven, names, said):
    at_the_end = {"weight_percent": 100, "step": 1, "outcome": Outcome.PROMOTED}
    promoted = replace(BAKING, **at_the_end, proven=proven, proven_by=tuple(names))
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


def test_what_only_callers_saw_is_called_so():
    seen = replace(BAKING, by_callers=True)
    assert "[errors as callers saw them: version 1 0.67 %, version 2 3.33 % so far]" in lines(seen)[-1]
    assert "callers: " in drawn(seen, width=80)
    assert "callers" not in drawn(BAKING)


@pytest.mark.parametrize("width", [80, 200])
def test_why_a_rollout_was_promoted_stands_in_full_at_its_end(width):
    why = (
        "every gate is healthy: no worse than version 1: 0.11 % of 1,741 against 0.19 % of 4,259 requests failed; slow"
    )
    promoted = VerdictView(420, 1, 100, "promote", why)
    view = replace(BAKING, outcome=Outcome.PROMOTED, proven=True, verdicts=(WAIT, promoted))
    assert why in " ".join(drawn(view, width=width).replace("│", " ").split())
    by_a_person = replace(view, verdicts=(WAIT, replace(promoted, decision="hold")))
    assert why not in " ".join(drawn(by_a_person, width=80).replace("│", " ").split())


def test_plain_lines_tell_the_story_once_and_in_order():
    told = [
        line
        for before, after in ((None, PLANNED), (PLANNED, BAKING), (BAKING, ROLLED_BACK))
        for line in lines(after, before)
    ]
    errors = "[errors: version 1 0.67 %, version 2 3.33 % so far]"
    assert told == [
        "checkout:live on version 1: 10 % for 5 min, 100 % for 5 min",
        "00:05  10 % of the traffic to version 2",
        "01:06  wait: 10 % bakes 3 min 54 s more  " + errors,
        "02:06  roll back: alarm [bold]checkout-errors[/] is ALARM  " + errors,
        "02:07  0 % of the traffic to version 2",
        "02:10  Rolled back. Version 1 serves all traffic again.",
        "alarm checkout-errors is ALARM",
    ]


def test_a_rollout_without_a_plan_tells_its_end_alone():
    unplanned = replace(PLANNED, steps=())
    rejected = replace(unplanned, now=1, outcome=Outcome.REJECTED, cause="unknown key: colour")
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
    assert "next look" not in drawn(replace(held, outcome=Outcome.PROMOTED))
    assert screen.count("\n") == drawn(BAKING, width=80).count("\n")
    assert lines(held, BAKING) == ["01:30  paused by ana (a graph)"]


def test_lines_stand_in_the_order_of_their_seconds_whoever_said_them():
    finished = replace(
        BAKING,
        now=130,
        outcome=Outcome.PROMOTED,
        commands=(CommandView(100, "finish", "ana", "it is urgent"),),
        verdicts=(WAIT, VerdictView(129, 0, 10, "promote", "finished by ana")),
    )
    told = lines(finished, BAKING, spoken=[(140, "revert: done"), (99, "alarm: fired")])
    assert [line.split("  ")[0] for line in told] == ["01:39", "01:40", "02:09", "02:10", "02:20"]
    assert told[1] == "01:40  finish by ana: it is urgent"
    assert told[3].startswith("02:10  Promoted.")


def test_an_end_that_the_books_round_down_stays_behind_what_led_to_it():
    ended = replace(
        BAKING, now=126.0, outcome=Outcome.ROLLED_BACK, verdicts=(VerdictView(126.04, 0, 10, "roll_back", "no"),)
    )
    assert ["roll back" in line for line in lines(ended, replace(BAKING, verdicts=()))] == [True, False]


@pytest.mark.parametrize("outcome", [Outcome.STOPPED, Outcome.ROLLBACK_FAILED])
@pytest.mark.parametrize(
    ("cause", "why"),
    [
        (None, []),
        (f"Run: {RESTORE}\nbecause access is denied (after a stop)", ["access is denied (after a stop)"]),
        (f"access is denied. Run: {RESTORE}", ["access is denied"]),
        ("access is denied", ["access is denied"]),
    ],
)
def test_what_a_person_has_to_do_has_a_line_of_its_own_and_is_said_once(outcome, cause, why):
    left = replace(BAKING, outcome=outcome, cause=cause, restore_command=RESTORE)
    said = ["Restore version 1 with:", RESTORE]
    ended, *after = lines(left, BAKING)
    assert ended.endswith("The alias needs a person.")
    assert after == [*why, *said]
    assert closing_words(left).splitlines()[1:] == said
    assert closing_words(left).count(RESTORE) == 1
    assert drawn(left).count("Restore version 1 with:") == 1
    assert drawn(left).count("aws lambda update-alias") == 1


@pytest.mark.parametrize("outcome", [each for each in Outcome if not each.needs_a_person])
def test_nobody_is_told_to_restore_what_needs_no_person(outcome):
    ended = replace(BAKING, outcome=outcome, cause="why", restore_command=RESTORE)
    assert RESTORE not in "".join([*lines(ended), closing_words(ended), drawn(ended, width=200)])


def test_the_verdict_that_ends_a_hold_is_told_though_it_takes_the_last_hold_s_place():
    hold, again = VerdictView(60, 0, 10, "hold", "paused"), VerdictView(120, 0, 10, "hold", "paused")
    held = replace(BAKING, verdicts=(hold, again))
    went_on = replace(BAKING, verdicts=(hold, VerdictView(180, 0, 10, "advance", "10 % has baked")))
    assert [line.partition("  [")[0] for line in lines(went_on, held)] == ["03:00  advance: 10 % has baked"]


def test_what_others_say_makes_no_line_of_its_own():
    forged = VerdictView(126, 0, 10, "wait", "alarm a\n02:06  Promoted.")
    word = CommandView(100, "pause", "me\n01:40  Promoted.", "because\n01:41  Promoted.")
    said = lines(replace(BAKING, verdicts=(WAIT, forged), commands=(word,), warnings=("w\nPromoted.",)), PLANNED)
    assert not [line for line in said if "Promoted." in line and "\\n" not in line]
