"""Queues that Lambda polls: batches, what comes again, and where it ends."""

import json

import pytest

from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import World

REQUEST = {"function_name": "checkout", "alias_name": "live"}
QUEUE = "arn:aws:sqs:us-east-1:123456789012:tidegate-DurableExecutions"
VISIBLE_AFTER_SECONDS = 370


@pytest.fixture
def account():
    """`account(**scenario)`: a world; `account.batches` are the sizes of the batches that its counter was given."""
    opened = []

    def enter(**scenario):
        world = World(Scenario.of(scenario), REQUEST)
        opened.append(world.__enter__())
        invoke = world.runtime.invoke

        def noted(name, qualifier, payload):
            if name == "tidegate-CountDurableFunction":
                enter.batches.append(len(json.loads(payload)["Records"]))
            return invoke(name, qualifier, payload)

        enter.batches = []
        world.runtime.invoke = noted
        return world

    yield enter
    for world in opened:
        world.__exit__(None, None, None)


def send(world, number):
    assert world.eventbridge.polling.send(QUEUE, ["{}"] * number)


def dead():
    url = client("sqs").get_queue_url(QueueName="tidegate-DeadLetters")["QueueUrl"]
    answer = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def test_a_queue_that_nobody_polls_is_motos(account):
    world = account()
    assert not world.eventbridge.polling.send("arn:aws:sqs:us-east-1:123456789012:tidegate-DeadLetters", ["{}"])


def test_messages_are_gathered_for_the_window(account):
    world = account()
    send(world, 3)
    world.clock.sleep(9)
    send(world, 2)
    assert account.batches == []
    world.clock.sleep(2)
    assert account.batches == [5]
    send(world, 1)
    world.clock.sleep(11)
    assert account.batches == [5, 1]


def test_a_batch_holds_what_the_mapping_says(account):
    world = account()
    send(world, 2300)
    world.clock.sleep(12)
    assert account.batches == [1000, 1000, 300]


def test_a_batch_is_no_larger_than_a_payload(account):
    world = account()
    world.eventbridge.polling.send(QUEUE, ["x" * 1024 * 1024] * 9)
    world.clock.sleep(60)
    assert account.batches == [5, 4]


def test_what_failed_comes_again_once_it_is_visible_and_ends_in_the_dead_letters(account):
    world = account(faults=[{"handler": "count_durable", "error": "crash", "times": 5}])
    send(world, 2)
    world.clock.sleep(11)
    assert account.batches == [2]
    world.clock.sleep(VISIBLE_AFTER_SECONDS - 2)
    assert account.batches == [2]
    world.clock.sleep(20)
    assert account.batches == [2, 2]
    world.clock.sleep(4 * (VISIBLE_AFTER_SECONDS + 12))
    assert account.batches == [2] * 5
    assert dead() == 2


def test_what_succeeds_at_last_is_gone(account):
    world = account(faults=[{"handler": "count_durable", "error": "throttled", "times": 2}])
    send(world, 1)
    world.clock.sleep(3600)
    assert account.batches == [1] * 3
    assert dead() == 0


def test_lambda_polls_as_the_function(account):
    world = account()
    asked = []
    world.boundary.require(lambda signer, call, _params: asked.append((signer.rpartition("/")[2], call)))
    send(world, 1)
    world.clock.sleep(11)
    polled = {call for signer, call in asked if signer == "tidegate-CountDurableFunction" and call.startswith("sqs.")}
    assert polled == {"sqs.ReceiveMessage", "sqs.GetQueueAttributes", "sqs.DeleteMessage"}
