"""What must hold of the alias and its alarms before anything starts."""

import pytest

from tidegate.analysis.health import AlarmRule
from tidegate.analysis.measurement import AlarmReading
from tidegate.errors import AlarmFiring, AlarmUnusable, AliasNotReady, ProvisioningPending
from tidegate.planning.preflight import require_ready_alarms, require_ready_alias
from tidegate.routing import Routing
from tidegate.version import Provisioning


@pytest.mark.parametrize(
    ("routing", "provisioning", "says"),
    [
        (Routing.alone("$LATEST"), None, "points to $LATEST"),
        (Routing.alone("$LATEST.PUBLISHED"), None, "cannot be weighted"),
        (Routing.split("1", "7", 20), None, "already serves version 1 with 20 % to version 7"),
        (Routing.split("2", "1", 20), Provisioning("IN_PROGRESS"), "already serves version 2 with 20 % to version 1"),
        (Routing.alone("2"), Provisioning("FAILED", "FUNCTION_ERROR_INIT_FAILURE"), "FAILED (FUNCTION_ERROR_INIT"),
        (Routing.split("2", "1", 100), Provisioning("FAILED"), "FAILED, and version 1 still gets its traffic"),
    ],
)
def test_an_alias_that_cannot_be_rolled_out_is_refused_with_the_reason(routing, provisioning, says):
    with pytest.raises(AliasNotReady) as caught:
        require_ready_alias("checkout:live", routing, provisioning)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "routing", [Routing.alone("2"), Routing.split("2", "1", 100)], ids=["shown alone", "handed over"]
)
def test_provisioned_concurrency_that_lambda_is_still_at_is_waited_for(routing):
    with pytest.raises(ProvisioningPending, match="provisioned concurrency of checkout:live is IN_PROGRESS"):
        require_ready_alias("checkout:live", routing, Provisioning("IN_PROGRESS"))


def test_one_version_at_all_traffic_is_ready():
    require_ready_alias("checkout:live", Routing.alone("1"), None)
    require_ready_alias("checkout:live", Routing.alone("1"), Provisioning("READY"))


def test_every_missing_and_broken_alarm_is_named():
    rules = (AlarmRule("gone"), AlarmRule("broken"), AlarmRule("well"))
    readings = {
        "gone": AlarmReading("gone", None),
        "broken": AlarmReading("broken", "OK", broken=True),
        "well": AlarmReading("well", "OK"),
    }
    with pytest.raises(AlarmUnusable, match=r"no alarm gone .* alarm broken cannot"):
        require_ready_alarms(rules, readings)


def test_a_firing_alarm_refuses_the_rollout_unless_the_request_ignores_it():
    firing = {"a": AlarmReading("a", "ALARM")}
    with pytest.raises(AlarmFiring, match="already in ALARM: a"):
        require_ready_alarms((AlarmRule("a"),), firing)
    require_ready_alarms((AlarmRule("a", "ignore_until_ok"),), firing)
    require_ready_alarms((AlarmRule("a"),), {"a": AlarmReading("a", "INSUFFICIENT_DATA")})


def test_an_alarm_of_many_series_may_not_be_ignored_until_it_is_ok():
    """It stays in ALARM while one of them recovers and another begins."""
    readings = {name: AlarmReading(name, "OK", has_contributors=True) for name in ("a", "b")}
    readings["one"] = AlarmReading("one", "ALARM")
    ignoring = tuple(AlarmRule(name, "ignore_until_ok") for name in readings)
    with pytest.raises(AlarmUnusable, match=r"ignore_until_ok cannot be used for a, b: .* many contributors") as caught:
        require_ready_alarms(ignoring, readings)
    assert "one" not in str(caught.value).partition(":")[0].split(" for ")[1]
    require_ready_alarms((AlarmRule("a"), AlarmRule("one", "ignore_until_ok")), readings)
