"""Undo only what is ours, and leave nothing of ours behind: others move the alias, write to it, or start again."""

import json
from contextvars import Context

import pytest

from sandbox.aws.boundary import AwsError, caller
from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import World
from tests.brief import THREE_MINUTES
from tests.workflow.several import ALARM, SMALLEST, STEPS, at, call, ended, items, later, split, world_of

ON_THEIRS = {"function_version": "3", "weights": {}}
#: A partial update: nothing is said of weights, so ours stays on a version that is not ours.
THEIRS = {"do": "update_alias", "function_version": "3"}


def once(world, operation, handler, act):
    """Somebody acts right before that call of a handler takes effect, the first time."""
    left = [act]

    def first(_params, proceed):
        if left and caller.get() == handler:
            # In a context of its own: nobody's handler, nobody's role.
            Context().run(left.pop())
        return proceed()

    world.boundary.correct(operation, first)


def move(version="3"):
    """Somebody else's deploy, as `aws lambda update-alias --function-version 3` does it."""
    client("lambda").update_alias(FunctionName="checkout", Name="live", FunctionVersion=version)


# Theirs, with a weight of ours.


@pytest.mark.parametrize(("second", "percent"), [(20, 10), (80, 50), (140, 100)])
def test_a_deploy_of_somebody_else_is_kept_and_our_weight_on_it_is_cleared(tell, second, percent):
    story = tell(STEPS, timeline=[at(second, **THEIRS)])
    assert (story.outcome, story.alias, story.lock_released) == ("interrupted", ON_THEIRS, True)
    assert f"version 3 with {percent} % to version 4" in story.cause
    assert "That weight is cleared, and version 3 serves alone" in story.cause
    assert story.events[-1] == "RolloutInterrupted"


def test_the_event_and_the_notice_say_what_was_found_and_what_was_cleared():
    topic = "arn:aws:sns:us-east-1:123456789012:releases"
    scenario = Scenario.of({"timeline": [at(20, **THEIRS)]})
    with World(scenario, {**SMALLEST, **STEPS}, parameters={"NotificationTopicArn": topic}) as world:
        client("sns").create_topic(Name="releases")
        queue = client("sqs").create_queue(QueueName="people")["QueueUrl"]
        arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        world.follow(world.start())
        world.settle()
        messages = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
        notices = [json.loads(message["Body"])["Message"] for message in messages]
        (event,) = (each for each in world.eventbridge.put if each["detail-type"] == "RolloutInterrupted")
    for said in (event["detail"]["cause"], *(notice for notice in notices if "interrupted" in notice)):
        assert "served version 3 with 10 % to version 4" in said
        assert "version 3 serves alone" in said
    assert any("interrupted, look at the alias" in notice for notice in notices)


def test_nobody_is_hurt_by_a_candidate_that_somebody_elses_deploy_has_kept(tell):
    story = tell(candidate={"error_rate": 0.5}, timeline=[at(61.2, **THEIRS)])
    assert (story.outcome, story.alias) == ("interrupted", ON_THEIRS)
    assert story.virtual_seconds < 130


def test_a_deploy_between_the_last_look_and_the_promotion_is_kept_too():
    with world_of(STEPS, versions={"3": {}}) as world:
        once(world, "lambda.GetAlias", "promote", move)
        assert world.follow(world.start()).error == "Interrupted"
        world.settle()
        assert world.routing == ("3", {})


@pytest.mark.parametrize(
    ("error", "times"), [(("TooManyRequestsException", 429), 4), (("ResourceConflictException", 409), 1)]
)
def test_a_deploy_between_two_attempts_of_the_promotion_is_kept_too(error, times):
    """The first attempt has recorded the promotion, and its write was refused."""
    refused = []

    def refuse(_params, proceed):
        if caller.get() != "promote" or len(refused) == times:
            return proceed()
        refused.append(error)
        if len(refused) == times:
            Context().run(move)
        raise AwsError(error[0], "not now", error[1])

    with world_of(STEPS, versions={"3": {}}) as world:
        world.boundary.correct("lambda.UpdateAlias", refuse)
        end = world.follow(world.start())
        assert (end.error, world.routing) == ("Interrupted", ("3", {}))
        assert "That weight is cleared" in end.cause


def test_with_the_ledger_gone_the_rollout_itself_still_clears_its_weight():
    with world_of(STEPS, timeline=[at(80, **THEIRS)]) as world:
        without_the_ledger(world, 81)
        assert world.follow(world.start()).error == "Interrupted"
        assert world.routing == ("3", {})


def without_the_ledger(world, second):
    """From that second on there is no table any more."""
    later(world, second, lambda: client("dynamodb").delete_table(TableName=world.table_name))


@pytest.mark.parametrize("lost", [False, True], ids=["heard", "unheard"])
def test_a_stop_a_second_later_clears_it_too(tell, lost):
    faults = [{"event": "execution", "error": "lost", "times": "always"}] if lost else []
    story = tell(STEPS, timeline=[at(80, **THEIRS), at(81, do="stop_execution")], faults=faults)
    assert (story.alias, story.lock_released) == (ON_THEIRS, True)
    assert story.events[-1] == "RolloutInterrupted"


def test_a_stop_with_the_ledger_gone_clears_it_by_the_executions_own_history():
    """At the guard's second try: until then a later rollout might not be listed yet."""
    with world_of(STEPS, timeline=[at(80, **THEIRS), at(81, do="stop_execution")]) as world:
        without_the_ledger(world, 80.5)
        world.follow(world.start())
        world.settle()
        assert world.routing == ("3", {})
        assert world.boundary.calls["stepfunctions.GetExecutionHistory"]
        assert world.boundary.calls["stepfunctions.ListExecutions"]


def test_a_stop_with_the_ledger_gone_undoes_no_later_execution():
    """Somebody else's rollout of the same alias may have it by now: nothing but the ledger could tell."""
    timeline = [at(80, do="stop_execution"), at(80.2, do="start_execution")]
    with world_of(STEPS, timeline=timeline, versions={"3": {}}) as world:
        without_the_ledger(world, 79)
        later(world, 79.5, lambda: client("lambda").update_alias(**split("4", 0.3)))
        world.follow(world.start())
        world.settle()
        assert world.routing == ("1", {"4": 0.3})


def test_an_alarm_clears_it_at_once_and_the_rollout_ends_interrupted(tell):
    story = tell(
        {**STEPS, "alarms": ["errors"]},
        alarms=[ALARM],
        timeline=[at(80, **THEIRS), at(81, do="set_alarm", name="errors", state="ALARM")],
    )
    assert (story.outcome, story.alias) == ("interrupted", ON_THEIRS)
    assert "served version 3 with 50 % to version 4" in story.cause


def test_an_abort_clears_it_and_says_so_to_who_asked():
    timeline = [at(80, **THEIRS), at(81, do="command", command="abort")]
    with world_of(STEPS, timeline=timeline) as world:
        assert world.follow(world.start()).error == "Interrupted"
        world.settle()
        assert world.routing == ("3", {})
        (answer,) = world.answers
        assert answer["accepted"]
        assert "served version 3 with 50 % to version 4" in answer["message"]
        ((outcome, cause),) = ended(world)
        assert (outcome, "That weight is cleared" in cause) == ("interrupted", True)


def test_the_next_rollout_clears_what_it_finds_of_one_that_was_stopped():
    unheard = {"event": "execution", "error": "lost", "times": "always"}
    timeline = [at(80, **THEIRS), at(81, do="stop_execution"), at(82, do="start_execution")]
    with world_of(STEPS, timeline=timeline, faults=[unheard]) as world:
        world.follow(world.start())
        world.settle()
        assert [outcome for outcome, _ in ended(world)] == ["interrupted", "promoted"]
        assert world.routing == ("4", {})


def test_the_sweeper_clears_it_where_it_comes_after_the_end():
    """The fence of the restore is denied, so a first weight that is in flight lands after the end; then they deploy."""
    held = call("lambda.UpdateAlias", "held", seconds=20)
    with world_of(STEPS, timeline=[at(3, do="stop_execution")], versions={"3": {}}, faults=[held]) as world:
        world.boundary.correct("lambda.UpdateAlias", refused_to("guard_execution"))
        later(world, 30, move)
        world.follow(world.start())
        world.settle()
        assert world.routing == ("3", {})
        (event,) = (each for each in world.eventbridge.put if each["detail-type"] == "AliasRestored")
        assert "served version 3 with 10 % to version 4" in event["detail"]["cause"]


def refused_to(handler):
    """A correction by which AWS refuses a call to that handler."""

    def refuse(_params, proceed):
        if caller.get() == handler:
            raise AwsError("AccessDeniedException", "not authorized to perform this", 403)
        return proceed()

    return refuse


@pytest.mark.parametrize("weights", [{"4": 0.3}, {"1": 0.1}, {}], ids=["another weight", "our stable one", "none"])
def test_what_they_split_themselves_is_left_as_found(tell, weights):
    story = tell(STEPS, timeline=[at(20, **THEIRS, weights=weights)], versions={"3": {}})
    assert (story.outcome, story.alias) == ("interrupted", {"function_version": "3", "weights": weights})


def test_lambdas_own_handover_is_left_alone():
    """An alias with provisioned concurrency that somebody moves on from our candidate, just promoted."""
    with world_of({"strategy": "AllAtOnce"}, alias={"provisioned_concurrency": 2}, versions={"3": {}}) as world:
        arn = world.start()
        world.clock.run(until=lambda: world.routing == ("4", {"1": 1.0}))
        world.clock.sleep(100)
        assert world.routing == ("4", {})
        move()
        assert world.routing == ("3", {"4": 1.0})
        world.follow(arn)
        world.settle()
        assert world.routing == ("3", {})
        assert not [each for each in world.eventbridge.put if each["detail-type"] == "AliasRestored"]


# A write that moves nothing.


@pytest.mark.parametrize("second", [0.5, 0.95, 20, 121.7, 183.6])
def test_a_description_ends_no_rollout(tell, second):
    """CI writes the build's number into it: serverless-heaven/serverless-aws-alias#74."""
    story = tell(STEPS, timeline=[at(second, do="describe_alias", description="build 7")])
    assert (story.outcome, story.alias) == ("promoted", {"function_version": "2", "weights": {}})


@pytest.mark.parametrize("handler", ["shift_traffic", "promote"])
@pytest.mark.parametrize("alias", [{}, {"provisioned_concurrency": 2}], ids=["plain", "provisioned"])
def test_a_description_right_before_a_forward_write_ends_no_rollout(handler, alias):
    def describe():
        client("lambda").update_alias(FunctionName="checkout", Name="live", Description="build 7")

    with world_of(THREE_MINUTES, alias=alias) as world:
        once(world, "lambda.UpdateAlias", handler, describe)
        assert world.follow(world.start()).status == "SUCCEEDED"
        assert world.routing == ("2", {})


def test_a_description_while_somebody_aborts_lets_no_weight_through():
    """The forward write is recorded again before it is written again, and that is refused while somebody restores."""

    def abort():
        client("lambda").update_alias(FunctionName="checkout", Name="live", Description="build 7")
        order = {**SMALLEST, "command": "abort", "author": "ana", "reason": "wrong build"}
        function = world.stack.outputs()["CommandFunctionArn"]
        client("lambda").invoke(FunctionName=function, Payload=json.dumps(order))

    with world_of(THREE_MINUTES) as world:
        once(world, "lambda.UpdateAlias", "shift_traffic", abort)
        assert world.follow(world.start()).error == "RolledBack"
        world.settle()
        assert all(not (routing and routing[1]) for _, routing in world.routings)


def test_a_description_with_the_ledger_silent_stops_the_rollout():
    """Nobody may say then that he may still write."""

    def describe():
        client("lambda").update_alias(FunctionName="checkout", Name="live", Description="build 7")
        world.boundary.correct("dynamodb.UpdateItem", refused_to("shift_traffic"))

    with world_of(THREE_MINUTES) as world:
        once(world, "lambda.UpdateAlias", "shift_traffic", describe)
        end = world.follow(world.start())
        world.settle()
        assert (end.status, world.routing) == ("FAILED", ("1", {}))
        assert all(not (routing and routing[1]) for _, routing in world.routings)


def test_a_weight_of_zero_that_somebody_left_is_no_split(tell):
    story = tell(STEPS, alias={"weights": {"2": 0.0}})
    assert (story.outcome, story.alias) == ("promoted", {"function_version": "3", "weights": {}})


# Publishing.


@pytest.mark.parametrize(
    "fault",
    [
        call("lambda.PublishVersion", "lost_response"),
        call("lambda.PublishVersion", "slow", seconds=12),
        call("lambda.PublishVersion", "slow", seconds=12, times="always"),
        call("lambda.PublishVersion", "slow", seconds=50),
        call("lambda.PublishVersion", "held", seconds=7),
        call("lambda.GetFunctionConfiguration", "stale", seconds=10, times=30),
    ],
    ids=["lost", "late", "always late", "later than the read time-out", "performed late", "not to be seen yet"],
)
def test_an_answer_of_publish_version_that_does_not_come_rejects_nothing(tell, fault):
    story = tell(STEPS, faults=[fault])
    assert (story.outcome, story.alias) == ("promoted", {"function_version": "2", "weights": {}})


def test_two_aliases_of_one_function_are_rolled_out_at_once():
    with world_of(STEPS) as world:
        client("lambda").create_alias(FunctionName="checkout", Name="beta", FunctionVersion="1")
        other = {**SMALLEST, **STEPS, "alias_name": "beta"}
        other["health"] = {"judge": False, "when_inconclusive": "promote"}
        arn = world.start()
        second = world._start_execution(other)
        assert {world.follow(each).status for each in (arn, second)} == {"SUCCEEDED"}
        assert world.routing == ("2", {})
        assert client("lambda").get_alias(FunctionName="checkout", Name="beta")["FunctionVersion"] == "2"
        assert [
            each["Version"] for each in client("lambda").list_versions_by_function(FunctionName="checkout")["Versions"]
        ] == [
            "$LATEST",
            "1",
            "2",
        ]


@pytest.mark.parametrize("change", ["code", "configuration"])
def test_what_is_deployed_while_it_is_published_is_not_published_by_mistake(change):
    def deploy():
        if change == "code":
            client("lambda").update_function_code(FunctionName="checkout", ZipFile=b"other")
        else:
            client("lambda").update_function_configuration(FunctionName="checkout", MemorySize=512)

    with world_of(STEPS) as world:
        once(world, "lambda.PublishVersion", "publish_version", deploy)
        end = world.follow(world.start())
        assert (end.error, "changed while it was published" in end.cause) == ("Rejected", True)
        assert world.routing == ("1", {})


# One who comes late.


@pytest.mark.parametrize(
    ("name", "error", "seconds"),
    [
        ("lambda.GetAlias", "slow", 4.5),
        ("lambda.GetAlias", "held", 12),
        ("lambda.UpdateAlias", "slow", 20),
        ("lambda.UpdateAlias", "held", 20),
        ("dynamodb.UpdateItem", "slow", 4.5),
        ("dynamodb.UpdateItem", "held", 20),
        ("dynamodb.GetItem", "held", 12),
    ],
)
def test_a_guard_that_is_slow_changes_nothing_of_a_later_rollout(name, error, seconds):
    timeline = [at(30, do="stop_execution"), at(31.5, do="start_execution")]
    with world_of(
        {"version": "2", **STEPS}, alias={"function_version": "1"}, versions={"2": {}}, timeline=timeline
    ) as world:
        delay(world, name, "guard_execution", error, seconds)
        world.follow(world.start())
        world.settle()
        assert ended(world)[-1][0] == "promoted"
        assert world.routing == ("2", {})
        assert [routing[1].get("2") for _, routing in world.routings if routing][-4:] == [0.1, 0.5, 1.0, None]


def delay(world, name, handler, error, seconds):
    """Every call of that name by a handler takes so long: before it is performed, or after."""

    def late(_params, proceed):
        if caller.get() != handler:
            return proceed()
        if error == "held":
            world.clock.sleep(seconds)
            return proceed()
        answer = proceed()
        world.clock.sleep(seconds)
        return answer

    world.boundary.correct(name, late)


# What was restored already.


def test_who_splits_an_alias_after_an_alarm_has_restored_it_keeps_his_split(tell):
    """RollBack does not repeat what is recorded as done."""
    story = tell(
        {**STEPS, "alarms": ["errors"]},
        alarms=[ALARM],
        timeline=[
            at(70, do="set_alarm", name="errors", state="ALARM"),
            at(80, do="update_alias", weights={"2": 0.33}),
        ],
    )
    assert (story.outcome, story.alias) == ("rolled_back", {"function_version": "1", "weights": {"2": 0.33}})


# Words, and room for them.


def test_a_pause_that_comes_while_the_candidate_is_promoted_is_answered_otherwise():
    answers = []

    def pause():
        order = {**SMALLEST, "command": "pause", "author": "ana", "reason": "a graph"}
        function = world.stack.outputs()["CommandFunctionArn"]
        answer = client("lambda").invoke(FunctionName=function, Payload=json.dumps(order))
        answers.append(json.loads(answer["Payload"].read()))

    with world_of(STEPS) as world:
        once(world, "lambda.UpdateAlias", "promote", pause)
        assert world.follow(world.start()).status == "SUCCEEDED"
        (answer,) = answers
        assert (answer["accepted"], "it is being promoted just now: revert" in answer["message"]) == (False, True)


def test_no_word_and_no_end_fails_for_room():
    """Fifty words of 300 Chinese characters, and as many verdicts as there is room for: DynamoDB, "Quotas", 400 KB."""
    long = "漢" * 300
    words = [
        at(61 + 8 * number, do="command", command=("pause", "resume")[number % 2], author=long, reason=long)
        for number in range(60)
    ]
    request = {"steps": [{"weight": 10, "bake_seconds": 7200}, {"weight": 100, "bake_seconds": 60}]}
    timeline = [*words, at(900, do="command", command="abort", author=long, reason=long)]
    with world_of(request, timeline=timeline) as world:
        end = world.follow(world.start())
        world.settle()
        assert (end.error, world.routing) == ("RolledBack", ("1", {}))
        assert {answer["accepted"] for answer in world.answers} == {True}
        (item,) = (item for item in items(world) if item["record"]["S"].startswith("history#"))
        commands = json.loads(item["document"]["S"])["commands"]
        assert [word["command"] for word in commands][-1] == "abort"
        assert sum(len(str(value)) for value in item.values()) < 400 * 1024
        assert not [message for message in client("sqs").list_queues()["QueueUrls"] if letters(message)]


def letters(queue):
    return client("sqs").receive_message(QueueUrl=queue).get("Messages", [])
