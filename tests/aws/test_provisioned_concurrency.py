"""Provisioned concurrency as Lambda keeps it: one test per rule, seen through a real SDK client.

Sources are the Lambda API reference and developer guide ("Configuring provisioned concurrency for a function"), and,
for an alias that moves, what others saw: terraform-provider-aws#48116, terraform#24957, serverless#7250 and
gradientedge/cdk-utils#1110. What nobody has seen is marked as chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.provisioned_concurrency import PROVISIONING_SECONDS
from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import World
from tests.aws.lambda_account import CHECKOUT, Account, opened_account, refusal, weights

INVALID, CONFLICT = ("InvalidParameterValueException", 400), ("ResourceConflictException", 409)
IN_TRANSITION, ON_STABLE, ON_CANDIDATE = ("2", {"1": 1.0}), ("1", {}), ("2", {})


@pytest.fixture
def account() -> Iterator[Account]:
    """The alias `live` on version 1 of three, with five environments ready."""
    with opened_account() as account:
        account.alias()
        account.publish("three")
        account.rules.provisioned_concurrency.give(CHECKOUT, "live", 5)
        yield account


def shown(account: Account, qualifier: str = "live") -> tuple[str, int, int, str | None]:
    """Status, allocated, available, reason."""
    found = account.sdk.get_provisioned_concurrency_config(FunctionName=CHECKOUT, Qualifier=qualifier)
    assert found["RequestedProvisionedConcurrentExecutions"] == 5
    return (
        found["Status"],
        found["AllocatedProvisionedConcurrentExecutions"],
        found["AvailableProvisionedConcurrentExecutions"],
        found.get("StatusReason"),
    )


READY = ("READY", 5, 5, None)
IN_PROGRESS = ("IN_PROGRESS", 0, 0, None)
FAILED = ("FAILED", 0, 0, "FUNCTION_ERROR_INIT_FAILURE")
#: The environments of the version before are there all the while (recorded facts, P11).
MOVING = ("IN_PROGRESS", 5, 5, None)
STUCK = ("FAILED", 5, 5, "FUNCTION_ERROR_INIT_FAILURE")


def put(account: Account, qualifier: str = "live") -> Any:
    return account.sdk.put_provisioned_concurrency_config(
        FunctionName=CHECKOUT, Qualifier=qualifier, ProvisionedConcurrentExecutions=5
    )


def delete(account: Account, qualifier: str = "live") -> Any:
    return account.sdk.delete_provisioned_concurrency_config(FunctionName=CHECKOUT, Qualifier=qualifier)


def get(account: Account, qualifier: str = "live") -> Any:
    return account.sdk.get_provisioned_concurrency_config(FunctionName=CHECKOUT, Qualifier=qualifier)


def promote(account: Account) -> dict[str, Any]:
    return account.update(FunctionVersion="2", RoutingConfig=weights())


def restore(account: Account) -> dict[str, Any]:
    return account.update(FunctionVersion="1", RoutingConfig=weights())


def routing(account: Account) -> Any:
    return account.rules.routing(CHECKOUT, "live")


def let_none_initialise(account: Account) -> None:
    account.rules.provisioned_concurrency.set_initialisation(CHECKOUT, lambda _version: False)


# Its calls: API reference, Get-, Put- and DeleteProvisionedConcurrencyConfig.


def test_absent_provisioned_concurrency_is_not_found(account: Account) -> None:
    """GetProvisionedConcurrencyConfig, ProvisionedConcurrencyConfigNotFoundException; also of a version."""
    for qualifier in ("1", "live"):
        if qualifier == "live":
            delete(account)
        expected = ("ProvisionedConcurrencyConfigNotFoundException", 404)
        assert refusal(lambda qualifier=qualifier: get(account, qualifier)) == expected


@pytest.mark.parametrize("call", [get, put, delete])
@pytest.mark.parametrize("qualifier", ["other", "9"])
def test_qualifier_exists(account: Account, call: Any, qualifier: str) -> None:
    """All three calls, ResourceNotFoundException."""
    assert refusal(lambda: call(account, qualifier)) == ("ResourceNotFoundException", 404)


@pytest.mark.parametrize("call", [get, put, delete])
def test_latest_has_none(account: Account, call: Any) -> None:
    """Developer guide: not for $LATEST."""
    assert refusal(lambda: call(account, "$LATEST")) == INVALID


def test_an_alias_on_latest_has_none(account: Account) -> None:
    """Developer guide: not for $LATEST, neither by Put nor by moving an alias that has some there."""
    account.sdk.create_alias(FunctionName=CHECKOUT, Name="next", FunctionVersion="$LATEST")
    assert refusal(lambda: put(account, "next")) == INVALID
    assert account.refused(FunctionVersion="$LATEST") == INVALID


@pytest.mark.parametrize("qualifier", ["live", "2"])
def test_what_is_asked_for_is_ready_after_a_while(account: Account, qualifier: str) -> None:
    """PutProvisionedConcurrencyConfig; Status is IN_PROGRESS, then READY, and the alias shows no weights for it."""
    assert put(account, qualifier)["Status"] == "IN_PROGRESS"
    account.clock.sleep(PROVISIONING_SECONDS - 1)
    assert shown(account, qualifier) == IN_PROGRESS
    account.clock.sleep(1)
    assert shown(account, qualifier) == READY
    assert routing(account) == ON_STABLE


def test_what_cannot_initialise_fails(account: Account) -> None:
    """API reference, Status and StatusReason; the reason's text is from serverless#7250."""
    let_none_initialise(account)
    put(account, "2")
    account.clock.sleep(PROVISIONING_SECONDS)
    assert shown(account, "2") == FAILED


def test_deleting_is_a_success_also_where_there_is_none(account: Account) -> None:
    """DeleteProvisionedConcurrencyConfig models no ProvisionedConcurrencyConfigNotFoundException."""
    delete(account)
    delete(account)
    account.update(FunctionVersion="2")
    assert routing(account) == ON_CANDIDATE


def test_deleting_an_alias_deletes_what_it_had(account: Account) -> None:
    """A new alias of that name has nothing of the old one."""
    promote(account)
    account.sdk.delete_alias(FunctionName=CHECKOUT, Name="live")
    account.clock.sleep(PROVISIONING_SECONDS)
    account.sdk.create_alias(FunctionName=CHECKOUT, Name="live", FunctionVersion="1")
    assert refusal(lambda: get(account))[0] == "ProvisionedConcurrencyConfigNotFoundException"


def test_version_has_one_configuration_at_most(account: Account) -> None:
    """Developer guide: its own, or that of an alias which points to it; also where the alias comes later."""
    account.sdk.create_alias(FunctionName=CHECKOUT, Name="other", FunctionVersion="1")
    assert refusal(lambda: put(account, "1")) == CONFLICT
    assert refusal(lambda: put(account, "other")) == CONFLICT
    put(account, "2")
    assert account.refused(FunctionVersion="2", RoutingConfig=weights()) == CONFLICT


@pytest.mark.parametrize("call", [put, delete])
def test_weighted_alias_keeps_its_configuration(account: Account, call: Any) -> None:
    """Developer guide: not to be changed while the alias has a routing configuration. Verbatim in terraform#24957."""
    account.update(RoutingConfig=weights(v2=0.1))
    with pytest.raises(ClientError, match="Alias with weights can not be used with Provisioned Concurrency"):
        call(account)
    account.update(RoutingConfig=weights())
    call(account)


def test_lambdas_own_weights_keep_the_configuration_too(account: Account) -> None:
    """terraform#24957: refused as long as Lambda's own weights are there."""
    promote(account)
    assert refusal(lambda: put(account)) == INVALID
    account.clock.sleep(PROVISIONING_SECONDS)
    assert put(account)["Status"] == "IN_PROGRESS"


# The alias that has it.


def test_provisioned_alias_takes_weights_and_stays_ready(account: Account) -> None:
    """Developer guide: weights may be given to an alias that has provisioned concurrency; a ramp moves nothing."""
    for weight in (0.1, 0.5, 1.0):
        account.update(FunctionVersion="1", RoutingConfig=weights(v2=weight))
        account.clock.sleep(PROVISIONING_SECONDS)
        assert (routing(account), shown(account)) == (("1", {"2": weight}), READY)
    restore(account)
    assert (routing(account), shown(account)) == (ON_STABLE, READY)


@pytest.mark.parametrize("ramped", [{}, {"v2": 1.0}])
def test_moving_keeps_traffic_until_concurrency_is_ready(account: Account, ramped: dict[str, float]) -> None:
    """terraform-provider-aws#48116: Lambda gives the previous version a weight of 1. That this is the alias's own
    version, also where all traffic was in the weights already, is chosen.
    """
    account.update(RoutingConfig=weights(**ramped))
    promote(account)
    assert (routing(account), shown(account)) == (IN_TRANSITION, MOVING)
    account.clock.sleep(PROVISIONING_SECONDS - 1)
    assert (routing(account), shown(account)) == (IN_TRANSITION, MOVING)
    account.clock.sleep(1)
    assert (routing(account), shown(account)) == (ON_CANDIDATE, READY)
    assert "RoutingConfig" not in account.seen()


def test_lambdas_own_writes_change_the_revision(account: Account) -> None:
    """Chosen: nobody says so or not. UpdateAlias is answered before them, with the alias as it was asked for."""
    written = promote(account)
    assert (written["FunctionVersion"], "RoutingConfig" in written) == ("2", False)
    moving = account.seen()["RevisionId"]
    account.clock.sleep(PROVISIONING_SECONDS)
    revisions = [written["RevisionId"], moving, account.seen()["RevisionId"]]
    assert len(set(revisions)) == len(revisions)
    for stale in revisions[:2]:
        assert account.refused(FunctionVersion="1", RevisionId=stale) == ("PreconditionFailedException", 412)


def test_listeners_hear_of_lambdas_own_writes(account: Account) -> None:
    """Not a rule of AWS but what traffic rests on: never is the new version without the weight beside it."""
    heard: list[Any] = []
    account.rules.on_alias_change(lambda _function, _alias: heard.append(routing(account)))
    promote(account)
    account.clock.sleep(PROVISIONING_SECONDS)
    assert heard == [ON_STABLE, IN_TRANSITION, IN_TRANSITION, ON_CANDIDATE]


def test_failed_initialisation_keeps_the_weight_until_it_is_cleared(account: Account) -> None:
    """gradientedge/cdk-utils#1110: the weight stays at 100 % on the old version, until somebody clears it by hand."""
    let_none_initialise(account)
    promote(account)
    account.clock.sleep(PROVISIONING_SECONDS)
    revision = account.seen()["RevisionId"]
    account.clock.sleep(24 * 3600)
    assert (routing(account), shown(account)) == (IN_TRANSITION, STUCK)
    assert account.seen()["RevisionId"] == revision
    account.update(RoutingConfig=weights())
    assert (routing(account), shown(account)) == (ON_CANDIDATE, STUCK)


def test_version_that_is_not_active_does_not_initialise(account: Account) -> None:
    """Developer guide, "Lambda function states": only an Active version can be invoked."""
    promote(account)
    account.rules.set_version_state(CHECKOUT, "2", "Failed", None)
    account.clock.sleep(PROVISIONING_SECONDS)
    assert shown(account) == STUCK


def test_move_and_weights_are_not_for_one_write(account: Account) -> None:
    """gradientedge/cdk-utils#1110, verbatim."""
    with pytest.raises(ClientError, match="Invalid alias configuration for Provisioned Concurrency"):
        account.update(FunctionVersion="2", RoutingConfig=weights(v1=0.5))
    assert (routing(account), shown(account)) == (ON_STABLE, READY)


@pytest.mark.parametrize("seconds", [1, PROVISIONING_SECONDS])
def test_weight_that_lambda_left_is_in_the_way_of_the_next_move(account: Account, seconds: float) -> None:
    """gradientedge/cdk-utils#1110, verbatim: until the weight is cleared, in the same write if need be."""
    let_none_initialise(account)
    promote(account)
    account.clock.sleep(seconds)
    with pytest.raises(ClientError, match="Invalid alias configuration for Provisioned Concurrency"):
        account.update(FunctionVersion="3")
    account.update(FunctionVersion="3", RoutingConfig=weights())
    assert (routing(account), shown(account)) == (("3", {"1": 1.0}), MOVING)


@pytest.mark.parametrize("seconds", [0, PROVISIONING_SECONDS - 1, PROVISIONING_SECONDS])
def test_moving_back_before_the_new_version_is_ready_is_immediate(account: Account, seconds: float) -> None:
    """The old version still serves (#48116), and so does its concurrency until another one's is ready (chosen); also
    where the other one never will be.
    """
    let_none_initialise(account)
    promote(account)
    account.clock.sleep(seconds)
    assert restore(account)["FunctionVersion"] == "1"
    assert (routing(account), shown(account)) == (ON_STABLE, READY)
    account.clock.sleep(2 * PROVISIONING_SECONDS)
    assert (routing(account), shown(account)) == (ON_STABLE, READY)


def test_moving_back_names_the_weights(account: Account) -> None:
    """UpdateAlias is partial: the old version is in Lambda's own weights. Verbatim in serverless#7250."""
    promote(account)
    with pytest.raises(ClientError, match="Function version 1 is already included in routing configuration"):
        account.update(FunctionVersion="1")


def test_moving_back_after_the_transition_is_a_transition(account: Account) -> None:
    """As every move (#48116): the version that was left has no concurrency any more, so the new one goes on serving."""
    promote(account)
    account.clock.sleep(PROVISIONING_SECONDS)
    restore(account)
    assert (routing(account), shown(account)) == (("1", {"2": 1.0}), MOVING)
    account.clock.sleep(PROVISIONING_SECONDS)
    assert (routing(account), shown(account)) == (ON_STABLE, READY)


@pytest.mark.parametrize("again", [{"FunctionVersion": "2", "RoutingConfig": weights()}, {"RoutingConfig": {}}])
def test_clearing_the_weight_moves_traffic_at_once(account: Account, again: dict[str, Any]) -> None:
    """gradientedge/cdk-utils#1110: a write is a write, also a promotion that is merely repeated. The new version is
    then served cold, and what was begun goes on (chosen).
    """
    promote(account)
    account.update(**again)
    assert (routing(account), shown(account)) == (ON_CANDIDATE, MOVING)
    account.clock.sleep(PROVISIONING_SECONDS)
    assert (routing(account), shown(account)) == (ON_CANDIDATE, READY)


def test_description_written_meanwhile_does_not_keep_the_weight(account: Account) -> None:
    """The weight is Lambda's own, and goes when concurrency is ready, whoever touched the alias since (chosen)."""
    promote(account)
    account.update(Description="x")
    assert routing(account) == IN_TRANSITION
    account.clock.sleep(PROVISIONING_SECONDS)
    assert routing(account) == ON_CANDIDATE


def test_weight_that_somebody_else_gave_meanwhile_stays(account: Account) -> None:
    """Lambda takes back what it gave, and nothing else (chosen)."""
    promote(account)
    account.update(RoutingConfig=weights(v3=0.5))
    account.clock.sleep(PROVISIONING_SECONDS)
    assert (routing(account), shown(account)) == (("2", {"3": 0.5}), READY)


# The world around it.


def promoted_in(scenario: dict[str, Any]) -> World:
    """A world in which somebody moves the alias to version 2 at once, while no rollout does: the request names none."""
    move = {"at_second": 0, "do": "update_alias", "function_version": "2"}
    return World(Scenario.of({"alias": {"provisioned_concurrency": 5}, "timeline": [move], **scenario}), {})


def test_callers_are_served_as_lambdas_own_weights_say() -> None:
    """terraform-provider-aws#48116: the old version serves, whatever the alias names as its own."""
    with promoted_in({"requests_per_minute": 60}) as world:
        world.start()
        world.clock.sleep(PROVISIONING_SECONDS + 30)
        world.traffic.catch_up(world.clock.now())
    assert world.routings[1:] == [
        (world.routings[0][0], IN_TRANSITION),
        (world.routings[0][0] + PROVISIONING_SECONDS, ON_CANDIDATE),
    ]
    assert world.traffic.counts.to_candidate == 30


@pytest.mark.parametrize(
    ("candidate", "status"),
    [
        ({"error_rate": 1}, "FAILED"),
        ({"error_rate_by_minute": [0, 1]}, "FAILED"),
        ({"error_rate_by_minute": [1, 0]}, "READY"),
        ({"error_rate": 0.99}, "READY"),
    ],
)
def test_a_candidate_that_fails_every_request_does_not_initialise(candidate: dict[str, Any], status: str) -> None:
    """Not a rule of AWS but how a scenario says so: by the error rate at the moment at which it would be ready."""
    with promoted_in({"candidate": candidate}) as world:
        world.start()
        world.clock.sleep(PROVISIONING_SECONDS)
        found = client("lambda").get_provisioned_concurrency_config(FunctionName=CHECKOUT, Qualifier="live")
    assert found["Status"] == status
