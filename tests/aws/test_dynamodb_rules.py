"""DynamoDB as AWS has it: one test per rule that moto does not keep."""

from sandbox.stack import client

ITEM = {"target": {"S": "checkout:live"}, "record": {"S": "lock"}}


def test_a_transaction_repeated_under_its_token_writes_nothing_and_succeeds(inhabit):
    world = inhabit()
    put = {
        "TableName": world.table_name,
        "Item": ITEM,
        "ConditionExpression": "attribute_not_exists(#key)",
        "ExpressionAttributeNames": {"#key": "record"},
    }
    for _ in range(2):
        client("dynamodb").transact_write_items(TransactItems=[{"Put": put}], ClientRequestToken="the-same")
    assert client("dynamodb").scan(TableName=world.table_name)["Count"] == 1
