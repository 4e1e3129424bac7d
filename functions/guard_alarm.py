"""guard_alarm: an alarm fired; every rollout that watches it is restored now, not at its next poll."""

from __future__ import annotations

import time

from tidegate.application.telemetry import Document, count, identify, logger, task
from tidegate.analysis.health import AlarmRule
from tidegate.analysis.measurement import SOONEST_ALARM_SECONDS
from tidegate.application.restoration import attempt_at_once, has_ended_cleanly, intend
from tidegate.aws import locks
from tidegate.ending.conclusion import Known, Reason, conclude
from tidegate.ending.lock import Lock
from tidegate.ending.outcome import Outcome
from tidegate.ending.restore_intent import LeftAsFound
from tidegate.errors import RolloutError
from tidegate.json_text import as_object
from tidegate.moment import moment


@task("guard_alarm")
def handler(event: Document) -> Document:
    """Event: EventBridge's "CloudWatch Alarm State Change" into ALARM. Result: which aliases were restored.

    The state machine finds the alias restored at its next poll, and ends RolledBack for the reason that the lock keeps.

    Raises:
        RolloutError: an alias could not be restored: Lambda invokes the guard again, and then hands the event to the
            dead-letter queue. CheckHealth sees the alarm too.
    """
    detail = as_object(as_object(event).get("detail"))
    name, before = detail.get("alarmName"), as_object(detail.get("previousState")).get("value")
    if not isinstance(name, str):
        logger.warning("no event of an alarm's")
        return {"restored": []}
    timestamp = as_object(detail.get("state")).get("timestamp")
    parsed = moment(timestamp)
    # Unreadable, it is taken for what fires now: what nobody knows is not healthy.
    fired_at, since = (parsed, f" since {timestamp}") if parsed else (time.time(), "")
    restored: list[str] = []
    failed: RolloutError | None
    watching, failed = locks.running(alarm=name)
    for lock in watching:
        rule = _rule(lock, name, before, fired_at)
        if rule is None:
            continue
        identify({"plan": lock.plan.to_json() if lock.plan else {}, "candidate": lock.candidate})
        try:
            restored += _restore(lock, f"alarm {name} is in ALARM{since}", fired_at - SOONEST_ALARM_SECONDS)
        except RolloutError as error:
            logger.warning("alias not restored", reason=str(error))
            failed = error
    if failed:
        raise failed
    return {"restored": restored}


def _rule(lock: Lock, alarm: str, before: str | None, fired_at: float) -> AlarmRule | None:
    """The alarm as this rollout watches it, where it counts; one that is ignored until it is OK does only from OK."""
    if lock.plan is None or fired_at < lock.plan.started_at:
        return None
    rule = next((rule for rule in lock.plan.alarms if rule.name == alarm), None)
    return rule if rule and (rule.if_already_firing == "reject" or before == "OK") else None


def _restore(lock: Lock, why: str, convicts_if_shifted_by: float) -> list[str]:
    """The alias, where this rollout had moved any traffic and it is back on the stable version now.

    Raises:
        RolloutError: it may not be.
    """
    found = lock.snapshot
    if found is None or (found.promoting and has_ended_cleanly(lock)):
        return []
    intent = intend(found, why, convicts_if_shifted_by=convicts_if_shifted_by if found.traffic_shifted else None)
    if not intent.snapshot.traffic_shifted:
        return []
    done = attempt_at_once(intent, why)
    if isinstance(done, LeftAsFound):
        # Not ours any more: the state machine says so at its next poll.
        logger.warning("left as found", reason=done.why)
    ending = conclude(Known(intent.snapshot, Reason(why, intent.snapshot.convicted), restoration=done))
    if ending.recorded or ending.outcome is not Outcome.ROLLED_BACK:
        return []
    count("AlarmRestores")
    return [lock.target]
