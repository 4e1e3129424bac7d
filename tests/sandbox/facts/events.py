"""EventBridge, DynamoDB, CloudFormation and Lambda's queue: what each was seen to answer, in a whole world."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from moto import mock_aws

from sandbox.aws.boundary import Boundary
from sandbox.aws.clock import Clock
from sandbox.aws.eventbridge import EventBridge
from sandbox.aws.faults import Faults, HandlerFault
from sandbox.aws.runtime import Runtime
from sandbox.aws.stack import client
from sandbox.world import World
from tests.aws.cloudwatch_account import START
from tests.sandbox.facts.fact import ARN, Fact, of, refused

ENTRY = {"Source": "checkout", "DetailType": "Ordered", "Detail": "{}"}
#: What the world needs: a stack that has the alias, and a sweeper that fails whenever it is invoked.
SCENARIO = {
    "alias": {"stack": {"name": "shop", "function_version": "1"}},
    "faults": [{"handler": "sweep", "error": "crash", "times": "always"}],
}


def put(*entries: dict[str, Any]) -> Any:
    return client("events").put_events(Entries=list(entries))


def without(key: str) -> tuple[Any, ...]:
    """What PutEvents says of an entry that lacks a key."""
    answer = put({name: value for name, value in ENTRY.items() if name != key})
    (entry,) = answer["Entries"]
    return answer["FailedEntryCount"], entry["ErrorCode"], entry["ErrorMessage"]


def eleven(_: World) -> Any:
    status, code, text = refused(lambda: put(*[ENTRY] * 11))
    return status, code, text.partition("at 'entries' ")[2]


def write(world: World, token: str, *records: str, condition: str = "attribute_not_exists(#key)") -> Any:
    """A transaction of new items, in Tidegate's own table."""
    puts = [
        {
            "Put": {
                "TableName": world.table_name,
                "Item": {"target": {"S": "checkout:live"}, "record": {"S": record}},
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {"#key": "record"},
            }
        }
        for record in records
    ]
    return client("dynamodb").transact_write_items(TransactItems=puts, ClientRequestToken=token)


def written_twice(world: World) -> Any:
    statuses = [write(world, "the-same", "a")["ResponseMetadata"]["HTTPStatusCode"] for _ in range(2)]
    return statuses, client("dynamodb").scan(TableName=world.table_name)["Count"]


def cancelled(world: World) -> Any:
    write(world, "one", "a")
    return refused(lambda: write(world, "two", "a", "b"))


def record_of_a_failure(world: World) -> dict[str, Any]:
    """What the on-failure destination gets of an event that failed each time."""
    name, queue = world.stack.ref("SweepFunction"), world.stack.ref("DeadLetters")
    letters = {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:123456789012:tidegate-DeadLetters"}}
    world.eventbridge.configure_async(name, None, {"DestinationConfig": letters})
    world.clock.spawn(lambda: world.eventbridge.invoke_async(name, None, {"probe": 1}), "somebody")
    world.clock.sleep(600)
    found = []
    while messages := client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(message["Body"]) for message in messages]
    (record,) = [each for each in found if each["requestPayload"] == {"probe": 1}]
    return dict(record)


def of_a_stack(_: World) -> Any:
    found = client("cloudformation").describe_stack_resources(PhysicalResourceId=f"{ARN}:live")["StackResources"]
    return [of(each, "ResourceType", "PhysicalResourceId") for each in found]


def queued_before_an_update(code: Path) -> Any:
    """What runs an event that was queued, throttled, when the function was another one."""
    faults = Faults(handlers=[HandlerFault("before", "throttled", times=2)])
    with mock_aws(), Clock(START) as clock:
        boundary = Boundary(clock, faults)
        runtime = Runtime(clock, boundary, faults, code)
        bridge = EventBridge(clock, boundary, runtime, faults)

        def deploy(module: str) -> None:
            (code / f"{module}.py").write_text(f"def handler(event, context):\n    print('{module}')\n")
            kept: Any = {"environment": {}, "timeout_seconds": 3, "role_arn": ARN, "memory_mb": 128}
            runtime.register("probe", handler=f"{module}.handler", **kept)

        with boundary.installed():
            deploy("before")
            clock.spawn(lambda: bridge.invoke_async("probe", None, {}), "somebody")
            clock.sleep(1.5)
            deploy("after")
            clock.run(clock.idle)
        return runtime.logs


PUT = "LS events test_events, 08-01-2025: "
FAILED = "LS lambda_ test_lambda_destinations test_retries, 25-11-2025"

EVENTS = [
    Fact(
        "E1",
        "PutEvents without a Source, a DetailType or a Detail",
        PUT + "test_put_events_without_source, test_put_event_without_detail, test_put_event_without_detail_type",
        lambda _: [without(key) for key in ENTRY],
        [
            (1, "InvalidArgument", f"Parameter {key} is not valid. Reason: {key} is a required argument.")
            for key in ENTRY
        ],
    ),
    Fact(
        "E2",
        "PutEvents of eleven entries (the text quotes them all: its end is compared)",
        PUT + "test_put_events_exceed_limit_ten_entries",
        eleven,
        (400, "ValidationException", "failed to satisfy constraint: Member must have length less than or equal to 10"),
    ),
    Fact(
        "E3",
        "PutEvents with a Detail that is no JSON",
        PUT + "test_put_event_malformed_detail",
        lambda _: of(put({**ENTRY, "Detail": "{"})["Entries"][0], "ErrorCode", "ErrorMessage"),
        ("MalformedDetail", "Detail is malformed."),
    ),
    Fact(
        "D1",
        "a transaction under the same token is a success, and writes once",
        "LS dynamodb test_dynamodb_idempotent_writing, 08-10-2025",
        written_twice,
        ([200, 200], 1),
    ),
    Fact(
        "D2",
        "a cancelled transaction gives a reason for each action",
        "LS dynamodb test_transaction_write_canceled, 08-10-2025",
        cancelled,
        (
            400,
            "TransactionCanceledException",
            (
                "Transaction cancelled, please refer cancellation reasons for specific reasons [ConditionalCheckFailed,"
                " None]"
            ),
        ),
    ),
    Fact(
        "F1",
        "an alias's ARN is the physical id of AWS::Lambda::Alias",
        "LS cloudformation resources test_lambda_alias, 07-05-2025",
        of_a_stack,
        [("AWS::Lambda::Alias", f"{ARN}:live")],
    ),
    Fact(
        "A1",
        "the record of an event that failed names the function with its qualifier",
        FAILED,
        lambda world: of(
            record_of_a_failure(world)["requestContext"], "functionArn", "condition", "approximateInvokeCount"
        ),
        ("arn:aws:lambda:us-east-1:123456789012:function:tidegate-SweepFunction:$LATEST", "RetriesExhausted", 3),
    ),
    Fact(
        "A2",
        "and the version that ran",
        FAILED,
        lambda world: record_of_a_failure(world)["responseContext"],
        {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    ),
]

QUEUED = Fact(
    "Q1",
    "an event that was queued before an update runs on what is there when it runs",
    "LS lambda_ test_async_invoke_queue_upon_function_update, 24-11-2025",
    queued_before_an_update,
    ["after"],
)
