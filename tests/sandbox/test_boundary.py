"""The wire: what an attempt costs, who answers it, and how faults look from the SDK's side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from moto import mock_aws

from sandbox.aws.boundary import AwsError, Boundary, Call, caller
from sandbox.aws.clock import Clock
from sandbox.aws.faults import CallFault, EventFault, Faults, HandlerFault

START = datetime(2026, 1, 1, tzinfo=UTC)
T0 = START.timestamp()


class Wire(SimpleNamespace):
    clock: Clock
    boundary: Boundary
    calls: list[Call]

    def handler(self, action: Callable[[], Any]) -> Any:
        """What `action` returns or raises when a handler called check_health does it."""
        outcome: list[Any] = []

        def live() -> None:
            caller.set("check_health")
            try:
                outcome.append(action())
            except Exception as error:  # noqa: BLE001 - handed to the test
                outcome.append(error)

        actor = self.clock.spawn(live, "check_health")
        self.clock.run(actor.finished.is_set)
        return outcome[0] if outcome else "died"


@pytest.fixture
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    faults = Faults(calls=getattr(request, "param", ()))
    with mock_aws(), Clock(START) as clock:
        boundary, calls = Boundary(clock, faults, call_seconds=0.05), list[Call]()
        boundary.listen(calls.append)
        with boundary.installed():
            yield Wire(clock=clock, boundary=boundary, calls=calls)


def client(service: str = "dynamodb", **config: Any) -> Any:
    return boto3.client(service, "us-east-1", config=Config(retries={"mode": "standard"}, **config))


def faulty(*faults: CallFault) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("wire", [faults], indirect=True)


def test_an_attempt_by_a_handler_takes_time_and_is_counted_and_told(wire: Wire) -> None:
    tables = client()
    tables.list_tables()
    assert wire.clock.now() == T0, "setting the world up is free"

    wire.handler(lambda: tables.list_tables(Limit=3))

    assert wire.clock.now() == T0 + 0.05
    assert wire.boundary.calls == {"dynamodb.ListTables": 1}
    (call,) = wire.calls
    assert (call.at, call.name, call.params, call.caller) == (T0, "dynamodb.ListTables", {"Limit": 3}, "check_health")
    assert call.error is None
    assert call.response is not None
    assert call.response["TableNames"] == []


def test_served_calls_never_reach_moto(wire: Wire) -> None:
    wire.boundary.serve("dynamodb.*", lambda params: {"TableNames": [params["ExclusiveStartTableName"]]})
    response = client().list_tables(ExclusiveStartTableName="orders")
    assert response["TableNames"] == ["orders"]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_the_name_of_a_call_goes_before_a_pattern(wire: Wire) -> None:
    wire.boundary.serve("dynamodb.*", lambda _: {"TableNames": ["pattern"]})
    wire.boundary.serve("dynamodb.ListTables", lambda _: {"TableNames": ["name"]})
    assert client().list_tables()["TableNames"] == ["name"]


def test_corrections_stand_around_moto_the_last_outermost(wire: Wire) -> None:
    def adds(name: str) -> Callable[[dict[str, Any], Callable[[], dict[str, Any]]], dict[str, Any]]:
        return lambda _, proceed: {**(response := proceed()), "TableNames": [*response["TableNames"], name]}

    wire.boundary.correct("dynamodb.ListTables", adds("inner"))
    wire.boundary.correct("dynamodb.List*", adds("outer"))
    assert client().list_tables()["TableNames"] == ["inner", "outer"]


def test_moto_errors_reach_corrections_as_aws_errors(wire: Wire) -> None:
    seen: list[AwsError] = []

    def correction(_: dict[str, Any], proceed: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return proceed()
        except AwsError as error:
            seen.append(error)
            raise

    wire.boundary.correct("dynamodb.DescribeTable", correction)
    with pytest.raises(ClientError) as raised:
        client().describe_table(TableName="absent")
    assert raised.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert [error.code for error in seen] == ["ResourceNotFoundException"]


def test_an_aws_error_is_a_client_error_with_status_and_extra_fields(wire: Wire) -> None:
    def refuse(_: dict[str, Any]) -> dict[str, Any]:
        raise AwsError("PreconditionFailedException", "The RevisionId is old.", 412, {"Type": "User"})

    wire.boundary.serve("lambda.UpdateAlias", refuse)
    functions = client("lambda")
    with pytest.raises(functions.exceptions.PreconditionFailedException) as raised:
        functions.update_alias(FunctionName="checkout", Name="live")
    response = raised.value.response
    assert response["Error"] == {"Code": "PreconditionFailedException", "Message": "The RevisionId is old."}
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert response["Type"] == "User"
    assert raised.value.operation_name == "UpdateAlias"


@faulty(CallFault("lambda.ListFunctions", "TooManyRequestsException", times=2))
def test_the_sdk_retries_a_throttled_call_and_its_back_off_moves_the_clock(wire: Wire) -> None:
    response = wire.handler(client("lambda").list_functions)
    assert response["Functions"] == []
    assert response["ResponseMetadata"]["RetryAttempts"] == 2
    assert [call.error for call in wire.calls] == ["TooManyRequestsException", "TooManyRequestsException", None]
    assert wire.clock.now() >= T0 + 3 * 0.05


@faulty(CallFault("lambda.*", "ResourceConflictException"))
def test_the_sdk_does_not_retry_a_409(wire: Wire) -> None:
    error = wire.handler(client("lambda").list_functions)
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert len(wire.calls) == 1


@faulty(CallFault("dynamodb.*", "InternalServerError", times="always"))
def test_a_fault_may_strike_always_and_only_handlers(wire: Wire) -> None:
    error = wire.handler(client().list_tables)
    assert error.response["Error"]["Code"] == "InternalServerError"
    assert len(wire.calls) == 3, "the standard mode's attempts"
    assert client().list_tables()["TableNames"] == []


@faulty(CallFault("dynamodb.CreateTable", "lost_response"))
def test_a_lost_response_was_performed_and_the_sdk_asks_again(wire: Wire) -> None:
    def create() -> Any:
        return client(read_timeout=7).create_table(
            TableName="orders",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )

    error = wire.handler(create)
    assert error.response["Error"]["Code"] == "ResourceInUseException"
    assert [call.error for call in wire.calls] == ["ReadTimeoutError", "ResourceInUseException"]
    assert wire.clock.now() >= T0 + 7


@faulty(
    CallFault("dynamodb.*", "lost_response", times="always"), CallFault("lambda.*", "ConnectTimeoutError", "always")
)
def test_connection_errors_are_botocore_s_own(wire: Wire) -> None:
    assert isinstance(wire.handler(client(read_timeout=1).list_tables), ReadTimeoutError)
    assert isinstance(wire.handler(client("lambda").list_functions), ConnectTimeoutError)


@faulty(CallFault("dynamodb.ListTables", "held", seconds=20))
def test_a_held_call_is_performed_late_while_everybody_else_goes_on(wire: Wire) -> None:
    performed: list[float] = []
    wire.boundary.serve("dynamodb.ListTables", lambda _: performed.append(wire.clock.now() - T0) or {"TableNames": []})
    elsewhere: list[float] = []
    wire.clock.at(T0 + 5, lambda: elsewhere.append(wire.clock.now() - T0))

    wire.handler(client().list_tables)

    assert performed == pytest.approx([20.05])
    assert elsewhere == [5]


@faulty(CallFault("dynamodb.ListTables", "held", seconds=20))
def test_who_waits_for_a_held_call_gives_up_after_the_read_time_out_and_it_arrives_all_the_same(wire: Wire) -> None:
    performed: list[float] = []
    wire.boundary.serve("dynamodb.ListTables", lambda _: performed.append(wire.clock.now() - T0) or {"TableNames": []})

    wire.handler(client(read_timeout=5).list_tables)
    assert [call.error for call in wire.calls] == ["ReadTimeoutError", None]
    assert performed[0] < 10, "the SDK asked again"

    wire.clock.run(lambda: False)
    assert performed[1:] == pytest.approx([20.05])


@faulty(CallFault("dynamodb.ListTables", "held", seconds=20))
def test_a_held_call_arrives_although_its_caller_is_dead(wire: Wire) -> None:
    performed: list[float] = []
    wire.boundary.serve("dynamodb.ListTables", lambda _: performed.append(wire.clock.now() - T0) or {"TableNames": []})

    def live() -> None:
        caller.set("check_health")
        client().list_tables()

    actor = wire.clock.spawn(live, "check_health")
    wire.clock.at(T0 + 10, actor.kill)
    wire.clock.run(lambda: False)
    assert performed == pytest.approx([20.05])


@faulty(CallFault("dynamodb.ListTables", "slow", seconds=4.5))
def test_a_slow_call_is_performed_at_once_and_answered_late(wire: Wire) -> None:
    performed: list[float] = []
    wire.boundary.serve("dynamodb.ListTables", lambda _: performed.append(wire.clock.now() - T0) or {"TableNames": []})

    assert wire.handler(client(read_timeout=5).list_tables)["TableNames"] == []
    assert performed == pytest.approx([0.05])
    assert wire.clock.now() - T0 == pytest.approx(4.55)


@faulty(CallFault("dynamodb.ListTables", "slow", seconds=12))
def test_who_waits_for_a_slow_answer_gives_up_after_the_read_time_out_and_asks_again(wire: Wire) -> None:
    performed: list[float] = []
    wire.boundary.serve("dynamodb.ListTables", lambda _: performed.append(wire.clock.now() - T0) or {"TableNames": []})

    wire.handler(client(read_timeout=5).list_tables)

    assert [call.error for call in wire.calls] == ["ReadTimeoutError", None]
    assert performed[0] == pytest.approx(0.05)
    assert 5.05 < performed[1] < 10


@faulty(CallFault("lambda.GetAlias", "stale", seconds=10))
def test_a_stale_answer_is_asked_for_by_its_moment(wire: Wire) -> None:
    wire.boundary.serve("lambda.GetAlias", lambda _: {"Name": "now"})
    wire.boundary.recall("lambda.GetAlias", lambda params, _, moment: {"Name": f"{params['Name']} {moment - T0:.2f}"})
    aliases = client("lambda")

    answers = [wire.handler(lambda: aliases.get_alias(FunctionName="f", Name="live"))["Name"] for _ in range(2)]

    assert answers == ["live -9.95", "now"]


@faulty(CallFault("lambda.GetAlias", "stale", seconds=10))
def test_a_stale_answer_may_be_a_refusal(wire: Wire) -> None:
    def gone(*_: Any) -> dict[str, Any]:
        raise AwsError("ResourceNotFoundException", "Cannot find alias", 404)

    wire.boundary.recall("lambda.GetAlias", gone)
    error = wire.handler(lambda: client("lambda").get_alias(FunctionName="f", Name="live"))
    assert error.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_strongly_consistent_read_is_never_stale() -> None:
    """DynamoDB developer guide, "DynamoDB read consistency"; such a read does not use the fault up either."""
    faults = Faults([CallFault("*", "stale", seconds=10)])
    assert faults.for_call("dynamodb.GetItem", {"ConsistentRead": True}) is None
    assert faults.for_call("dynamodb.PutItem", {}) is None
    assert faults.for_call("dynamodb.GetItem", {"ConsistentRead": False}) is not None
    assert faults.for_call("dynamodb.GetItem", {}) is None, "used up"


def test_faults_know_how_far_back_a_service_s_answers_reach() -> None:
    faults = Faults([CallFault("lambda.GetAlias", "stale", seconds=10), CallFault("dynamodb.*", "held", seconds=5)])
    assert (faults.stale_seconds("lambda"), faults.stale_seconds("dynamodb")) == (10, 0)
    assert Faults([CallFault("*", "stale", seconds=7)]).stale_seconds("dynamodb") == 7


@pytest.mark.parametrize(("error", "performed"), [("crash_before", 0), ("crash_after", 1)])
def test_a_crash_ends_the_handler_before_or_after_the_call(error: str, performed: int) -> None:
    with mock_aws(), Clock(START) as clock:
        boundary, count = Boundary(clock, Faults([CallFault("dynamodb.ListTables", error)])), list[None]()
        boundary.serve("dynamodb.ListTables", lambda _: count.append(None) or {"TableNames": []})
        with boundary.installed():
            tables = client()

            def stubborn() -> None:
                try:
                    tables.list_tables()
                finally:
                    tables.list_tables()

            assert Wire(clock=clock, boundary=boundary).handler(stubborn) == "died"
    assert len(count) == performed


def test_skip_and_times_count_attempts() -> None:
    faults = Faults([CallFault("lambda.UpdateAlias", "A", times=2, skip=1), CallFault("lambda.*", "B")])
    struck = [faults.for_call("lambda.UpdateAlias") for _ in range(5)]
    assert [fault.error if fault else None for fault in struck] == ["B", "A", "A", None, None]


def test_a_fault_that_another_one_forestalls_keeps_its_turn() -> None:
    faults = Faults([CallFault("lambda.UpdateAlias", "A"), CallFault("lambda.UpdateAlias", "B")])
    assert [fault.error for _ in range(2) if (fault := faults.for_call("lambda.UpdateAlias"))] == ["A", "B"]
    assert faults.for_call("lambda.GetAlias") is None


def test_handlers_and_events_have_faults_of_their_own() -> None:
    faults = Faults(handlers=[HandlerFault("check_health", "timeout")], events=[EventFault("alarm", "late", seconds=9)])
    assert faults.for_handler("promote") is None
    assert faults.for_handler("check_health") == HandlerFault("check_health", "timeout")
    assert faults.for_event("execution") is None
    assert faults.for_event("alarm") == EventFault("alarm", "late", seconds=9)
