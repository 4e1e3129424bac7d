"""Shortcuts change how long an answer takes, never the answer."""

from contextlib import ExitStack, nullcontext
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.aws import shortcuts
from sandbox.aws.execution_history import history
from sandbox.aws.stack import archive, client
from sandbox.scenario import Scenario
from sandbox.world import World

TRUST = '{"Version": "2012-10-17", "Statement": []}'
ITEM = {
    "id": {"S": "a"},
    "record": {"S": "b"},
    "tags": {"SS": ["c"]},
    "deep": {"M": {"n": {"N": "1"}}},
    "rest": {"N": "3"},
}
#: Fields that moto draws at random.
DRAWN = {"ResponseMetadata", "RoleId", "TableId", "RevisionId", "CreateDate", "CreationDateTime", "LastModified"}


def conversation() -> list[Any]:
    """Answers of several services, protocols and kinds: objects, dictionaries, projections, refusals."""
    dynamodb, iam, functions = client("dynamodb"), client("iam"), client("lambda")
    index = {
        "IndexName": "by-record",
        "KeySchema": [{"AttributeName": "record", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["tags", "deep"]},
    }
    role = iam.create_role(RoleName="role", AssumeRolePolicyDocument=TRUST)
    named = {"FunctionName": "checkout", "Name": "live"}
    update = {
        "TableName": "table",
        "Key": {"id": {"S": "a"}},
        "UpdateExpression": "SET #rest = if_not_exists(#rest, :n) + :n, deep.n = :n REMOVE tags",
        "ExpressionAttributeNames": {"#rest": "rest"},
        "ReturnValues": "ALL_NEW",
    }
    answers = [
        role,
        iam.list_roles(),
        dynamodb.create_table(
            TableName="table",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "record")],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[index],
            BillingMode="PAY_PER_REQUEST",
        ),
        dynamodb.put_item(TableName="table", Item=ITEM),
        dynamodb.query(
            TableName="table",
            IndexName="by-record",
            KeyConditionExpression="#record = :b",
            ExpressionAttributeNames={"#record": "record"},
            ExpressionAttributeValues={":b": {"S": "b"}},
            ProjectionExpression="id, deep.n, tags",
        ),
        *(
            dynamodb.update_item(**update, ExpressionAttributeValues={":n": {"N": number}})
            for number in ("1", "1", "2")
        ),
        functions.create_function(
            FunctionName="checkout",
            Role=role["Role"]["Arn"],
            Runtime="python3.13",
            Handler="main.handler",
            Code={"ZipFile": archive("code")},
        ),
        functions.publish_version(FunctionName="checkout"),
        functions.create_alias(**named, FunctionVersion="1"),
        functions.get_alias(**named),
    ]
    with pytest.raises(ClientError) as refused:
        functions.get_function(FunctionName="nothing")
    return [_without_drawn(answer) for answer in (*answers, refused.value.response)]


def _without_drawn(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_drawn(each) for key, each in value.items() if key not in DRAWN}
    return [_without_drawn(each) for each in value] if isinstance(value, list) else value


def test_every_answer_is_the_same_with_shortcuts_and_without() -> None:
    heard = []
    for context in (nullcontext(), shortcuts.installed(), shortcuts.installed()):
        with ExitStack() as account:
            account.enter_context(mock_aws(config={"core": {"reset_boto3_session": False}}))
            account.enter_context(context)
            heard.append(conversation())
    assert heard[0] == heard[1] == heard[2]


def test_a_history_is_what_get_execution_history_shows() -> None:
    with World(Scenario(), {"function_name": "checkout", "alias_name": "live", "strategy": "AllAtOnce"}) as world:
        arn = world.start()
        world.follow(arn)
        pages = client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
        shown = [event for page in pages for event in page["events"]]
        assert [{key: event[key] for key in told} for event, told in zip(history(arn), shown, strict=True)] == shown
