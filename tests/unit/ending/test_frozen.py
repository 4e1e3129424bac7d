"""What an earlier Tidegate stored is still understood: guards are newer than the rollouts that they find.

The files were written once, plan and lock in the midst of a rollout that was paused by bo at its second approval, the
record after a promotion, and stay as they are. What is added later has a default.
"""

import json
from pathlib import Path

from tidegate.analysis.health import AlarmRule
from tidegate.analysis.measurement import AlarmTimes
from tidegate.ending.lock import Lock
from tidegate.ending.outcome import Outcome
from tidegate.ending.record import RolloutRecord
from tidegate.planning.plan import Plan
from tidegate.routing import Routing
from tidegate.views import rollout_view as views
from tidegate.views.records import finished_view

FROZEN = Path(__file__).parents[2] / "frozen"


def says_all_of(now, then):
    """Whether a document says what an earlier one said, and perhaps more."""
    if isinstance(then, dict):
        return now.keys() >= then.keys() and all(says_all_of(now[key], value) for key, value in then.items())
    if isinstance(then, list):
        return len(now) == len(then) and all(map(says_all_of, now, then))
    return bool(now == then)


def test_a_plan_of_then_is_read_whole():
    document = json.loads((FROZEN / "plan.json").read_text())
    plan = Plan.from_json(document)
    assert says_all_of(json.loads(json.dumps(plan.to_json())), document)
    assert (plan.target, plan.stable, [step.weight_percent for step in plan.steps]) == (
        "checkout:live",
        "1",
        [10, 50, 100],
    )
    assert (plan.alarms, plan.hooks.names()) == ((AlarmRule("checkout-errors"),), ("check",))


def test_an_alarm_whose_times_said_more_then_keeps_what_is_asked_for_now():
    rule = AlarmRule.from_json({"name": "checkout-errors", "times": {"soonest_seconds": 60, "needs_seconds": 1020}})
    assert rule == AlarmRule("checkout-errors", times=AlarmTimes(1020))


def test_a_record_of_then_is_proven_by_nothing_that_it_names():
    record = RolloutRecord.parse(json.loads((FROZEN / "record.json").read_text()))
    assert record.ending.outcome is Outcome.PROMOTED
    assert (record.ending.proven, record.ending.proven_by) == (True, ())
    assert views.closing_words(finished_view(record)).endswith("Version 2 serves all traffic. Proven.")


def test_a_lock_of_then_says_what_to_restore_and_what_people_want():
    item = json.loads((FROZEN / "lock.json").read_text())
    lock = Lock.parse(item)
    assert lock.plan == Plan.from_json(json.loads((FROZEN / "plan.json").read_text()))
    assert lock.snapshot is not None
    assert (lock.snapshot.traffic_shifted, lock.snapshot.promoting, lock.revision_id) == (
        True,
        False,
        item["revision_id"],
    )
    split = Routing.split("1", "2", lock.weight_percent)
    assert lock.snapshot.claim.whole(split) == Routing.alone("1")
    assert str(lock.controls.pause) == "paused by bo (lunch)"
    assert (lock.controls.count, len(lock.commands), lock.approval_step) == (4, 4, item["approval_step"])
    assert json.loads(lock.verdicts[0])["action"] == "wait"
    assert not lock.convicted
    assert Lock.parse({**item, "convicted": "true"}).convicted
