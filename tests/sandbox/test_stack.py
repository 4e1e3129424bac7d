"""A template becomes resources in the account, and its rules, retries and schedules reach its functions."""

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from moto import mock_aws

from sandbox.aws.boundary import Boundary
from sandbox.aws.clock import Clock
from sandbox.aws.eventbridge import EventBridge
from sandbox.aws.faults import EventFault, Faults
from sandbox.aws.intrinsics import TemplateUnsupported
from sandbox.aws.runtime import Runtime
from sandbox.aws.stack import Stack, Template, client
from sandbox.world import PARAMETERS, TEMPLATE

SMALL = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  FunctionNamePattern: {Type: String}
  TopicArn: {Type: String, Default: ""}
Conditions:
  Notifies: !Not [!Equals [!Ref TopicArn, ""]]
Globals:
  Function:
    Runtime: python3.13
    CodeUri: functions/
    AutoPublishAlias: live
    Environment: {Variables: {TABLE: !Ref Records, TOPIC: !If [Notifies, !Ref TopicArn, none]}}
Resources:
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      Name: !Sub ${AWS::StackName}-machine
      DefinitionUri: machine.asl.json
      DefinitionSubstitutions: {NoteFunctionArn: !Ref NoteFunction.Version}
      Policies: [{LambdaInvokePolicy: {FunctionName: !Ref NoteFunction}}]
  NoteFunction:
    Type: AWS::Serverless::Function
    Properties:
      Handler: note.handler
      Timeout: 20
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt DeadLetters.Arn}}
      Policies:
        - Statement:
            - Effect: Allow
              Action: lambda:GetAlias
              Resource: !Sub "arn:${AWS::Partition}:lambda:${AWS::Region}:*:function:${FunctionNamePattern}"
      Events:
        Ended:
          Type: EventBridgeRule
          Properties:
            Pattern: {source: [aws.states], detail: {status: [FAILED], stateMachineArn: [!Ref Machine]}}
  DeadLetters: {Type: AWS::SQS::Queue}
  OnlyWhereNotified: {Type: AWS::SQS::Queue, Condition: Notifies}
  Firing:
    Type: AWS::CloudWatch::Alarm
    Properties:
      {Namespace: AWS/SQS, MetricName: Depth, Period: 60, EvaluationPeriods: 1, Threshold: 0, Statistic: Sum,
       ComparisonOperator: GreaterThanThreshold, AlarmActions: !If [Notifies, [!Ref TopicArn], !Ref AWS::NoValue]}
  Records:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: target, AttributeType: S}]
      KeySchema: [{AttributeName: target, KeyType: HASH}]
Outputs:
  MachineArn: {Value: !Ref Machine}
"""

MACHINE = '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "${NoteFunctionArn}", "End": true}}}'

HANDLER = """
import json

def handler(event, context):
    print(json.dumps(event))
    if event["detail"].get("fails"):
        raise ValueError("as asked")
"""


class Account:
    """An account with one small stack; inside `with`, boto3 talks to it and time is virtual."""

    def __init__(self, root: Path, *event_faults: EventFault, text: str = SMALL) -> None:
        (root / "functions").mkdir()
        (root / "functions" / "note.py").write_text(HANDLER)
        (root / "machine.asl.json").write_text(MACHINE)
        (root / "template.yaml").write_text(text)
        faults = Faults(events=event_faults)
        self.clock = Clock(datetime(2026, 1, 5, tzinfo=UTC))
        self.boundary = Boundary(self.clock, faults)
        self.runtime = Runtime(self.clock, self.boundary, faults, root / "functions")
        self.eventbridge = EventBridge(self.clock, self.boundary, self.runtime, faults)
        self.stack = Stack(Template.load(root / "template.yaml", PARAMETERS), self.runtime, self.eventbridge)
        self._installed = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as installing:
            installing.enter_context(mock_aws(config={"lambda": {"use_docker": False}}))
            installing.enter_context(self.clock)
            installing.enter_context(self.boundary.installed())
            self.stack.deploy()
            self._installed = installing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._installed.close()

    def report_execution(self, status: str = "FAILED", **more: object) -> None:
        """An execution's status changes; everything that follows takes its time."""
        detail = {"status": status, "stateMachineArn": self.stack.ref("Machine"), **more}
        self.eventbridge.deliver("aws.states", "Step Functions Execution Status Change", detail, "execution")
        self.clock.run(until=self.clock.idle)

    def notes(self) -> list[dict[str, Any]]:
        """What the function was invoked with."""
        return [json.loads(line) for line in self.runtime.logs]

    def dead_letters(self) -> list[dict[str, Any]]:
        found = client("sqs").receive_message(QueueUrl=self.stack.ref("DeadLetters"), MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in found.get("Messages", [])]


def test_references_between_resources_are_resolved(tmp_path: Path) -> None:
    with Account(tmp_path) as account:
        function = client("lambda").get_function_configuration(FunctionName=account.stack.ref("NoteFunction"))
        machine = client("stepfunctions").describe_state_machine(stateMachineArn=account.stack.ref("Machine"))
        role = client("iam").list_role_policies(RoleName=account.stack.ref("NoteFunctionRole"))

    assert function["Environment"]["Variables"] == {"TABLE": account.stack.ref("Records"), "TOPIC": "none"}
    assert machine["name"] == "tidegate-machine"
    assert account.stack.outputs() == {"MachineArn": machine["stateMachineArn"]}
    assert role["PolicyNames"]


def test_definition_names_the_published_version(tmp_path: Path) -> None:
    with Account(tmp_path) as account:
        machine = client("stepfunctions").describe_state_machine(stateMachineArn=account.stack.ref("Machine"))

    task = json.loads(machine["definition"])["States"]["A"]
    assert task["Resource"].endswith(":function:tidegate-NoteFunction:1")


def test_a_substitution_without_a_value_is_refused(tmp_path: Path) -> None:
    text = SMALL.replace("{NoteFunctionArn:", "{OtherFunctionArn:")

    with pytest.raises(TemplateUnsupported, match="NoteFunctionArn"), Account(tmp_path, text=text):
        pass


def test_a_resource_whose_condition_is_false_is_left_out(tmp_path: Path) -> None:
    with Account(tmp_path) as account:
        pass

    assert "OnlyWhereNotified" not in account.stack.created


def test_a_property_set_to_no_value_is_left_out(tmp_path: Path) -> None:
    with Account(tmp_path) as account:
        pass

    assert "AlarmActions" not in account.stack.created["Firing"].properties


def test_every_unknown_resource_type_is_named(tmp_path: Path) -> None:
    text = SMALL.replace("  Firing:", "  A: {Type: AWS::ECS::Cluster}\n  B: {Type: AWS::EC2::VPC}\n  Firing:")

    with pytest.raises(TemplateUnsupported, match="AWS::EC2::VPC, AWS::ECS::Cluster"):
        Account(tmp_path, text=text)


def test_our_own_template_deploys(tmp_path: Path) -> None:
    with Account(tmp_path) as account:
        stack = Stack(Template.load(TEMPLATE, PARAMETERS), account.runtime, account.eventbridge)
        stack.deploy()

    assert stack.outputs()["RolloutStateMachineArn"] == stack.ref("RolloutStateMachine")


def test_a_rule_invokes_its_function_with_the_event(tmp_path: Path) -> None:
    with Account(tmp_path) as account:
        account.report_execution(name="one")

    (event,) = account.notes()
    assert event["source"] == "aws.states"
    assert event["detail"]["name"] == "one"


def test_an_event_that_no_rule_matches_goes_nowhere(tmp_path: Path) -> None:
    with Account(tmp_path) as account:
        account.report_execution(status="SUCCEEDED")

    assert account.notes() == []


def test_lambda_retries_an_asynchronous_invocation_and_then_tells_the_destination(tmp_path: Path) -> None:
    with Account(tmp_path) as account:
        account.report_execution(fails=True)
        letters = account.dead_letters()

    assert len(account.notes()) == 2  # MaximumRetryAttempts: 1
    assert [letter["requestContext"]["condition"] for letter in letters] == ["RetriesExhausted"]
    assert letters[0]["responsePayload"]["errorType"] == "ValueError"
    assert letters[0]["requestPayload"]["detail"]["fails"] is True


@pytest.mark.parametrize(
    ("fault", "deliveries"),
    [
        (EventFault("execution", "lost"), 0),
        (EventFault("execution", "duplicated"), 2),
        (EventFault("execution", "late", seconds=30), 1),
        (EventFault("alarm", "lost"), 1),
    ],
)
def test_event_faults_strike_deliveries(tmp_path: Path, fault: EventFault, deliveries: int) -> None:
    with Account(tmp_path, fault) as account:
        account.report_execution()

    assert len(account.notes()) == deliveries


def test_event_faults_leave_events_alone_that_nobody_waits_for(tmp_path: Path) -> None:
    with Account(tmp_path, EventFault("execution", "lost")) as account:
        account.report_execution(status="RUNNING")
        account.report_execution(status="FAILED")

    assert account.notes() == []


def test_a_late_event_is_delivered_late(tmp_path: Path) -> None:
    with Account(tmp_path, EventFault("execution", "late", seconds=30)) as account:
        began = account.clock.now()
        account.report_execution()

        assert 30 < account.clock.now() - began < 35


def test_a_schedule_ticks_in_virtual_time(tmp_path: Path) -> None:
    tick = """        Tick:
          Type: ScheduleV2
          Properties: {ScheduleExpression: rate(1 minute), Input: '{"detail": {}, "tick": true}'}
  DeadLetters:"""
    with Account(tmp_path, text=SMALL.replace("  DeadLetters:", tick, 1)) as account:
        account.clock.sleep(185)

    assert account.notes() == [{"detail": {}, "tick": True}] * 3


def test_events_that_a_handler_puts_are_kept_and_delivered(tmp_path: Path) -> None:
    with Account(tmp_path) as account:
        entry = {"Source": "aws.states", "DetailType": "x"}
        detail = {"status": "FAILED", "stateMachineArn": account.stack.ref("Machine")}
        answer = client("events").put_events(
            Entries=[{**entry, "Detail": json.dumps(detail)}, {**entry, "Detail": "no JSON"}]
        )
        account.clock.run(until=account.clock.idle)

    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][1]["ErrorCode"] == "MalformedDetail"
    assert [event["detail"] for event in account.eventbridge.put] == [detail]
    assert [event["detail"] for event in account.notes()] == [detail]
