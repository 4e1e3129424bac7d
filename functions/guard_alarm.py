"""guard_alarm: an alarm fired; every rollout that watches it is restored now, not at its next poll."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Self

from tidegate.application.telemetry import Document, count, identify_in_thread, logger, task
from tidegate.analysis.health import AlarmRule
from tidegate.analysis.measurement import SOONEST_ALARM_SECONDS
from tidegate.application.many import Tried, each, shuffled
from tidegate.application.restoration import attempt_at_once, has_ended_cleanly, intend
from tidegate.aws import locks, watches
from tidegate.aws.executions import Execution
from tidegate.aws.watches import Watch
from tidegate.ending.conclusion import Known, Reason, conclude
from tidegate.ending.lock import Lock
from tidegate.ending.outcome import Outcome
from tidegate.ending.restore_intent import LeftAsFound
from tidegate.errors import AwsUnavailable, RolloutError
from tidegate.frozen import frozen
from tidegate.json_text import as_object
from tidegate.moment import moment

#: A restore is one call of Lambda's control plane, which answers 15 a second of a region, whoever asks (Lambda
#: Developer Guide, "Quotas"): a little is left to others.
_RESTORES_A_SECOND = 13
#: The longest that one restore may take, with every call of it asked four times.
_LAST_RESTORE_SECONDS = 150
#: Those that are throttled, or get no answer, are tried again, all others in between, until nothing came of so many
#: rounds.
_ROUNDS_IN_VAIN = 4


@task("guard_alarm")
def handler(event: Document) -> Document:
    """Event: EventBridge's "CloudWatch Alarm State Change" into ALARM. Result: which aliases were restored.

    The state machine finds the alias restored at its next poll, and ends RolledBack for the reason that the lock keeps.

    Raises:
        RolloutError: an alias could not be restored, or there was no time left for some: Lambda invokes the guard
            again, which has only those to do, and then hands the event to the dead-letter queue. CheckHealth sees the
            alarm too.
    """
    fired = _Fired.parse(as_object(event))
    if fired is None:
        logger.warning("no event of an alarm's")
        return {"restored": []}
    watching = shuffled(filter(fired.is_where, watches.of(fired.alarm)), lambda watch: watch.target)
    restored, left = list[str](), 0
    failed: RolloutError | None = None
    for tried in _restore_each(watching, fired):
        if tried.result:
            count("AlarmRestores")
            restored.append(tried.item.target)
        if tried.error:
            failed = tried.error
            logger.warning("alias not restored", target=tried.item.target, reason=str(failed))
        left += not tried.begun
    if left:
        raise AwsUnavailable(f"no time was left for {left:,} of {len(watching):,} rollouts that watch {fired.alarm}")
    if failed:
        raise failed
    return {"restored": sorted(restored)}


@frozen
class _Fired:
    """An alarm that fired at a moment, in seconds since the epoch; before that it was in state `before`."""

    alarm: str
    account: object
    region: object
    before: object
    at: float
    why: str

    @classmethod
    def parse(cls, event: Document) -> Self | None:
        """From EventBridge's event; None where it is none of an alarm's."""
        detail = as_object(event.get("detail"))
        alarm, timestamp = detail.get("alarmName"), as_object(detail.get("state")).get("timestamp")
        if not isinstance(alarm, str):
            return None
        parsed, before = moment(timestamp), as_object(detail.get("previousState")).get("value")
        # Unreadable, it is taken for what fires now: what nobody knows is not healthy.
        at, since = (parsed, f" since {timestamp}") if parsed else (time.time(), "")
        why = f"alarm {alarm} is in ALARM{since}"
        return cls(alarm, event.get("account"), event.get("region"), before, at, why)

    def is_where(self, watch: Watch) -> bool:
        """Whether it is an alarm of that rollout's account and region; another one may have the same name."""
        execution = Execution.parse(watch.execution_arn)
        return (execution.account, execution.region) == (self.account, self.region)

    def rule(self, lock: Lock) -> AlarmRule | None:
        """The alarm as a rollout watches it, where it counts; one that is ignored until it is OK does only from OK."""
        if lock.plan is None or self.at < lock.plan.started_at:
            return None
        rule = next((rule for rule in lock.plan.alarms if rule.name == self.alarm), None)
        return rule if rule and (rule.if_already_firing == "reject" or self.before == "OK") else None


def _restore_each(watching: list[Watch], fired: _Fired) -> Iterator[Tried[Watch, bool]]:
    return each(
        watching,
        partial(_restore_watching, fired),
        per_second=_RESTORES_A_SECOND,
        until_seconds_left=_LAST_RESTORE_SECONDS,
        in_vain=_ROUNDS_IN_VAIN,
    )


def _restore_watching(fired: _Fired, watch: Watch) -> bool:
    """Restore what a rollout has moved that has the lock and watches the alarm; whether it is back by this now.

    Raises:
        RolloutError: it may not be.
    """
    lock = locks.read(watch.target)
    if lock is None or lock.execution_arn != watch.execution_arn or fired.rule(lock) is None:
        return False
    identify_in_thread({"plan": lock.plan.to_json() if lock.plan else {}, "candidate": lock.candidate})
    return _restore(lock, fired.why, fired.at - SOONEST_ALARM_SECONDS)


def _restore(lock: Lock, why: str, convicts_if_shifted_by: float) -> bool:
    """Whether this rollout had moved any traffic and the alias is back on the stable version now.

    Raises:
        RolloutError: it may not be.
    """
    found = lock.snapshot
    if found is None or (found.promoting and has_ended_cleanly(lock)):
        return False
    intent = intend(found, why, convicts_if_shifted_by=convicts_if_shifted_by if found.traffic_shifted else None)
    if not intent.snapshot.traffic_shifted:
        return False
    done = attempt_at_once(intent, why)
    if isinstance(done, LeftAsFound):
        # Not ours any more: the state machine says so at its next poll.
        logger.warning("left as found", reason=done.why)
    ending = conclude(Known(intent.snapshot, Reason(why, intent.snapshot.convicted), restoration=done))
    return not ending.recorded and ending.outcome is Outcome.ROLLED_BACK
