"""What a rollout says that goes back for want of proof: what was missing, each once, and what would help."""

from dataclasses import replace

import pytest

from tests.plans import PLAN
from tidegate.analysis.check import Check, Finding
from tidegate.analysis.comparison import Comparison
from tidegate.analysis.measurement import Counts, Shift
from tidegate.analysis.sight import Sight, Throttled
from tidegate.control.decision import decide
from tidegate.control.observation import Observation
from tidegate.control.progress import Progress

SETTLED = 300.0 + 120
AT_LAST = Progress(len(PLAN.steps) - 1, 100.0, "r2", 0.0, 0.0, (Shift(0.0, 100.0),))
MORE_TIME = "bake longer, raise health.max_extension_seconds"
TO_PROMOTE = "set health.when_inconclusive to promote"


def rolled_back(gates=(), requests=900, blind="", unjudged=False, throttled=None, timeout_seconds=3, **policy):
    """Why a rollout went back whose gates of these names have nothing to say, and that has no extension left."""
    policy = {"max_extension_seconds": 0, "when_inconclusive": "roll_back", **policy}
    plan = replace(PLAN, timeout_seconds=timeout_seconds, health=replace(PLAN.health, **policy))
    served, value = Counts(requests, 0), 0.1 if requests else None
    checks = [Check(gate or "a", value or "OK", 1.0, "%", Finding.UNKNOWN, of=requests, covers=gate) for gate in gates]
    if not value:
        checks = [Check(gate, None, 1.0, "%", Finding.UNKNOWN, of=0, covers=gate) for gate in gates]
    healthy = Check("errors", 0.1, 1.0, "%", Finding.HEALTHY, of=requests)
    sight = Sight(blind, throttled=throttled or Throttled())
    seen = (tuple(checks) or (healthy,), Comparison(unjudged=unjudged), served, served, Counts(), SETTLED, sight)
    decision = decide(plan, AT_LAST, Observation(SETTLED, *seen)).decision
    assert (decision.action, decision.proven, decision.convicts) == ("roll_back", False, False)
    return decision.reason


@pytest.mark.parametrize(
    ("how", "helps"),
    [
        ({"gates": ["errors"]}, MORE_TIME),
        ({"gates": ["slow"]}, f"{MORE_TIME}, set health.judge.slow to false"),
        ({"gates": ["errors", "slow"]}, MORE_TIME),
        ({"gates": ["", "slow"]}, MORE_TIME),
        ({"unjudged": True}, "set health.judge.slow to false"),
        ({"throttled": Throttled(90, 900, new=True)}, "give the function more concurrency"),
        ({"timeout_seconds": 900}, "bake longer below 100 %, lower the function's time-out"),
        (
            {"gates": ["max_error_percent"], "requests": 5},
            f"send traffic, lower health.minimum_invocations, {MORE_TIME}",
        ),
        ({"gates": ["errors"], "requests": 5}, f"send traffic, {MORE_TIME}"),
        (
            {"gates": ["errors"], "requests": 5, "when_inconclusive": "extend"},
            f"send traffic, lower health.minimum_invocations, {MORE_TIME}",
        ),
        ({"gates": ["errors"], "requests": 0}, f"send traffic, {MORE_TIME}"),
    ],
)
def test_it_is_told_what_would_help_and_nothing_else(how, helps):
    assert rolled_back(**how).rpartition("): ")[2] == f"{helps}, or {TO_PROMOTE}"


def test_nothing_but_the_policy_helps_who_watches_by_an_ignored_alarm_alone():
    ignored = Check("a", "ALARM", "OK", "", Finding.IGNORED)
    plan = replace(PLAN, health=replace(PLAN.health, when_inconclusive="roll_back"))
    served = Counts(900, 0)
    seen = Observation(SETTLED, (ignored,), Comparison(), served, served, Counts(), SETTLED)
    assert decide(plan, AT_LAST, seen).decision.reason.endswith(f"is ALARM): {TO_PROMOTE}")


def test_where_no_request_is_counted_that_is_said_once():
    reason = rolled_back(["max_error_percent", "max_duration_p99_ms", "errors"], requests=0)
    assert "served 0 requests (no request of the candidate is counted at the last weight): send" in reason
    blind = "no request of either version is counted"
    reason = rolled_back(["errors"], requests=0, blind=blind)
    assert f"served 0 requests (nothing could be seen: {blind}): send" in reason
