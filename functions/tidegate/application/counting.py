"""Executions of durable functions: who has them counted, and how a batch of what is told of them is."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from tidegate.application.telemetry import best_effort, logger
from tidegate.aws import durable, ledger
from tidegate.aws.durable import StatusChange
from tidegate.ending.lock import Lock
from tidegate.errors import AwsRefused, PermissionDenied, RolloutError
from tidegate.frozen import frozen
from tidegate.json_text import as_object, parsed
from tidegate.planning.plan import Plan

#: Of a version and minute so many executions are counted, and of more a part: their digests have to fit one item.
MOST_A_MINUTE = 6000
#: Counts are kept so long after a rollout's latest end.
_KEPT_SECONDS = 2 * 86_400
#: Clocks differ by less; what started before a rollout is none of its.
_CLOCK_SECONDS = 60

UNCOUNTED = "executions cannot be counted, so none is judged and no promotion is proven by them"


def have_counted(plan: Plan) -> Plan:
    """Have executions counted from now on, where the plan judges them; the plan, which says so where that cannot be.

    The plan is in the lock by now: who disables the rule looks there.

    Raises:
        AwsUnavailable: EventBridge did not answer, or throttled: trying again may help.
        LockLost: another execution holds the lock.
    """
    if not plan.counts_executions:
        return plan
    try:
        durable.enable_rule()
    except (PermissionDenied, AwsRefused) as error:
        plan = replace(plan, warnings=(*plan.warnings, f"{UNCOUNTED}: {error}"))
        ledger.record_plan(plan)
    return plan


def keep_counting(running: Iterable[Lock]) -> None:
    """Enable the rule again where a rollout needs it: an update of the stack may have put it back."""
    if any(lock.plan and lock.plan.counts_executions for lock in running):
        with best_effort("have executions counted"):
            if durable.keep_rule_enabled():
                logger.warning("executions were not counted for a while: somebody had disabled the rule")


@frozen
class _Counted:
    """What is counted of one function: its versions, since when, one execution in how many, and for how long."""

    versions: frozenset[str]
    since: float
    one_in: int
    expires_at: float

    @classmethod
    def of(cls, locks: Iterable[Lock]) -> Self:
        """Of all rollouts of the function together: of several of its aliases, perhaps."""
        plans = [(lock.plan, lock.candidate) for lock in locks if lock.plan]
        return cls(
            frozenset(each for plan, candidate in plans for each in (plan.stable, candidate) if each),
            min(plan.started_at for plan, _ in plans) - _CLOCK_SECONDS,
            max(1, *(math.ceil(plan.baseline.requests_per_minute / MOST_A_MINUTE) for plan, _ in plans)),
            max(plan.started_at + plan.longest_seconds for plan, _ in plans) + _KEPT_SECONDS,
        )

    def asks_about(self, change: StatusChange, now: float) -> bool:
        return (
            change.version in self.versions
            and self.since <= change.started_at <= now + _CLOCK_SECONDS
            and change.is_in_sample(self.one_in)
        )


@frozen
class Counting:
    """What is counted, by the name of the function."""

    functions: Mapping[str, _Counted]

    @classmethod
    def of(cls, locks: Iterable[Lock]) -> Self:
        """What running rollouts need, each of which has a plan."""
        by_function: defaultdict[str, list[Lock]] = defaultdict(list)
        for lock in locks:
            if lock.plan:
                by_function[lock.plan.function_name].append(lock)
        return cls({name: _Counted.of(held) for name, held in by_function.items()})


@dataclass(slots=True)
class _Minute:
    """Status changes of executions that started in one minute, and the messages that told of them."""

    changes: list[StatusChange] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


def count_batch(records: object, counting: Counting, now: float) -> list[str]:
    """Count what SQS's records tell; the ids of those that could not be counted now, and are to come again.

    What cannot be understood, or is not asked about, is dropped, and what there is no room for.
    """
    minutes: defaultdict[tuple[str, str, int], _Minute] = defaultdict(_Minute)
    for message, change in _read(records):
        counted = counting.functions.get(change.function_name)
        if counted and counted.asks_about(change, now):
            minute = minutes[change.function_name, change.version, change.minute]
            minute.changes.append(change)
            minute.messages.append(message)
    failed: list[str] = []
    for (function_name, version, at), minute in minutes.items():
        expires_at = counting.functions[function_name].expires_at
        try:
            if not durable.count(function_name, version, at, minute.changes, expires_at):
                logger.warning("no room for more executions", function=function_name, version=version, minute=at)
        except RolloutError as error:
            logger.warning("not counted", function=function_name, version=version, reason=str(error))
            failed += minute.messages
    return failed


def _read(records: object) -> Iterator[tuple[str, StatusChange]]:
    """Every message that tells of a status change, by its id; those that do not are logged together."""
    strange: list[object] = []
    for record in records if isinstance(records, list) else ():
        message, body = as_object(record).get("messageId"), as_object(record).get("body")
        change = StatusChange.parse(parsed(body))
        if change is None or not isinstance(message, str):
            strange.append(body)
        else:
            yield message, change
    if strange:
        logger.warning("no status change of a version's execution", messages=len(strange), first=str(strange[0])[:500])
