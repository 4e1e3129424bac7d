"""How a rollout ends, over everything that can be known of it at once: thousands of ends in a moment, without AWS.

A world of values: the alias as it is found, the lock, how the execution ended, what the history says already, and what
becomes of a write. `restored` does with them what `application.restoration` does with AWS; what is right is asked of
the alias as it is left, and of the ending.
"""

from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import pytest

from tests.plans import PLAN
from tidegate.ending.conclusion import Known, Reason, conclude, ending_of_execution
from tidegate.ending.execution_end import ExecutionEnd
from tidegate.ending.outcome import Ending, Outcome
from tidegate.ending.restore_intent import Failed, Holder, LeftAsFound, RestoreIntent, restored
from tidegate.ending.snapshot import Restored, RolloutSnapshot
from tidegate.errors import AliasMoved, AwsUnavailable, LockLost, PermissionDenied, RolloutError
from tidegate.routing import Routing

WHY = Reason("HookFailed: no")
#: Version 1 is stable, 2 the candidate, 3 somebody else's; 10 % was set, and 20 % never.
ALIASES = {
    "stable": Routing.alone("1"),
    "split by us": Routing.split("1", "2", 10),
    "split by us, changed by hand": Routing.split("1", "2", 20),
    "promoted by us": Routing.alone("2"),
    "promoted, not handed over yet": Routing.split("2", "1", 100),
    "somebody else's": Routing.alone("3"),
    "somebody else's, with our weight": Routing.split("3", "2", 10),
    "somebody else's canary": Routing.split("1", "3", 10),
    "gone": None,
}
OURS = {"split by us", "split by us, changed by hand", "stable"}


def ended(status, **more):
    return ExecutionEnd.parse({"status": status, **more})


ENDS = {
    "runs": None,
    "redriven": ended("PENDING_REDRIVE"),
    "promoted": ended("SUCCEEDED", output='{"outcome": "promoted", "proven": true, "proven_by": ["errors"]}'),
    "unchanged": ended("SUCCEEDED", output='{"outcome": "unchanged"}'),
    "a success that says nothing": ended("SUCCEEDED", output=None),
    "rolled back": ended("FAILED", error="RolledBack", cause="harm"),
    "rejected": ended("FAILED", error="Rejected", cause="no"),
    "interrupted": ended("FAILED", error="Interrupted", cause="moved"),
    "could not be restored": ended("FAILED", error="RollbackFailed", cause="denied"),
    "broke": ended("FAILED", error="States.Runtime"),
    "stopped": ended("ABORTED", error="RolledBack", cause="by hand"),
    "timed out": ended("TIMED_OUT"),
    "gone": ExecutionEnd("gone", cause="its execution is gone, with its lock still held"),
}
BY_THEIR_OWN_WORD = {"promoted", "unchanged", "a success that says nothing", "rolled back", "rejected", "interrupted"}
RECORDS = {
    "none": None,
    "rolled back": Ending(Outcome.ROLLED_BACK, "harm", recorded=True),
    "promoted": Ending(Outcome.PROMOTED, "good", proven=True, recorded=True),
}
#: What becomes of a write to the alias.
WRITES = {"lands": None, "is denied": PermissionDenied("denied"), "gets no answer": AwsUnavailable("no answer")}
#: What the rollout was doing.
DOINGS = {
    "nothing yet": {"traffic_shifted": False, "promoting": False},
    "baking": {"promoting": False, "weights": frozenset({10.0})},
    "promoting": {"promoting": True, "weights": frozenset({10.0})},
    "being restored": {"promoting": False, "weights": frozenset({10.0}), "restoring": "alarm", "convicted": True},
    "being restored, promoting": {"promoting": True, "restoring": "alarm", "convicted": True},
    "restored": {"promoting": False, "weights": frozenset({10.0}), "restoring": "alarm", "restored": Restored()},
}
SNAPSHOTS = {doing: RolloutSnapshot(PLAN, "2", **known) for doing, known in DOINGS.items()}


@cache
def intent(holder, record, doing):
    ours = holder is Holder.OURS
    return RestoreIntent(SNAPSHOTS[doing], holder, in_lock=ours, recorded=None if ours else RECORDS[record])


@cache
def by_its_own_word(doing, end):
    return ending_of_execution(SNAPSHOTS[doing], ENDS[end])


@dataclass(frozen=True)
class Case:
    """One combination."""

    holder: Holder
    alias: str
    end: str
    write: str
    record: str
    doing: str

    @property
    def snapshot(self):
        return SNAPSHOTS[self.doing]

    @property
    def intent(self):
        return intent(self.holder, self.record, self.doing)


@dataclass(frozen=True)
class Left:
    """What became of a case: the ending, None where it does not end yet, and the alias as it is left."""

    ending: Ending | None
    alias: Routing | None
    wrote: bool
    restoration: object = None


def end_of(case):
    """What is done and concluded in that case."""
    found, end = ALIASES[case.alias], ENDS[case.end]
    if by_its_own_word(case.doing, case.end):
        return Left(conclude(Known(case.snapshot, WHY, end)), found, wrote=False)
    if not case.snapshot.traffic_shifted:
        known = Known(case.snapshot, WHY, end, case.intent.recorded, case.holder)
        return Left(conclude(known), found, wrote=False, restoration=case.intent.recorded)
    restoration, alias = restore(case, found)
    known = Known(case.snapshot, WHY, end, restoration, case.holder)
    try:
        return Left(conclude(known), alias, alias != found, restoration)
    except RolloutError:
        return Left(None, alias, alias != found, restoration)


def restore(case, found):
    """What restoring comes to, and the alias after it."""
    try:
        if done := case.intent.done_before():
            return done, found
        if found is None:
            return LeftAsFound("there is no alias"), None
        whole = case.intent.whole(found)
        if WRITES[case.write]:
            return Failed(WRITES[case.write]), found
        return restored(PLAN.stable, PLAN.target, found, whole), whole
    except (AliasMoved, LockLost) as error:
        return LeftAsFound(str(error)), found
    except AwsUnavailable as error:
        return Failed(error), found


CASES = [Case(*each) for each in product(Holder, ALIASES, ENDS, WRITES, RECORDS, DOINGS)]
LEFT = {case: end_of(case) for case in CASES}


def those(**known):
    """The cases of which all that is known, and what became of each; a set stands for each of its members."""
    wanted = {name: one if isinstance(one, set) else {one} for name, one in known.items()}
    found = [(case, LEFT[case]) for case in CASES if all(getattr(case, name) in of for name, of in wanted.items())]
    assert found
    return found


def test_every_combination_ends_or_is_asked_about_again():
    assert len(LEFT) == 5 * 9 * 13 * 3 * 3 * 6
    waits = {(case.holder, case.write) for case, left in LEFT.items() if left.ending is None}
    unsaid = {holder for holder, write in waits if write != "gets no answer"}
    assert unsaid == {Holder.NOT_OURS}, "only who cannot know whose the alias is waits where a write would land"


def test_nobody_is_told_a_success_that_neither_the_execution_nor_the_history_has_told():
    for case, left in LEFT.items():
        if left.ending and left.ending.outcome.is_success:
            said = left.restoration is RECORDS["promoted"] or ENDS[case.end].status == "succeeded"
            assert said, case


def test_what_is_not_known_never_ends_as_promoted():
    """An end that no state of ours reached, a record that is not there: doubt ends on the stable version."""
    nobody_says = {*ENDS} - BY_THEIR_OWN_WORD
    for case, left in those(end=nobody_says, record={"none", "rolled back"}):
        assert left.ending is None or left.ending.outcome is not Outcome.PROMOTED, case


def test_a_promotion_that_somebody_restores_is_no_success():
    for case, left in those(end={"promoted", "a success that says nothing"}, doing="being restored, promoting"):
        told = left.restoration is not None and left.restoration is RECORDS["promoted"]
        assert left.ending is None or not left.ending.outcome.is_success or told, case


def test_rolled_back_is_only_said_of_an_alias_that_is_whole():
    """Somebody else's canary, and what he split after the rollout had been restored, are no split of ours."""
    for case, left in LEFT.items():
        concluded = left.ending and not left.ending.recorded and left.wrote
        if concluded and left.ending.outcome in {Outcome.ROLLED_BACK, Outcome.INTERRUPTED}:
            assert not left.alias.is_split, case
            assert left.alias.version in {"1", "3"}, case


def test_no_weight_of_ours_stays_where_the_lock_is_ours_and_a_write_lands():
    nobody_says = {*ENDS} - BY_THEIR_OWN_WORD
    for case, left in those(holder=Holder.OURS, end=nobody_says, write="lands", doing={"baking", "being restored"}):
        theirs = case.alias in {"gone", "promoted by us", "promoted, not handed over yet", "somebody else's canary"}
        assert theirs or left.alias.additional is None, case
        if case.alias in OURS:
            assert (left.ending.outcome, left.alias) == (Outcome.ROLLED_BACK, Routing.alone("1")), case


def test_an_alias_that_another_rollout_has_is_not_written():
    for case, left in those(holder={Holder.ANOTHER, Holder.NOT_OURS}):
        assert not left.wrote, case


def test_what_is_recorded_counts_for_who_has_lost_the_lock():
    for case, left in those(holder={Holder.ANOTHER, Holder.NOBODY}, record={"rolled back", "promoted"}):
        assert left.ending == (by_its_own_word(case.doing, case.end) or RECORDS[case.record]), case
        assert not left.wrote, case


def test_an_end_by_its_own_word_writes_nothing_whatever_the_alias_is_by_now():
    for case, left in those(end={"rolled back", "rejected", "interrupted", "unchanged"}):
        assert (left.ending.outcome, left.wrote) == (ENDS[case.end].outcome, False), case


def test_a_rollout_that_moved_no_traffic_is_rejected_unless_the_history_says_otherwise():
    for case, left in those(doing="nothing yet", end={*ENDS} - BY_THEIR_OWN_WORD):
        assert not left.wrote
        assert left.ending == (case.intent.recorded or Ending(Outcome.REJECTED, WHY.cause)), case


def test_only_what_a_person_must_put_right_keeps_the_lock():
    for case, left in LEFT.items():
        if left.ending is None or not left.ending.keeps_lock:
            continue
        assert isinstance(left.restoration, Failed), case
        assert not left.restoration.may_pass or case.end == "could not be restored", case


def test_what_may_pass_is_tried_again_until_the_execution_has_given_up():
    for case, left in those(holder=Holder.OURS, alias="split by us", write="gets no answer", doing="baking"):
        if case.end in BY_THEIR_OWN_WORD:
            continue
        gives_up = case.end == "could not be restored"
        assert (left.ending is not None) is gives_up, case


def test_a_version_is_convicted_only_where_somebody_spoke_against_it():
    for case, left in LEFT.items():
        if left.ending and left.ending.convicts:
            assert case.snapshot.convicted, case
            assert not left.ending.outcome.is_success, case


@pytest.mark.parametrize(
    ("known", "outcome", "cause"),
    [
        ({"alias": "split by us", "end": "stopped", "doing": "baking"}, Outcome.ROLLED_BACK, WHY.cause),
        ({"alias": "split by us", "end": "runs", "doing": "being restored"}, Outcome.ROLLED_BACK, "alarm"),
        ({"alias": "promoted by us", "end": "timed out", "doing": "promoting"}, Outcome.ROLLED_BACK, WHY.cause),
        ({"alias": "promoted, not handed over yet", "end": "broke", "doing": "promoting"}, Outcome.ROLLED_BACK, None),
        ({"alias": "promoted by us", "end": "promoted", "doing": "promoting"}, Outcome.PROMOTED, None),
        (
            {"alias": "promoted by us", "end": "promoted", "doing": "being restored, promoting"},
            Outcome.ROLLED_BACK,
            "alarm",
        ),
        ({"alias": "somebody else's", "end": "stopped", "doing": "baking"}, Outcome.INTERRUPTED, None),
        ({"alias": "somebody else's, with our weight", "end": "stopped", "doing": "baking"}, Outcome.INTERRUPTED, None),
        ({"alias": "somebody else's canary", "end": "stopped", "doing": "baking"}, Outcome.INTERRUPTED, None),
        ({"alias": "gone", "end": "stopped", "doing": "baking"}, Outcome.INTERRUPTED, None),
        ({"alias": "split by us", "end": "gone", "doing": "restored"}, Outcome.ROLLED_BACK, "alarm"),
        ({"alias": "stable", "end": "stopped", "doing": "nothing yet"}, Outcome.REJECTED, WHY.cause),
        ({"alias": "stable", "end": "a success that says nothing", "doing": "nothing yet"}, Outcome.UNCHANGED, None),
    ],
)
def test_how_it_ends_where_the_lock_is_ours(known, outcome, cause):
    for _, left in those(holder=Holder.OURS, write="lands", record="none", **known):
        assert left.ending.outcome is outcome
        assert cause in {None, left.ending.cause}


@pytest.mark.parametrize(
    ("write", "end", "ending"),
    [
        ("is denied", "runs", Ending(Outcome.ROLLBACK_FAILED, f"denied (after {WHY.cause})")),
        ("is denied", "stopped", Ending(Outcome.ROLLBACK_FAILED, f"denied (after {WHY.cause})")),
        ("gets no answer", "runs", None),
        ("gets no answer", "could not be restored", Ending(Outcome.ROLLBACK_FAILED, f"no answer (after {WHY.cause})")),
    ],
)
def test_how_it_ends_where_the_alias_cannot_be_written(write, end, ending):
    for _, left in those(holder=Holder.OURS, alias="split by us", write=write, end=end, record="none", doing="baking"):
        assert left.ending == ending


# What the table does not vary.


SHIFTED = RolloutSnapshot(PLAN, "2", promoting=False)
UNTOUCHED = replace(SHIFTED, traffic_shifted=False)


@pytest.mark.parametrize(
    ("failure", "holder", "outcome"),
    [
        ("LockLost", Holder.ANOTHER, Outcome.INTERRUPTED),
        ("LockLost", Holder.NOBODY, Outcome.REJECTED),
        ("LockLost", Holder.UNKNOWN, Outcome.REJECTED),
        ("VersionFailed", Holder.ANOTHER, Outcome.REJECTED),
    ],
)
def test_who_has_lost_the_lock_before_any_traffic_is_interrupted_by_who_has_it(failure, holder, outcome):
    reason = Reason(f"{failure}: no", failure_name=failure)
    assert conclude(Known(UNTOUCHED, reason, holder=holder)) == Ending(outcome, reason.cause)


@pytest.mark.parametrize("outcome", [Outcome.ROLLED_BACK, Outcome.REJECTED])
def test_the_first_reason_counts_and_says_whether_it_convicts(outcome):
    snapshot = SHIFTED if outcome is Outcome.ROLLED_BACK else UNTOUCHED
    done = Restored() if outcome is Outcome.ROLLED_BACK else None
    marked = replace(snapshot, restoring="alarm", convicted=True)
    late = Reason("AliasMoved: it was restored meanwhile", convicts=False)
    assert conclude(Known(marked, late, restoration=done)) == Ending(outcome, "alarm", convicts=True)
    assert conclude(Known(snapshot, late, restoration=done)) == Ending(outcome, late.cause)


def test_a_reason_that_the_lock_has_cut_is_told_whole():
    whole = Reason("x" * 2_000, convicts=True)
    cut = replace(SHIFTED, restoring="x" * 1_000 + "…")
    assert conclude(Known(cut, whole, restoration=Restored())) == Ending(
        Outcome.ROLLED_BACK, whole.cause, convicts=True
    )


def test_an_interruption_is_told_with_what_had_led_to_it():
    """Its reason is its own: that somebody restored first is not why the alias is somebody else's."""
    marked = replace(SHIFTED, restoring="alarm", convicted=True)
    ending = conclude(Known(marked, WHY, restoration=Restored("a weight of ours is cleared")))
    assert ending == Ending(Outcome.INTERRUPTED, f"a weight of ours is cleared (after {WHY.cause})")
    assert conclude(Known(SHIFTED, WHY, restoration=LeftAsFound(WHY.cause))).cause == WHY.cause


def test_a_success_is_recorded_late_with_the_proof_that_it_told():
    ending = conclude(Known(SHIFTED, WHY, ENDS["promoted"]))
    late = "closed after the execution had ended"
    assert ending == Ending(Outcome.PROMOTED, late, proven=True, proven_by=("errors",))
    convicted = replace(SHIFTED, convicted=True)
    assert conclude(Known(convicted, WHY, ENDS["rolled back"])) == Ending(Outcome.ROLLED_BACK, "harm", convicts=True)


def test_what_was_restored_as_it_was_left_is_not_restored_again_by_who_has_lost_the_lock():
    lost = RestoreIntent(SHIFTED, Holder.ANOTHER, as_left=True)
    assert lost.done_before() == Restored()
    assert replace(lost, recorded=RECORDS["rolled back"]).done_before() == RECORDS["rolled back"]
    assert RestoreIntent(SHIFTED, Holder.UNKNOWN, as_left=True).done_before() is None


@pytest.mark.parametrize(
    ("in_lock", "promoting", "found", "doubt"),
    [
        (False, True, "promoted by us", True),
        (False, True, "promoted, not handed over yet", True),
        (True, True, "promoted by us", False),
        (False, False, "promoted by us", False),
        (False, True, "split by us", False),
    ],
)
def test_only_an_intent_in_the_lock_rules_out_that_a_promotion_is_recorded(in_lock, promoting, found, doubt):
    intent = RestoreIntent(replace(SHIFTED, promoting=promoting), Holder.OURS, in_lock=in_lock)
    assert intent.may_be_a_closed_promotion(ALIASES[found]) is doubt
