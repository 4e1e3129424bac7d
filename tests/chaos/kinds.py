"""Which kinds of trouble a case holds, by name: what a run made, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from tests.chaos.case import Case

_RESTART_SECONDS = 10
TRAFFIC = frozenset(
    {"hang", "answered_error_rate", "slow_by_minute", "day_before", "throttles", "bursts", "function", "metrics"}
    | {"metric_delay_seconds", "shared_outage", "quotas"}
)
#: Kinds of which older cases knew nothing.
MEDDLING = frozenset(
    {
        "partial update_alias",
        "describe_alias",
        "delete_alias",
        "delete_function",
        "delete_version",
        "redrive",
        "restart within seconds",
        "slow",
        "stale",
        "weight of 0",
    }
)


def kinds_of(case: Case) -> set[str]:
    """The actions of people, the errors of faults, and what both come to together."""
    kinds = {str(fault["error"]) for fault in case.faults}
    return kinds | {kind for action in case.timeline for kind in _action(action)} | set(_together(case))


def table(cases: Iterable[Case]) -> str:
    """How many cases hold each kind: what people do, how calls and handlers fail, what becomes of events, and how the
    traffic is.
    """
    cases = list(cases)
    actions, faults, events = Counter[str](), Counter[str](), Counter[str]()
    for case in cases:
        actions.update({kind for action in case.timeline for kind in _action(action)} | set(_together(case)))
        faults.update({str(fault["error"]) for fault in case.faults if "event" not in fault})
        events.update({f"{fault['event']} {fault['error']}" for fault in case.faults if "event" in fault})
    traffic = Counter(word for case in cases for word in traffic_of(case))
    rows = [("people", actions), ("faults", faults), ("events", events), ("traffic", traffic)]
    return "\n".join(f"  {name}: {_counted(counts)}" for name, counts in rows)


def traffic_of(case: Case) -> set[str]:
    """The words of its scenario that say what cannot be seen of the traffic, or only late."""
    return TRAFFIC & {*case.scenario, *case.scenario.get("candidate", {})}


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common()) or "none"


def _action(action: Mapping[str, Any]) -> Iterator[str]:
    if action["do"] != "update_alias":
        yield str(action["do"])
        return
    yield "partial update_alias" if "weights" not in action else "update_alias"
    if action.get("function_version") not in {None, "1"}:
        yield "somebody's version"


def _together(case: Case) -> Iterator[str]:
    timeline = sorted(case.timeline, key=lambda action: float(action["at_second"]))
    for action, following in pairwise(timeline):
        soon = following["at_second"] - action["at_second"] < _RESTART_SECONDS
        if soon and (action["do"], following["do"]) == ("stop_execution", "start_execution"):
            yield "restart within seconds"
    done = {action["do"] for action in timeline}
    if {"redrive", "start_execution"} <= done:
        yield "redrive beside another one"
    denied = {fault.get("call") for fault in case.faults if fault["error"] == "AccessDeniedException"}
    if "redrive" in done and "lambda.UpdateAlias" in denied:
        yield "redrive of what may not be restored"
    alias = case.scenario.get("alias", {})
    if "describe_alias" in done and "provisioned_concurrency" in alias:
        yield "describe_alias, provisioned"
    if 0 in alias.get("weights", {}).values():
        yield "weight of 0"
