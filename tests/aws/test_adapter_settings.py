"""Settings: read from the stack's parameter once a minute; where they cannot be, what was known last."""

import json

import pytest

from sandbox.aws.boundary import AwsError
from tidegate.aws import settings
from tidegate.aws.settings import Settings
from tidegate.errors import AwsRefused, AwsUnavailable, PermissionDenied, RolloutError

PARAMETER = "/tidegate/settings/tidegate"
DEPLOYED, PUBLISHED = Settings(365, ""), Settings(90, "")
TOPIC = "arn:aws:sns:us-east-1:123456789012:rollouts"
ALWAYS = {"call": "ssm.GetParameter", "times": "always"}


def test_they_are_what_the_stack_says_and_not_what_the_version_was_published_with(inhabit):
    inhabit()
    assert settings.current() == DEPLOYED


def test_they_are_read_once_a_minute(inhabit):
    world = inhabit()
    assert settings.current() == settings.current() == DEPLOYED
    world.update_stack({"NotificationTopicArn": TOPIC, "HistoryRetentionDays": "30"})
    world.clock.sleep(30)
    assert settings.current() == DEPLOYED
    assert world.boundary.calls["ssm.GetParameter"] == 1
    world.clock.sleep(30)
    assert settings.current() == Settings(30, TOPIC)
    assert world.boundary.calls["ssm.GetParameter"] == 2


def test_a_clock_that_was_set_back_makes_nothing_fresh(inhabit, monkeypatch):
    world = inhabit()
    settings.current()
    now = world.clock.now()
    monkeypatch.setattr("time.time", lambda: now - 7200)
    settings.current()
    assert world.boundary.calls["ssm.GetParameter"] == 2


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        ("AccessDeniedException", PermissionDenied),
        ("ThrottlingException", AwsUnavailable),
        ("InternalServerError", AwsUnavailable),
        ("ParameterNotFound", AwsRefused),
    ],
)
def test_what_cannot_be_read_is_what_the_version_was_published_with_and_why_is_told(inhabit, error, becomes):
    world = inhabit(faults=[{**ALWAYS, "error": error}])
    assert settings.current() == PUBLISHED
    asked = world.boundary.calls["ssm.GetParameter"]
    with pytest.raises(becomes, match=f"could not read parameter {PARAMETER}"):
        settings.refresh()
    assert world.boundary.calls["ssm.GetParameter"] == asked, "nobody waits twice within a minute"


def test_what_was_read_once_is_known_when_it_cannot_be_read_any_more(inhabit):
    world = inhabit()
    world.update_stack({"HistoryRetentionDays": "30"})
    assert settings.current() == Settings(30, "")

    def refuse(_params, _proceed):
        raise AwsError("ThrottlingException", "Rate exceeded")

    world.boundary.correct("ssm.GetParameter", refuse)
    world.clock.sleep(60)
    assert settings.current() == Settings(30, "")
    with pytest.raises(AwsUnavailable):
        settings.refresh()


def test_a_silent_ssm_costs_seconds_once_a_minute(inhabit):
    world = inhabit(faults=[{**ALWAYS, "error": "lost_response"}])
    began = world.clock.now()
    assert [settings.current() for _ in range(5)] == [PUBLISHED] * 5
    assert world.clock.now() - began < 7


def test_what_a_newer_stack_writes_beside_is_left_out(inhabit):
    world = inhabit()

    def answer(_params, proceed):
        found = proceed()
        document = {**json.loads(found["Parameter"]["Value"]), "history_retention_days": 31, "more": 1}
        return {**found, "Parameter": {**found["Parameter"], "Value": json.dumps(document)}}

    world.boundary.correct("ssm.GetParameter", answer)
    assert settings.current().history_retention_days == 31


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"a"',
        "{}",
        '{"history_retention_days": 30}',
        '{"history_retention_days": "30", "notification_topic_arn": ""}',
        '{"history_retention_days": 0, "notification_topic_arn": ""}',
        '{"history_retention_days": true, "notification_topic_arn": ""}',
        '{"history_retention_days": 30, "notification_topic_arn": null}',
        "[" * 3000,
    ],
)
def test_what_is_no_settings_is_refused_and_the_versions_own_are_taken(inhabit, text):
    world = inhabit()

    def answer(_params, proceed):
        found = proceed()
        return {**found, "Parameter": {**found["Parameter"], "Value": text}}

    world.boundary.correct("ssm.GetParameter", answer)
    assert settings.current() == PUBLISHED
    with pytest.raises(RolloutError, match="does not hold the stack's settings: update the stack"):
        settings.refresh()
