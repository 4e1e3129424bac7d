"""Many rollouts at once: what is counted is what the account saw, and a limit that is missed is said."""

import json
from dataclasses import replace

import pytest

from bench.scale import crowd, figures
from bench.scale.crowd import Crowd
from tidegate.ending.outcome import Outcome

#: Two of them meet it, and none is lost by it.
QUOTAS = {"lambda": {"rate": 2, "burst": 3}}


@pytest.fixture(scope="module")
def played() -> Crowd:
    return crowd.play(2, QUOTAS)


def test_each_start_has_a_function_of_its_own_and_comes_to_its_end(played: Crowd) -> None:
    assert sum(played.starts.ends.values()) == sum(played.alarm.ends.values()) == 2
    assert set(played.starts.ends) <= set(Outcome)


def test_what_the_quota_refused_is_counted_by_handler_and_by_api(played: Crowd) -> None:
    control_plane = played.starts.calls["lambda"]
    throttled = [times for calls in played.starts.throttled.values() for times in calls.values()]
    assert control_plane.throttled == sum(throttled) > 0
    assert "plan_rollout" in played.starts.throttled
    assert control_plane.peak > 2 >= control_plane.mean > 0
    assert not any(rate.throttled for api, rate in played.starts.calls.items() if api != "lambda")


def test_the_restore_is_measured_from_the_alarm_beside_the_quotas_floor(played: Crowd) -> None:
    alarm = played.alarm
    assert alarm.exposed
    assert alarm.first_seconds is not None
    assert alarm.last_seconds is not None
    assert 0 < alarm.first_seconds <= alarm.last_seconds
    assert crowd._floor(300, crowd.QUOTAS) == 19.0
    assert crowd._floor(10, crowd.QUOTAS) == 0.0


@pytest.mark.parametrize(
    ("ends", "last", "lost", "holds"),
    [
        ({"promoted": 2}, 60.0, 0, [True, True]),
        ({"promoted": 1, "rejected": 1}, 60.1, 0, [False, False]),
        ({"rejected": 2}, None, 0, [False, False]),
        ({"promoted": 2}, 3.0, 1, [True, False]),
    ],
)
def test_a_row_misses_where_one_is_not_promoted_or_not_restored_in_time(
    played: Crowd, ends: dict[str, int], last: float | None, lost: int, holds: list[bool]
) -> None:
    alarm = replace(played.alarm, last_seconds=last, not_restored=lost)
    rows = figures.crowd_rows(replace(played, starts=replace(played.starts, ends=ends), alarm=alarm))
    assert [each.limit for each in rows] == ["2 promoted", "60 s"]
    assert [each.holds for each in rows] == holds


def test_all_of_it_is_said_in_json_and_in_words(played: Crowd) -> None:
    assert "throttled (" in figures.crowd_rows(played)[0].note
    assert json.loads(json.dumps(played.to_json()))["alarm"]["limit_seconds"] == 60
    assert "2 starts at once" in figures.text(played)
