"""The template's contract: described parameters, roles as small as their handlers, nothing public."""

import gc
import json
import re
from pathlib import Path

import pytest

from tidegate.application.telemetry import gauge
from tests.contract.artifacts import FUNCTIONS, RESOURCES, ROOT, TEMPLATE, deployed
from tidegate.application.finalize import OPEN_ROLLBACKS

gc.enable()  # which `application` turned off, as for a cold start, and no handler is here to turn it on again
SOURCE = (ROOT / "template.yaml").read_text()


def statements(properties):
    """Every statement that may be deployed, also one whose condition may not hold."""
    for policy in properties["Policies"]:
        for statement in policy["Statement"]:
            yield statement["If"][1] if "If" in statement else statement


def actions(statement):
    listed = statement["Action"]
    return listed if isinstance(listed, list) else [listed]


def test_every_parameter_is_described_and_constrained():
    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter["Description"], name
        assert "AllowedPattern" in parameter or "AllowedValues" in parameter, name


def test_the_functions_that_may_be_touched_have_no_default():
    assert "Default" not in TEMPLATE["Parameters"]["FunctionNamePattern"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_role_names_its_resources_or_says_why_it_cannot(name):
    for statement in statements(FUNCTIONS[name]):
        assert statement["Effect"] in ("Allow", "Deny")
        assert not any("*" in action for action in actions(statement)), (name, statement["Sid"])


def test_every_star_has_its_reason_beside_it():
    lines = SOURCE.splitlines()
    stars = [number for number, line in enumerate(lines) if re.search(r'Resource: "\*"', line)]
    assert stars
    assert all(lines[number - 1].strip().startswith("#") for number in stars)


MOVERS = {
    "CommandFunction",
    "PlanRolloutFunction",
    "ShiftTrafficFunction",
    "PromoteFunction",
    "RollBackFunction",
    "GuardExecutionFunction",
    "GuardAlarmFunction",
    "SweepFunction",
}


def test_only_who_must_move_an_alias_may():
    may = {
        name
        for name in FUNCTIONS
        if any("lambda:UpdateAlias" in actions(statement) for statement in statements(FUNCTIONS[name]))
    }
    assert may == MOVERS


def test_only_who_tries_and_who_asks_may_run_customers_code_and_never_latest():
    may = {name: list(statements(FUNCTIONS[name])) for name in FUNCTIONS}
    invoking = {name for name, found in may.items() if any("lambda:InvokeFunction" in actions(s) for s in found)}
    assert invoking == {"VerifyCandidateFunction", "RunHookFunction"}
    for name in invoking:
        denied = [s["Resource"]["Sub"] for s in may[name] if s["Effect"] == "Deny"]
        assert any(resource.endswith("function:*:$LATEST") for resource in denied)


def test_who_deploys_names_no_hooks_gives_nobody_a_right_to_them():
    assert TEMPLATE["Parameters"]["HookFunctionNamePattern"]["Default"] == ""
    conditional = {
        (name, statement["If"][1]["Sid"])
        for name in FUNCTIONS
        for policy in FUNCTIONS[name]["Policies"]
        for statement in policy["Statement"]
        if "If" in statement and statement["If"][::2] == ["HasHooks", {"Ref": "AWS::NoValue"}]
    }
    asking = {
        (name, statement["Sid"])
        for name in FUNCTIONS
        for statement in statements(FUNCTIONS[name])
        if "HookFunctionNamePattern" in str(statement)
    }
    assert (
        conditional
        == asking
        == {
            ("PlanRolloutFunction", "ReadHooks"),
            ("VerifyCandidateFunction", "AskHooks"),
            ("RunHookFunction", "AskHooks"),
        }
    )


def test_a_pattern_that_matches_everything_still_leaves_tidegate_itself_out_of_reach():
    allowed = {
        action
        for properties in FUNCTIONS.values()
        for s in statements(properties)
        if s["Effect"] == "Allow"
        for action in actions(s)
    }
    policy = RESOURCES["NeverItself"]["Properties"]
    (denial,) = policy["PolicyDocument"]["Statement"]
    reading = {action for action in allowed if re.match(r"lambda:(Get|List)", action)}
    assert set(denial["Action"]) == {action for action in allowed if action.startswith("lambda:")} - reading
    assert [role["Ref"] for role in policy["Roles"]] == [f"{name}Role" for name in FUNCTIONS]
    arns = [[{"GetAtt": f"{name}.Arn"}, {"Sub": f"${{{name}.Arn}}:*"}] for name in FUNCTIONS]
    assert denial["Resource"] == [arn for both in arns for arn in both]
    assert RESOURCES["RolloutStateMachine"]["DependsOn"] == "NeverItself"


def test_what_a_parameter_says_is_read_where_every_version_can_read_it():
    """A version keeps its environment, and a parameter alone makes none (aws/serverless-application-model#3820)."""
    chosen = {name for name in TEMPLATE["Parameters"] if name in str(TEMPLATE["Globals"]["Function"]["Environment"])}
    for properties in FUNCTIONS.values():
        assert "Environment" not in properties, "what a version keeps is the same for all of them"
    assert chosen == {"HistoryRetentionDays", "NotificationTopicArn"}, "the last resort of aws.settings"
    kept = RESOURCES["Settings"]["Properties"]
    assert set(re.findall(r"\$\{(\w+)\}", kept["Value"]["Sub"])) == chosen
    environment = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert environment["SETTINGS_PARAMETER"] == kept["Name"]
    assert {value["Ref"] for value in environment.values() if "Ref" in value} == {
        *chosen,
        "RolloutTable",
        "DurableExecutionsChanged",
        "AWS::StackName",
    }


def test_nothing_may_be_deleted_but_the_books_own_items():
    deletions = {
        action for name in FUNCTIONS for s in statements(FUNCTIONS[name]) for action in actions(s) if "Delete" in action
    }
    # Who polls a queue deletes the messages that it has worked on.
    assert deletions == {"dynamodb:DeleteItem", "sqs:DeleteMessage"}
    may = [each for name in FUNCTIONS for each in statements(FUNCTIONS[name]) if "sqs:DeleteMessage" in actions(each)]
    assert [each["Resource"] for each in may] == [{"GetAtt": "DurableExecutions.Arn"}]


def of_kind(kind):
    """The properties of every resource of that type that is deployed, SAM's own too; there is one at least."""
    found = {name: each.properties for name, each in deployed().of_kind(kind).items()}
    assert found
    return found


def test_every_table_is_encrypted_recoverable_kept_and_expires():
    for name, table in of_kind("AWS::DynamoDB::Table").items():
        assert table["SSESpecification"]["SSEEnabled"], name
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], name
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
        assert RESOURCES[name]["DeletionPolicy"] == RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


def test_every_queue_and_topic_is_encrypted():
    for name, queue in of_kind("AWS::SQS::Queue").items():
        assert queue.get("SqsManagedSseEnabled") or "KmsMasterKeyId" in queue, name
    for name, topic in deployed().of_kind("AWS::SNS::Topic").items():
        assert "KmsMasterKeyId" in topic.properties, name


def test_every_log_goes_to_a_group_that_forgets():
    groups = of_kind("AWS::Logs::LogGroup")
    assert all(group["RetentionInDays"] == 365 for group in groups.values())
    names = {group["LogGroupName"] for group in groups.values()}
    for name, function in of_kind("AWS::Lambda::Function").items():
        assert function["LoggingConfig"]["LogGroup"] in names, name
    for name, machine in of_kind("AWS::StepFunctions::StateMachine").items():
        (destination,) = machine["LoggingConfiguration"]["Destinations"]
        assert destination["CloudWatchLogsLogGroup"]["LogGroupArn"].split(":")[6] in names, name
        assert not machine["LoggingConfiguration"]["IncludeExecutionData"], "requests are their owner's"


def test_whatever_an_event_or_a_schedule_invokes_leaves_its_failures_in_a_queue():
    targets = [target for rule in of_kind("AWS::Events::Rule").values() for target in rule["Targets"]]
    # A schedule needs none: the next tick does what this one did not. Its function's own failures are kept.
    invoked = targets + [schedule["Target"] for schedule in of_kind("AWS::Scheduler::Schedule").values()]
    queues = {name: each.attributes["Arn"] for name, each in deployed().of_kind("AWS::SQS::Queue").items()}
    kept = {
        f"{config['FunctionName']}:{config['Qualifier']}": config["DestinationConfig"]["OnFailure"]["Destination"]
        for config in of_kind("AWS::Lambda::EventInvokeConfig").values()
    }
    polled = {mapping["EventSourceArn"] for mapping in of_kind("AWS::Lambda::EventSourceMapping").values()}
    for target in invoked:
        assert target["Arn"] in polled or kept[target["Arn"].partition(":function:")[2]] in queues.values()
    for target in targets:
        assert target["DeadLetterConfig"]["Arn"] in queues.values()


def test_every_rule_may_write_to_its_dead_letter_queue():
    rules = {each.attributes["Arn"] for each in deployed().of_kind("AWS::Events::Rule").values()}
    (statement,) = of_kind("AWS::SQS::QueuePolicy")["DeadLettersPolicy"]["PolicyDocument"]["Statement"]
    assert set(statement["Condition"]["ArnEquals"]["aws:SourceArn"]) == rules


def test_only_the_rule_of_durable_executions_may_write_to_their_queue_and_it_is_off():
    rule, queue = (deployed().created[name] for name in ("DurableExecutionsChanged", "DurableExecutions"))
    assert rule.properties["State"] == "DISABLED"
    assert [target["Arn"] for target in rule.properties["Targets"]] == [queue.attributes["Arn"]]
    (statement,) = of_kind("AWS::SQS::QueuePolicy")["DurableExecutionsPolicy"]["PolicyDocument"]["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": rule.attributes["Arn"]}}
    assert statement["Resource"] == queue.attributes["Arn"]


def test_what_is_polled_comes_again_one_message_at_a_time_and_ends_in_the_dead_letters():
    (mapping,) = of_kind("AWS::Lambda::EventSourceMapping").values()
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["FunctionName"].endswith(":function:tidegate-CountDurableFunction:live")
    queue = deployed().created["DurableExecutions"].properties
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == deployed().created["DeadLetters"].attributes["Arn"]
    function = deployed().created["CountDurableFunction"].properties
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"] + mapping["MaximumBatchingWindowInSeconds"]


def test_every_queue_has_an_alarm_on_its_first_message():
    watched = {
        dimension["Value"]
        for alarm in of_kind("AWS::CloudWatch::Alarm").values()
        for dimension in alarm.get("Dimensions", [])
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible" and alarm["Threshold"] == 0
    }
    # Messages wait in the other ones, and end in these where nobody can work on them.
    ends = [each for each in deployed().of_kind("AWS::SQS::Queue").values() if "RedrivePolicy" not in each.properties]
    assert watched == {each.attributes["QueueName"] for each in ends}


def test_tidegates_own_alarms_tell_the_topic_of_the_one_state_that_is_bad():
    told = {
        name: {key: resource["Properties"][key]["If"][0] for key in resource["Properties"] if key.endswith("Actions")}
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }
    assert told == {
        "RollbackFailedAlarm": {"AlarmActions": "Notifies"},
        "DeadLettersAlarm": {"AlarmActions": "Notifies"},
        "SweeperSilentAlarm": {"InsufficientDataActions": "Notifies"},
    }


def test_a_deletion_takes_the_alarm_on_the_sweepers_silence_before_its_schedule():
    """CloudFormation deletes what depends before what it depends on (template reference, DependsOn)."""
    (schedule,) = deployed().of_kind("AWS::Scheduler::Schedule")
    assert deployed().template.resources["SweeperSilentAlarm"]["DependsOn"] == schedule
    order = deployed().template.order
    assert order.index(schedule) < order.index("SweeperSilentAlarm")


def test_the_alarms_on_open_rollbacks_watch_the_metric_that_is_sent(capsys, monkeypatch):
    environments = [one["Environment"]["Variables"] for one in of_kind("AWS::Lambda::Function").values()]
    (service,) = {each["POWERTOOLS_SERVICE_NAME"] for each in environments}
    assert service == "tidegate", "the stack's name: two stacks do not share an alarm"
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", service)
    gauge(OPEN_ROLLBACKS, 1)
    sent = json.loads(capsys.readouterr().out)
    alarms = [one for one in of_kind("AWS::CloudWatch::Alarm").values() if one["Namespace"] == "Tidegate"]
    assert len(alarms) == 2
    (metric,) = sent["_aws"]["CloudWatchMetrics"]
    (names,) = metric["Dimensions"]
    for alarm in alarms:
        assert (alarm["Namespace"], alarm["MetricName"]) == (metric["Namespace"], metric["Metrics"][0]["Name"])
        assert {one["Name"]: one["Value"] for one in alarm["Dimensions"]} == {name: sent[name] for name in names}


def test_an_upgrade_does_not_change_a_running_rollout():
    assert TEMPLATE["Globals"]["Function"]["AutoPublishAlias"]
    assert all(properties["AutoPublishAliasAllProperties"] for properties in FUNCTIONS.values())


def test_handlers_run_on_the_runtime_that_is_built_and_traced():
    common = TEMPLATE["Globals"]["Function"]
    assert (common["Runtime"], common["Architectures"], common["Tracing"]) == ("python3.13", ["arm64"], "Active")
    assert common["CodeUri"] == "functions/"


def test_the_deploy_defaults_name_no_account():
    defaults = Path(ROOT / "samconfig.toml").read_text()
    assert not re.search(r"\d{12}|profile|s3_bucket|region *=", defaults.split("[default", 1)[1])
