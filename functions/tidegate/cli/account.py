"""Tidegate as it is deployed in an AWS account: asked and commanded through boto3, refusals told as sentences.

boto3 takes longer to import than most commands take: who asks nothing of AWS imports this `lazily`.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from tidegate.alias import Alias
from tidegate.cli.aws_errors import NO_REGION, NO_REGION_NO_CREDENTIALS, sentence
from tidegate.cli.target import EXECUTION_NAME_RULE, parse_target
from tidegate.ending.lock import Lock
from tidegate.ending.record import INDEX, LOCK, RUNNING, RolloutRecord, newest_first, plain
from tidegate.errors import TROUBLES, LedgerUnreadable
from tidegate.terminal.exit_codes import AwsFailed, NothingThere, Unusable, WouldBeRejected, stopping

Item = dict[str, Any]
_Kept = TypeVar("_Kept", Lock, RolloutRecord)

#: PlanRollout's function may take 90 seconds, and command's less.
_READ_SECONDS = 100
_REFUSED_STARTS = {
    "ExecutionAlreadyExists": "an execution of this name exists already: choose another --name",
    "InvalidName": f"this --name cannot be an execution's: {EXECUTION_NAME_RULE}",
    "InvalidExecutionInput": "the request is no JSON that Step Functions takes",
}
_STOPPED_STARTING = "stopped while it was started: see tidegate list whether it runs"


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution as Step Functions describes it; `output` is parsed, {} where there is none."""

    arn: str
    status: str
    request: object
    started_at: float
    ended_at: float | None
    output: Mapping[str, Any]
    error: str | None
    cause: str | None

    @property
    def name(self) -> str:
        """The rollout's id."""
        return self.arn.rpartition(":")[2]

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self.status in {"RUNNING", "PENDING_REDRIVE"}


@dataclass(frozen=True)
class Account:
    """One stack in one account and region. Every method may raise AwsFailed, and Unusable where none is configured."""

    stack: str
    region: str | None = None
    profile_name: str | None = None
    _clients: dict[str, Any] = field(default_factory=dict, init=False, compare=False)

    # --- Rollouts -----------------------------------------------------------------------------------------------------

    def rehearse(self, request: object) -> Item:
        """The plan of a request, and how the versions differ; nothing is started.

        Raises:
            Unusable: the request cannot be understood.
            WouldBeRejected: it can, and would be refused.
        """
        machine = self._output("RolloutStateMachineArn")
        asked = {
            "dry_run": True,
            "request": request,
            "execution_arn": f"{machine.replace(':stateMachine:', ':execution:')}:plan-{uuid.uuid4()}",
            "started_at": datetime.now(UTC).isoformat(),
        }
        answer = self._invoke("PlanRolloutFunctionArn", asked)
        if "errorType" in answer:
            raise _why_no_plan(answer["errorType"], str(answer.get("errorMessage", "")))
        return answer

    def start(self, request: object, name: str | None) -> str:
        """Start a rollout; its execution's ARN.

        Raises:
            NothingThere: an execution of that name exists already.
            Unusable: Step Functions takes neither the name nor the request.
        """
        # Under one name a start that is asked for twice, because its answer was lost, starts one execution.
        asked = {"stateMachineArn": self._output("RolloutStateMachineArn"), "name": name or str(uuid.uuid4())}
        asked["input"] = json.dumps(request, allow_nan=False)
        try:
            with self._asking("states:StartExecution"), stopping(_STOPPED_STARTING):
                arn: str = self._client("stepfunctions").start_execution(**asked)["executionArn"]
        except AwsFailed as error:
            code = _code(error)
            if code not in _REFUSED_STARTS:
                raise
            kind = NothingThere if code == "ExecutionAlreadyExists" else Unusable
            raise kind(_REFUSED_STARTS[code]) from error
        return arn

    def execution(self, arn: str) -> Execution | None:
        """The execution, or None where Step Functions knows it no longer."""
        try:
            with self._asking("states:DescribeExecution"):
                found = self._client("stepfunctions").describe_execution(executionArn=arn)
        except AwsFailed as error:
            if _code(error) == "ExecutionDoesNotExist":
                return None
            raise
        stopped = found.get("stopDate")
        output = _parsed(found.get("output"))
        return Execution(
            arn=arn,
            status=found["status"],
            request=_parsed(found.get("input")),
            started_at=found["startDate"].timestamp(),
            ended_at=stopped.timestamp() if stopped else None,
            output=output if isinstance(output, dict) else {},
            error=found.get("error"),
            cause=found.get("cause"),
        )

    def command(self, command: str, target: Alias, author: str | None, reason: str, rollout_id: str | None) -> Item:
        """Give a command to a rollout; the answer says whether it was `accepted`, and in `message` what follows."""
        said: Item = {
            "command": command,
            **target.names,
            "author": author or self.caller(),
            "reason": reason,
        }
        answer = self._invoke("CommandFunctionArn", said | ({"rollout_id": rollout_id} if rollout_id else {}))
        if "errorType" in answer:
            kind, message = answer["errorType"], answer.get("errorMessage", "")
            raise AwsFailed(f"{command} failed: {kind}: {message}; see tidegate status {target} before trying again")
        return answer

    def caller(self) -> str:
        """Whose credentials these are."""
        with self._asking("sts:GetCallerIdentity"):
            return str(self._client("sts").get_caller_identity()["Arn"])

    # --- The ledger ---------------------------------------------------------------------------------------------------

    def lock(self, target: Alias) -> Lock | None:
        """The lock of a running rollout, or None."""
        with self._asking("dynamodb:GetItem"):
            found = self._client("dynamodb").get_item(
                TableName=self._table, Key={"target": {"S": str(target)}, "record": {"S": LOCK}}, ConsistentRead=True
            )
        return _read(Lock.parse, found["Item"]) if "Item" in found else None

    def running(self) -> list[Lock]:
        """The lock of every running rollout, whole."""
        asked = {
            "IndexName": INDEX,
            "KeyConditionExpression": f"{INDEX} = :running",
            "ExpressionAttributeValues": {":running": {"S": RUNNING}},
        }
        locks = [self.lock(parse_target(item["target"]["S"])) for item in self._query(asked)]
        return [lock for lock in locks if lock is not None]

    def finished(self, target: Alias, limit: int) -> list[RolloutRecord]:
        """The newest finished rollouts of an alias, newest first."""
        found = []
        for item in self._query(newest_first(str(target))):
            found.append(_read(RolloutRecord.parse, item))
            if len(found) == limit:
                break
        return found

    def _query(self, asked: Item) -> Iterator[Item]:
        with self._asking("dynamodb:Query"):
            pages = self._client("dynamodb").get_paginator("query").paginate(TableName=self._table, **asked)
            for page in pages:
                yield from page["Items"]

    # --- How it is asked ----------------------------------------------------------------------------------------------

    @cached_property
    def _session(self) -> boto3.Session:
        try:
            session = boto3.Session(region_name=self.region, profile_name=self.profile_name)
        except ProfileNotFound as error:
            raise Unusable(f"{error}: see ~/.aws/config, or leave --profile-name out") from error
        if session.region_name is None:
            raise Unusable(NO_REGION if _has_credentials(session) else NO_REGION_NO_CREDENTIALS)
        return session

    @property
    def _table(self) -> str:
        return self._output("RolloutTableName")

    @cached_property
    def _outputs(self) -> dict[str, str]:
        try:
            with self._asking("cloudformation:DescribeStacks"):
                found = self._client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        except AwsFailed as error:
            if _code(error) != "ValidationError":
                raise
            raise AwsFailed(
                f"there is no stack {self.stack} in {self._session.region_name}: deploy Tidegate there (sam deploy), or"
                " say which with --stack and --region (cloudformation:DescribeStacks)"
            ) from error
        return {output["OutputKey"]: output["OutputValue"] for output in found[0].get("Outputs", [])}

    def _output(self, name: str) -> str:
        try:
            return self._outputs[name]
        except KeyError as error:
            raise AwsFailed(
                f"stack {self.stack} has no output {name}, so it is not Tidegate's, or of an earlier version: deploy"
                " this one, or say which with --stack"
            ) from error

    def _invoke(self, output: str, payload: Item) -> Item:
        arn = self._output(output)
        with self._asking("lambda:InvokeFunction"):
            answer = self._client("lambda").invoke(
                FunctionName=arn, Payload=json.dumps(payload, allow_nan=False).encode()
            )
            parsed = _parsed(answer["Payload"].read().decode())
        if isinstance(parsed, dict):
            return {"errorType": "Function.Error", **parsed} if answer.get("FunctionError") else parsed
        raise AwsFailed(f"{arn} gave no answer that can be understood: {str(parsed)[:200]}")

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            # A command that may have been heard is not said again behind the caller's back.
            attempts: Any = {"mode": "standard", "total_max_attempts": 1 if service == "lambda" else 3}
            config = Config(connect_timeout=5, read_timeout=_READ_SECONDS, retries=attempts)
            self._clients[service] = self._session.client(service, config=config)  # type: ignore[call-overload]
        return self._clients[service]

    @contextmanager
    def _asking(self, action: str) -> Iterator[None]:
        """Tell what AWS, or botocore before it, says against a call as AwsFailed."""
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise AwsFailed(sentence(action, error, self._session.region_name)) from error


def now() -> float:
    """Seconds since the epoch."""
    return time.time()


def _has_credentials(session: boto3.Session) -> bool:
    try:
        return session.get_credentials() is not None
    except BotoCoreError:
        return False


def _code(error: AwsFailed) -> str:
    cause: Any = error.__cause__
    return str(cause.response["Error"]["Code"]) if hasattr(cause, "response") else ""


def _parsed(text: str | None) -> Any:
    """JSON where it is some; {} for nothing."""
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text


def _read(parse: Callable[[Item], _Kept], item: Item) -> _Kept:
    try:
        return parse(plain(item))
    except LedgerUnreadable as error:
        raise AwsFailed(str(error)) from error


def _why_no_plan(kind: str, message: str) -> Exception:
    if kind == "RequestInvalid":
        return Unusable(message)
    if kind in TROUBLES or kind.startswith(("Runtime.", "Sandbox.", "Function.")):
        return AwsFailed(f"PlanRollout could not tell: {kind}: {message}; try again, or see its log")
    return WouldBeRejected(f"{kind}: {message}")
