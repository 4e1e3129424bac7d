"""The stack's settings: what whoever deploys it has chosen, where the versions that run can read it.

An environment variable is part of a version, and SAM publishes none where nothing but a parameter of the stack has
changed: it compares the template with its references unresolved (aws/serverless-application-model#3820). So these stand
in a parameter of SSM Parameter Store, which the stack rewrites; the environment says what they were when the version
was published, for where it cannot be read.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass

from tidegate.aws import sdk
from tidegate.errors import AwsRefused, RolloutError
from tidegate.frozen import frozen
from tidegate.json_text import parsed
from tidegate.stored import known_fields

#: How long a process goes by what it has read, or by what it knew where it could not: nobody waits for SSM twice.
FRESH_SECONDS = 60


@frozen
class Settings:
    """How long the history is kept, and the topic that hears of rollouts, "" for none."""

    history_retention_days: int
    notification_topic_arn: str


@dataclass(slots=True)
class _Known:
    """What a process knows: the settings that it read last, and when and how its last try ended."""

    settings: Settings | None = None
    asked_at: float | None = None
    failure: RolloutError | None = None

    def is_fresh(self, now: float) -> bool:
        # A clock that was set back says nothing.
        return self.asked_at is not None and 0 <= now - self.asked_at < FRESH_SECONDS


_known = _Known()


def current() -> Settings:
    """The settings, at most a minute old; where they cannot be read those read last, or else the version's own.

    Never fails, and takes six seconds or so at most, once a minute: for what follows a restore. Only a sweep has
    another rollout's restore after it.
    """
    with suppress(RolloutError):
        refresh()
    return _known.settings or _published()


def refresh() -> None:
    """Read the settings, unless that was tried within the last minute.

    Raises:
        RolloutError: they could not be read, now or at that try.
    """
    now = time.time()
    if not _known.is_fresh(now):
        _known.asked_at, _known.failure = now, None
        try:
            _known.settings = _read(os.environ["SETTINGS_PARAMETER"])
        except RolloutError as error:
            _known.failure = error
    if _known.failure:
        raise _known.failure


def forget() -> None:
    """Know nothing, as a process that has just begun: for whoever hands it to another account, as the sandbox does."""
    _known.settings = _known.asked_at = _known.failure = None


def _read(parameter: str) -> Settings:
    with sdk.refusals(f"read parameter {parameter}"):
        text = sdk.hasty_client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
    found = _parsed(text)
    if found is None:
        message = f"parameter {parameter} does not hold the stack's settings: update the stack, which writes it"
        raise AwsRefused(message, "SettingsInvalid")
    return found


def _parsed(text: str) -> Settings | None:
    """Settings of JSON, whatever a newer stack has written beside; None where it is anything else: people write too."""
    document = parsed(text)
    if not isinstance(document, dict) or not Settings.__dataclass_fields__.keys() <= document.keys():
        return None
    found = Settings(**known_fields(Settings, document))
    days, topic = found.history_retention_days, found.notification_topic_arn
    return found if type(days) is int and days > 0 and isinstance(topic, str) else None


def _published() -> Settings:
    """What they were when this version was published."""
    return Settings(int(os.environ["HISTORY_RETENTION_DAYS"]), os.environ.get("NOTIFICATION_TOPIC_ARN", ""))
