"""What the tests of the ledger write into it."""

from dataclasses import replace

from sandbox.world import STARTED_AT
from tests import plans
from tidegate.analysis.comparison import Comparison
from tidegate.analysis.health import AlarmRule
from tidegate.analysis.measurement import Counts, Shift
from tidegate.aws import ledger, locks, verdicts
from tidegate.control.commands import GivenCommand
from tidegate.control.observation import Observation
from tidegate.control.progress import Decision, Progress, Standing
from tidegate.ending.outcome import Ending, Outcome
from tidegate.ending.snapshot import RolloutSnapshot

TARGET = "checkout:live"
ARN = "arn:aws:states:us-east-1:123456789012:execution:tidegate-rollout:"
FIRST, SECOND = ARN + "first", ARN + "second"
DAY = 86_400

PLAN = replace(plans.PLAN, started_at=STARTED_AT, longest_seconds=1500, alarms=(AlarmRule("errors"),))
OTHER_PLAN = replace(PLAN, rollout_id="second", execution_arn=SECOND)


def take(arn=FIRST, now=STARTED_AT, **how):
    return ledger.take_lock(TARGET, arn, now, **how)


def record_verdict(plan=PLAN, now=STARTED_AT + 60, action="wait", checks=(), verdict=None, **decided):
    started = plan.started_at
    progress = Progress(1, 50.0, "r2", started, started, shifts=(Shift(started, 50.0),))
    served = {"in_rollout": Counts(100, 1, 100, 2), "stable_in_rollout": Counts(900, 3, 900, 7)}
    look = Observation(now, tuple(checks), verdict or Comparison(), **served)
    decision = Decision(action, "50 % bakes 4 min more", **decided)
    verdicts.record(plan, Standing(progress, decision), look, "r2")


def say(command):
    assert ledger.say(locks.read(TARGET), GivenCommand(command, command, "ana", "a graph", STARTED_AT + 30))


#: Each thing that a rollout writes while it runs.
RECORDS = {
    "plan": lambda: ledger.record_plan(PLAN),
    "candidate": lambda: ledger.record_candidate(PLAN, "2"),
    "shift": lambda: ledger.record_shift(PLAN, 0, 10, at=STARTED_AT),
    "promotion": lambda: ledger.record_promotion(PLAN),
    "verdict": record_verdict,
}


CAUSE = "alarm errors is ALARM"


def ended(outcome="rolled_back", cause=CAUSE, plan=PLAN, candidate="2", **more):
    """What `finalize` is given of a rollout that ended so."""
    return RolloutSnapshot(plan, candidate), Ending(Outcome(outcome), cause, **more)


def fault(call, error, **more):
    return {"faults": [{"call": f"dynamodb.{call}", "error": error, **more}]}
