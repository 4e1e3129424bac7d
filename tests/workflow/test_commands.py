"""Operator controls: approvals, and every command, against a running rollout in the sandbox."""

import pytest

from sandbox.scenario import Scenario
from sandbox.story import tell
from sandbox.world import World
from tests.brief import BRIEF, THREE_MINUTES
from tidegate.control.commands import KINDS

SMALLEST = {"function_name": "checkout", "alias_name": "live"}
ON_STABLE = {"function_version": "1", "weights": {}}
ON_CANDIDATE = {"function_version": "2", "weights": {}}
GATED = {
    "steps": [
        {"weight": 10, "bake_seconds": 300},
        {"weight": 50, "bake_seconds": 300, "approval": {"timeout_seconds": 86_400}},
        {"weight": 100, "bake_seconds": 300},
    ]
}
#: The same in a few minutes, and without the judge.
GATED_BRIEF = {
    "steps": [{**step, "bake_seconds": 60} for step in GATED["steps"]],
    "health": {"judge": False},
}
GATED_AT_ONCE = {"steps": [{"weight": 100, "bake_seconds": 300, "approval": {"timeout_seconds": 1200}}]}


def say(second, command, **more):
    return {"at_second": second, "do": "command", "command": command, **more}


@pytest.fixture(scope="module")
def converse():
    """`converse(request, *timeline, **scenario)`: the story, its answers, and the alias's routings by second."""

    def converse(request, *timeline, **scenario):
        with World(Scenario.of({"timeline": [*timeline], **scenario}), {**SMALLEST, **request}) as world:
            arn = world.start()
            end = world.follow(arn)
            world.settle()
            story = tell(world, arn, end, 0.0)
        started = world.routings[0][0]
        return story, world.answers, [(round(at - started), routing) for at, routing in world.routings]

    return converse


# Gates.


def test_a_gate_holds_until_somebody_approves(converse):
    story, (answer,), routings = converse(GATED_BRIEF, say(400, "approve"))
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE)
    assert answer["accepted"]
    shifts = {round(weights["2"] * 100): at for at, (_, weights) in routings if weights}
    assert 400 < shifts[50] < 400 + 120
    assert "ApprovalNeeded" in story.events


def test_a_gate_of_a_day_answers_within_two_minutes(converse):
    # How often it is looked at is fixed by the plan, whenever somebody approves.
    _, _, routings = converse(GATED, say(3_650.5, "approve"), say(3_800, "abort"), requests_per_minute=6)
    at = next(at for at, (_, weights) in routings if weights.get("2") == 0.5)
    assert 0 < at - 3_650.5 < 120


def test_a_gate_that_nobody_opens_rolls_back_or_goes_on_as_asked(converse):
    timeout = {"timeout_seconds": 600, "on_timeout": "roll_back"}
    steps = [dict(step) for step in GATED_BRIEF["steps"]]
    steps[1]["approval"] = timeout
    story, _, _ = converse({**GATED_BRIEF, "steps": steps})
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
    assert "nobody approved 50 % within 10 min" in story.cause
    steps[1]["approval"] = {**timeout, "on_timeout": "continue"}
    story, _, _ = converse({**GATED_BRIEF, "steps": steps})
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE)
    assert story.virtual_seconds > 600 + 180


def test_a_gate_before_the_first_weight_holds_before_any_traffic(converse):
    story, _, routings = converse(GATED_AT_ONCE, say(400, "approve"))
    assert story.outcome == "promoted"
    first = next(at for at, (_, weights) in routings if weights)
    assert 400 < first < 500
    story, _, routings = converse(GATED_AT_ONCE, say(400, "reject"))
    assert (story.error, story.alias) == ("Rejected", ON_STABLE)
    assert "rejected by somebody" in story.cause
    assert not any(weights for _, (_, weights) in routings)


def test_alarms_and_the_judge_stay_on_duty_while_a_gate_holds(converse):
    alarm = {"name": "errors", "threshold": 1_000_000, "treat_missing_data": "ignore"}
    fires = {"at_second": 900, "do": "set_alarm", "name": "errors", "state": "ALARM"}
    story, _, _ = converse({**GATED, "alarms": ["errors"]}, fires, alarms=[alarm])
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
    assert story.seconds_from_alarm_to_restored < 5
    later = {"error_rate_by_minute": [0] * 15 + [0.3]}
    story, _, _ = converse(GATED, candidate=later)
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
    assert "the candidate fails" in story.cause or "candidate fails" in story.cause
    assert story.virtual_seconds < 1800


def test_a_rejected_gate_restores_at_once(converse):
    story, (answer,), routings = converse(GATED_BRIEF, say(600, "reject", author="ana", reason="not today"))
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
    assert story.cause == "rejected by ana (not today)"
    assert answer["accepted"]
    assert routings[-1][0] - 600 < 3


def test_a_stop_while_a_gate_holds_ends_on_the_stable_version(converse):
    stop = {"at_second": 600, "do": "stop_execution"}
    for request in (GATED_BRIEF, GATED_AT_ONCE):
        story, _, _ = converse(request, stop)
        assert (story.outcome, story.alias) == ("stopped_and_restored", ON_STABLE)
        assert (story.lock_released, story.history_recorded) == (True, True)


# What is not proven.

SILENT = {"requests_per_minute": 0}
HOLDS = {
    "steps": BRIEF["steps"],
    "health": {"when_inconclusive": "hold", "max_hold_seconds": 900, "max_extension_seconds": 60},
}


def test_what_is_not_proven_holds_for_a_person(converse):
    story, answers, _ = converse(HOLDS, say(700, "approve"), **SILENT)
    assert (story.outcome, story.alias, story.proven) == ("promoted", ON_CANDIDATE, False)
    assert answers[0]["accepted"]
    story, _, _ = converse(HOLDS, say(700, "reject"), **SILENT)
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
    story, _, _ = converse(HOLDS, **SILENT)
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
    assert "nobody approved the promotion within 15 min" in story.cause


# Pause and resume.


def test_a_pause_holds_the_weight_until_it_is_resumed(converse):
    story, answers, routings = converse(THREE_MINUTES, say(30, "pause"), say(500, "resume"))
    assert story.outcome == "promoted"
    assert [answer["accepted"] for answer in answers] == [True, True]
    shifts = {round(weights["2"] * 100): at for at, (_, weights) in routings if weights}
    assert 500 < shifts[50] < 700


def test_a_pause_before_any_traffic_keeps_it_away(converse):
    pending = {"state": "Pending", "active_after_seconds": 120}
    story, answers, routings = converse(BRIEF, say(60, "pause"), say(500, "resume"), candidate=pending)
    assert story.outcome == "promoted"
    assert all(answer["accepted"] for answer in answers)
    assert 500 < next(at for at, (_, weights) in routings if weights) < 700


def test_a_pause_that_nobody_ends_rolls_back(converse):
    story, _, _ = converse({"max_pause_seconds": 900}, say(100, "pause", author="bo", reason="lunch"))
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
    assert story.cause.startswith("paused by bo (lunch), and not resumed within 15 min")
    assert 900 < story.virtual_seconds < 1800


def test_a_paused_rollout_that_turns_bad_is_rolled_back(converse):
    later = {"error_rate_by_minute": [0] * 20 + [0.3]}
    story, _, _ = converse({}, say(100, "pause"), candidate=later)
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
    assert story.virtual_seconds < 1800


# Faster, or back.


def test_advance_ends_the_bake_and_finish_promotes(converse):
    long = {"steps": [{"weight": 10, "bake_seconds": 7200}, {"weight": 100, "bake_seconds": 7200}]}
    story, answers, routings = converse(long, say(600, "advance"), say(1200, "finish", author="ana", reason="enough"))
    assert (story.outcome, story.alias, story.proven) == ("promoted", ON_CANDIDATE, False)
    assert all(answer["accepted"] for answer in answers)
    assert 600 < next(at for at, (_, weights) in routings if weights.get("2") == 1) < 700
    assert 1200 < story.virtual_seconds < 1320


def test_advance_at_the_last_weight_still_asks_for_proof(converse):
    long = {"steps": [{"weight": 10, "bake_seconds": 600}, {"weight": 100, "bake_seconds": 36_000}]}
    story, _, _ = converse(long, say(2400, "advance"))
    assert (story.outcome, story.proven) == ("promoted", True)
    assert story.virtual_seconds < 3000


def test_finish_does_not_promote_what_does_harm(converse):
    """It is said before the very look that finds the harm, and so known to it."""
    story, (answer,), _ = converse({}, say(150, "finish"), candidate={"error_rate": 0.5})
    assert answer["accepted"]
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
    assert 150 < story.virtual_seconds < 210


@pytest.mark.parametrize("second", [1.3, 30, 301, 650, 1000])
def test_abort_restores_at_once_whenever_it_comes(converse, second):
    story, (answer,), routings = converse({}, say(second, "abort", author="ana", reason="no"))
    assert answer["accepted"]
    assert story.alias == ON_STABLE
    assert story.outcome in {"rolled_back", "rejected"}
    assert "aborted by ana (no)" in story.cause
    assert (story.lock_released, story.history_recorded) == (True, True)
    split = [at for at, (_, weights) in routings if weights]
    assert not split or max(split) <= second + 1


def test_a_promotion_is_reverted_in_one_call_and_only_once(converse):
    story, answers, routings = converse(BRIEF, say(500, "revert", author="ana", reason="odd"), say(510, "revert"))
    assert (story.outcome, story.alias) == ("promoted", ON_STABLE)
    assert [answer["accepted"] for answer in answers] == [True, False]
    assert "it is reverted by ana (odd) already" in answers[1]["message"]
    assert "RolloutReverted" in story.events
    assert routings[-1][0] - 500 < 2


def test_a_promotion_is_not_reverted_too_late_or_where_somebody_moved_the_alias_since(converse):
    story, (answer,), _ = converse({**BRIEF, "revert_window_seconds": 300}, say(800, "revert"))
    assert story.alias == ON_CANDIDATE
    assert "may be taken back for 5 min (revert_window_seconds), which was over" in answer["message"]
    moved = {"at_second": 400, "do": "update_alias", "function_version": "3"}
    story, (answer,), _ = converse({**BRIEF, "version": "2"}, moved, say(500, "revert"))
    assert story.alias["function_version"] == "3"
    assert "somebody else moved it" in answer["message"]


def test_what_can_be_done_in_no_state_is_answered_and_changes_nothing(converse):
    said = [say(10, command) for command in ("resume", "approve", "reject", "revert")]
    said += [say(20, "pause"), say(30, "pause"), say(40, "advance"), say(45, "resume")]
    said += [say(1000 + number, command) for number, command in enumerate(("pause", "approve", "abort", "finish"))]
    story, answers, _ = converse(BRIEF, *said)
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE)
    accepted = [answer["accepted"] for answer in answers]
    assert accepted == [False] * 4 + [True, False, False, True] + [False] * 4
    messages = [answer["message"] for answer in answers]
    assert "it is not paused" in messages[0]
    assert "nothing waits for an approval now" in messages[1]
    assert "still running" in messages[3]
    assert "already" in messages[5]
    assert "resume first" in messages[6]
    assert all("no rollout of checkout:live runs" in message for message in messages[8:])


def test_a_late_command_for_another_rollout_does_no_harm(converse):
    story, (answer,), _ = converse(BRIEF, say(100, "abort", rollout_id="story-0"))
    assert story.outcome == "promoted"
    assert "rollout story-0 of checkout:live is over" in answer["message"]


def test_the_newest_of_a_pause_and_a_finish_counts(converse):
    long = {"steps": [{"weight": 10, "bake_seconds": 900}, {"weight": 100, "bake_seconds": 60}]}
    story, answers, _ = converse(long, say(70, "finish"), say(80, "pause"), say(600, "abort"))
    assert all(answer["accepted"] for answer in answers)
    assert story.alias == ON_STABLE
    story, answers, _ = converse(long, say(70, "pause"), say(80, "finish"), say(85, "advance"))
    assert [answer["accepted"] for answer in answers] == [True, True, False]
    assert (story.outcome, story.proven) == ("promoted", False)
    assert story.virtual_seconds < 180


def test_an_advance_that_is_said_twice_ends_one_bake(converse):
    long = {"steps": [{"weight": weight, "bake_seconds": 1800} for weight in (10, 50, 100)]}
    _, _, routings = converse(long, say(130, "advance"), say(179, "advance"), say(1000, "abort"))
    assert [weights for _, (_, weights) in routings if weights] == [{"2": 0.1}, {"2": 0.5}]


def test_an_abort_that_failed_can_be_said_again(converse):
    busy = {"call": "lambda.UpdateAlias", "error": "TooManyRequestsException", "times": 4, "skip": 1}
    waits = {"steps": [{"weight": 10, "bake_seconds": 7200}, {"weight": 100, "bake_seconds": 60}]}
    _, answers, routings = converse(waits, say(70, "abort"), say(80, "abort"), faults=[busy])
    assert answers[0]["errorType"] == "AwsThrottled"
    assert answers[1]["accepted"]
    assert routings[-1][1] == ("1", {})
    assert routings[-1][0] < 83


def test_a_promotion_that_was_told_is_not_aborted(converse):
    dead = {"call": "dynamodb.TransactWriteItems", "error": "InternalServerError", "times": 100}
    story, (answer,), _ = converse({}, say(1060, "abort"), faults=[dead])
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE)
    assert "is promoted, and its books are being closed" in answer["message"]


@pytest.mark.parametrize("second", [61.2, 61.25, 61.3, 61.35, 61.4, 61.45])
def test_a_finish_around_a_shift_is_not_lost_to_who_advances_after(converse, second):
    story, answers, _ = converse(THREE_MINUTES, say(second, "finish"), say(61.7, "advance"))
    assert [answer["accepted"] for answer in answers] == [True, False]
    assert "promoted" in answers[1]["message"]
    assert (story.outcome, story.alias) == ("promoted", ON_CANDIDATE)
    assert story.virtual_seconds < 130


def test_what_was_reverted_is_not_rolled_out_again_without_force(converse):
    again = {"at_second": 600, "do": "start_execution", "request": {**SMALLEST, "strategy": "AllAtOnce"}}
    story, _, routings = converse(BRIEF, say(500, "revert", author="ana", reason="odd"), again)
    assert (story.outcome, story.alias) == ("promoted", ON_STABLE)
    assert max(at for at, (_, weights) in routings if weights) < 500


def test_who_approved_before_a_step_back_did_not_see_it(converse):
    hold = {"when_inconclusive": "hold", "max_hold_seconds": 2400, "max_extension_seconds": 60}
    outage = {"from_second": 1500, "to_second": 1800, "error_rate": 0.6}
    _, (answer,), routings = converse(
        {"health": hold}, say(1790, "approve"), requests_per_minute=12, shared_outage=outage
    )
    backs = [at for at, (_, weights) in routings if weights == {"2": 0.1}]
    assert len(backs) > 1
    assert not answer["accepted"]


def test_contradictory_commands_in_one_bake_end_as_the_last_one_says(converse):
    story, answers, _ = converse({}, say(70, "pause"), say(75, "finish"), say(80, "abort"))
    assert all(answer["accepted"] for answer in answers)
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)


def updates_before(second):
    """How many items the handlers of an undisturbed rollout have updated by then."""
    with World(Scenario.of({}), THREE_MINUTES) as world:
        calls = []
        world.boundary.listen(calls.append)
        world.start()
        world.clock.sleep(second)
    return sum(call.name == "dynamodb.UpdateItem" for call in calls)


def test_a_command_whose_answer_is_lost_counts_once(converse):
    fault = {"call": "dynamodb.UpdateItem", "error": "lost_response", "skip": updates_before(30)}
    story, answers, routings = converse(THREE_MINUTES, say(30, "pause"), say(500, "resume"), faults=[fault])
    assert story.outcome == "promoted"
    assert [answer["accepted"] for answer in answers] == [True, True]
    assert 500 < next(at for at, (_, weights) in routings if weights.get("2") == 0.5) < 700


# Every command, in every state, once and doubled.

SHORT = {
    "steps": [
        {"weight": 50, "bake_seconds": 60},
        {"weight": 100, "bake_seconds": 60, "approval": {"timeout_seconds": 300, "on_timeout": "continue"}},
    ],
    "health": {"judge": False, "max_extension_seconds": 0, "when_inconclusive": "promote"},
    "max_pause_seconds": 300,
}
PENDING = {"state": "Pending", "active_after_seconds": 60}
#: When a command comes, in seconds, and which ones can do something then.
STATES = {
    "publishing": (20, {"pause", "abort"}),
    "baking": (110, {"pause", "advance", "finish", "abort"}),
    "waiting for approval": (250, {"pause", "approve", "reject", "finish", "abort"}),
    "ended": (800, {"revert"}),
}


@pytest.mark.parametrize(
    ("state", "command"), [(state, command) for state, (_, useful) in STATES.items() for command in sorted(useful)]
)
def test_a_command_ends_safe_in_every_state_once_and_doubled(converse, state, command):
    second, _ = STATES[state]
    story, answers, _ = converse(SHORT, say(second, command), say(second + 1, command), candidate=PENDING)
    assert [answer["accepted"] for answer in answers] == [
        True,
        # Said again before the next look, an order only replaces itself; to restore may be asked for again and again.
        command in {"approve", "advance", "finish", "abort", "reject"},
    ]
    assert all(answer["message"] for answer in answers)
    assert story.alias == (ON_STABLE if command in {"abort", "reject", "revert", "pause"} else ON_CANDIDATE)
    assert (story.lock_released, story.history_recorded) == (True, True)


@pytest.fixture(scope="module")
def undisturbed(converse):
    """The story of SHORT to which nobody says a word: its states, and the alias's routings."""
    story, _, routings = converse(SHORT, candidate=PENDING)
    return story.states, [routing for _, routing in routings]


@pytest.mark.parametrize("state", STATES)
def test_what_can_do_nothing_in_a_state_is_refused_and_changes_nothing_once_and_doubled(converse, undisturbed, state):
    """All in one story: where one of them changed something, neither the others nor the end would be as they are."""
    second, useful = STATES[state]
    useless = sorted(set(KINDS) - useful)
    said = [say(second + number / 10, command) for number, command in enumerate([*useless, *useless])]
    story, answers, routings = converse(SHORT, *said, candidate=PENDING)
    assert [(answer["accepted"], bool(answer["message"])) for answer in answers] == [(False, True)] * len(said)
    assert (story.states, [routing for _, routing in routings]) == undisturbed
    assert (story.alias, story.lock_released, story.history_recorded) == (ON_CANDIDATE, True, True)


def test_a_finish_that_was_said_before_a_flinch_is_void(converse):
    """Said between the look that flinches, at second 212, and the weight, which is late; who advances then is heard."""
    late = [{"handler": "shift_traffic", "error": "throttled", "skip": 1}]
    blip = {"requests_per_minute": 1200, "candidate": {"error_rate_by_minute": [0, 0.4]}, "faults": late}
    story, answers, routings = converse({}, say(212.1, "finish"), say(240, "advance"), **blip)
    assert [answer["accepted"] for answer in answers] == [True, True]
    assert ("1", {"2": 0.01}) in [routing for _, routing in routings]
    assert (story.outcome, story.alias) == ("rolled_back", ON_STABLE)
