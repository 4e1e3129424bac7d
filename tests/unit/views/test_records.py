"""What the ledger says as a view: who holds a rollout up, what each minute saw, when the weight moved."""

import json
from dataclasses import replace

import pytest

from tests import plans
from tidegate.ending.lock import Lock
from tidegate.ending.record import RolloutRecord, history_key
from tidegate.planning.strategy import Step
from tidegate.views.live import lines
from tidegate.views.records import finished_view, planning_view, running_view
from tidegate.views.rollout_view import CommandView

START = 1_767_614_400  # 2026-01-05 12:00 UTC
PLAN = replace(
    plans.PLAN,
    started_at=START,
    hold_poll_seconds=75,
    steps=(Step(10, 120), Step(100, 300)),
    restore_command="aws lambda update-alias",
).to_json()
APPROVE = "tidegate approve checkout:live, or reject"
ARN = "arn:aws:states:us-east-1:123456789012:execution:tidegate-rollout:release-7"


def verdict(second, weight, action="wait", stable=(0, 0), candidate=(0, 0)):
    counts = {
        role: {"requests": requests, "errors": errors, "slow": None}
        for role, (requests, errors) in (("stable", stable), ("candidate", candidate))
    }
    return {
        "at": START + second,
        "step": 0 if weight < 100 else 1,
        "weight_percent": weight,
        "action": action,
        "reason": "because",
        "convicts": False,
        "checks": [],
        **counts,
    }


def said(command, second, **more):
    return {"id": "7", "command": command, "author": "ana", "at": START + second, **more}


def lock(*verdicts, **more):
    item = {
        "target": "checkout:live",
        "execution_arn": ARN,
        "taken_at": START,
        "plan": json.dumps(PLAN),
        "candidate": "2",
        "step": 0,
        "weight_percent": 10,
        "verdicts": [json.dumps(one) for one in verdicts],
    }
    return Lock.parse(item | more)


def history(*verdicts, reverted=None, **more):
    document = {
        "plan": PLAN,
        "candidate": "2",
        "outcome": "promoted",
        "cause": "every gate is healthy",
        "proven": True,
        "ended_at": START + 600,
        "verdicts": verdicts,
        **more,
    }
    item = {
        "target": "checkout:live",
        "record": history_key(START, "release-7"),
        "execution_arn": ARN,
        "outcome": document["outcome"],
        "cause": document["cause"],
        "document": json.dumps(document),
    }
    return RolloutRecord.parse(item | ({"reverted": json.dumps(reverted)} if reverted else {}))


def test_minutes_are_what_each_look_knew_more_than_the_one_before():
    view = running_view(
        lock(verdict(61, 10, stable=(90, 1), candidate=(10, 2)), verdict(121, 10, stable=(180, 1), candidate=(21, 4))),
        START + 130,
    )
    assert [minute.t for minute in view.minutes] == [0, 1]
    assert [(one.candidate.requests, one.candidate.errors) for one in view.minutes] == [(10, 2), (11, 2)]
    assert (view.stable_total.requests, view.stable_total.errors) == (180, 1)


def test_counts_that_shrink_are_no_negative_minutes():
    view = running_view(lock(verdict(61, 10, candidate=(10, 2)), verdict(121, 10, candidate=(8, 2))), START + 130)
    assert view.candidate_total.requests == 10


def test_weights_moved_right_after_the_look_before():
    view = running_view(
        lock(verdict(61, 10), verdict(121, 10, "advance"), verdict(182, 100), step=1, weight_percent=100), START + 190
    )
    assert [(shift.at_second, shift.weight_percent) for shift in view.shifts] == [(1, 10), (121, 100)]


def test_the_last_verdict_counts_where_there_was_no_room_for_it():
    view = running_view(lock(verdict(61, 10), last_verdict=json.dumps(verdict(121, 10))), START + 130)
    assert [one.at_second for one in view.verdicts] == [61, 121]
    assert view.next_at == START + 181


@pytest.mark.parametrize(
    ("more", "holding", "next_second"),
    [
        ({}, None, 181),
        (
            {"approval_step": 1},
            f"waits for approval of 100 % since 2026-01-05 12:02:01 UTC; {APPROVE}",
            196,
        ),
        (
            {"approval_step": 2},
            f"waits for approval to promote without proof since 2026-01-05 12:02:01 UTC; {APPROVE}",
            196,
        ),
        (
            {
                "pause": json.dumps(
                    {"id": "7", "command": "pause", "author": "ana", "reason": "a graph", "at": START + 90}
                )
            },
            "paused by ana (a graph) since 2026-01-05 12:01:30 UTC; tidegate resume checkout:live",
            None,
        ),
        ({"restoring": "alarm x fired", "approval_step": 1}, "version 1 is being restored: alarm x fired", None),
    ],
)
def test_what_holds_a_rollout_up_is_told_with_what_to_do(more, holding, next_second):
    view = running_view(lock(verdict(61, 10), verdict(121, 10, "hold"), **more), START + 130)
    assert view.holding == holding
    assert view.next_at == (None if next_second is None else START + next_second)


def test_a_hold_is_told_once_however_often_it_is_looked_at():
    held = running_view(
        lock(*(verdict(60 * minute, 10, "hold") for minute in range(1, 30)), approval_step=1), START + 1800
    )
    told = lines(held)
    assert sum("hold: because" in line for line in told) == 1
    assert "waits for approval of 100 %" in told[-1]
    assert lines(held, held) == []


def test_a_finished_rollout_is_weighed_by_its_end():
    assert finished_view(history(verdict(61, 10))).weight_percent == 100
    assert finished_view(history(verdict(61, 10), outcome="rolled_back")).weight_percent == 0
    assert finished_view(history(verdict(61, 10), outcome="interrupted")).weight_percent == 10


def test_a_promotion_that_was_taken_back_says_so():
    view = finished_view(history(verdict(61, 10), reverted=said("revert", 900, reason="wrong prices")))
    assert view.cause == "since then reverted by ana (wrong prices), at 2026-01-05 12:15:00 UTC"


def test_a_refusal_before_there_was_a_plan_has_an_end_and_no_versions():
    refused = finished_view(history(plan=None, candidate=None, outcome="rejected", cause="no", proven=None))
    assert (refused.stable, refused.steps, refused.cause) == ("–", (), "no")
    assert "Rejected. Traffic never moved." in lines(refused)[0]
    assert lines(planning_view("checkout:live", "release-7", START, START + 1)) == []


def test_people_s_words_and_the_way_back_are_the_ledger_s():
    word = said("approve", 90, reason="fine", approval_step=1, step=1)
    runs = running_view(lock(verdict(61, 10), commands=[json.dumps(word), json.dumps(word)]), START + 130)
    ended = finished_view(history(verdict(61, 10), commands=[word]))
    assert runs.commands == ended.commands == (CommandView(90, "approve", "ana", "fine"),)
    assert runs.restore_command == ended.restore_command == "aws lambda update-alias"
    assert finished_view(history(verdict(61, 10))).commands == ()
