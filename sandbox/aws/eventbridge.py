"""EventBridge and what stands behind it: rules, schedules, and Lambda's own queue for asynchronous invocations.

Rules are kept by moto and matched with moto's matcher. Delivery, its retries and its dead letters are done here, in
virtual time, since moto delivers to no Lambda function.
"""

from __future__ import annotations

import copy
import json
import random
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from moto.events.models import Rule, events_backends
from moto.events.utils import EventMessageType, EventTemplateParser

from sandbox.aws.boundary import AwsError, Boundary, caller, identity
from sandbox.aws.clock import Clock
from sandbox.aws.faults import Faults
from sandbox.aws.iam import session_arn
from sandbox.aws.polling import Polling
from sandbox.aws.runtime import Runtime
from sandbox.aws.stack import ACCOUNT_ID, REGION, client

#: How long an event is on its way. AWS promises nothing; about half a second is what people measure.
DELIVERY_SECONDS = 1.0
#: Lambda waits one minute before the second attempt of an asynchronous invocation and two before the third.
RETRY_SECONDS = (60.0, 120.0)
#: Throttled asynchronous invocations return to the queue, from 1 second up to 5 minutes, for up to 6 hours.
THROTTLE_SECONDS = (1.0, 300.0)
MAX_RETRIES = 2
MAX_EVENT_AGE_SECONDS = 6 * 3600.0
MAX_ENTRIES = 10

Event = dict[str, Any]

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_FUNCTION_ARN = re.compile(r"arn:aws:lambda:[^:]+:\d+:function:(?P<name>[^:]+)(?::(?P<qualifier>.+))?")


@dataclass(frozen=True, slots=True)
class AsyncConfig:
    """A function's settings for asynchronous invocations: AWS::Lambda::EventInvokeConfig."""

    retries: int = MAX_RETRIES
    max_age_seconds: float = MAX_EVENT_AGE_SECONDS
    on_failure: str | None = None

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> AsyncConfig:
        """The settings as a template gives them."""
        destination = properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        return cls(
            retries=int(properties.get("MaximumRetryAttempts", MAX_RETRIES)),
            max_age_seconds=float(properties.get("MaximumEventAgeInSeconds", MAX_EVENT_AGE_SECONDS)),
            on_failure=destination,
        )


class EventBridge:
    """The default bus, its rules and schedules, and the queue in front of each function.

    `put` holds every event that a handler put, oldest first.
    """

    def __init__(self, clock: Clock, boundary: Boundary, runtime: Runtime, faults: Faults, seed: int = 0) -> None:
        self._clock = clock
        self._runtime = runtime
        self._boundary = boundary
        self._faults = faults
        self._random = random.Random(f"events {seed}")
        self._configs: dict[tuple[str, str | None], AsyncConfig] = {}
        self._schedules: dict[str, bool] = {}
        self.put: list[Event] = []
        self.polling = Polling(clock, boundary, runtime, send_message)
        boundary.serve("events.PutEvents", self._put_events)
        boundary.serve("scheduler.UpdateSchedule", self._update_schedule)

    def configure_async(self, function_name: str, qualifier: str | None, config: Mapping[str, Any]) -> None:
        """Keep a function's settings for asynchronous invocations under that qualifier."""
        self._configs[function_name, qualifier] = AsyncConfig.from_properties(config)

    # --- Events -------------------------------------------------------------------------------------------------------

    def deliver(
        self,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        kind: str | None = None,
        resources: list[str] | None = None,
    ) -> None:
        """Take an event to the targets of every rule that it matches.

        `kind` is what scenarios call such events ("execution", "alarm"): its faults strike those that some rule
        waits for.
        """
        self._take(self._event(source, detail_type, detail, resources), kind)

    def deliver_all(self, source: str, detail_type: str, details: Sequence[Mapping[str, Any]], kind: str) -> None:
        """The same with many events at once, which go to a queue together, in the background.

        Raises:
            NotImplementedError: a rule has another target than a queue that is polled.
        """
        due: defaultdict[tuple[str, float], list[str]] = defaultdict(list)
        alike: list[Rule] | None = None
        for detail in details:
            event = self._event(source, detail_type, detail)
            rules = list(_matching(event)) if alike is None else alike
            # Which rules match is worked out once, where none of them asks about details.
            if alike is None and not any("detail" in rule.event_pattern.get_pattern() for rule in _listening(source)):
                alike = rules
            copies, delay = self._fate(kind) if rules else (0, 0.0)
            for rule in rules * copies:
                for target in rule.targets:
                    due[target["Arn"], delay].append(json.dumps(_shaped(event, target)))
        for (arn, delay), texts in due.items():
            self._clock.spawn(partial(self._send_all, arn, texts), f"events for {arn}", delay, background=True)

    def _send_all(self, arn: str, texts: Sequence[str]) -> None:
        if not self.polling.send(arn, texts):
            raise NotImplementedError(f"The sandbox delivers no such volume of events to {arn}")

    def _fate(self, kind: str | None) -> tuple[int, float]:
        """How often an event arrives, and after how many seconds."""
        fault = self._faults.for_event(kind) if kind else None
        error = fault.error if fault else None
        late_seconds = fault.seconds or 0.0 if fault and error == "late" else 0.0
        return {"lost": 0, "duplicated": 2}.get(error or "", 1), DELIVERY_SECONDS + late_seconds

    def _take(self, event: Event, kind: str | None = None) -> None:
        rules = list(_matching(event))
        if not rules:
            return
        copies, delay = self._fate(kind)
        for rule in rules * copies:
            for target in rule.targets:
                self._send(target, _shaped(event, target), delay)

    def _event(
        self, source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str] | None = None
    ) -> Event:
        return {
            "version": "0",
            "id": self._id(),
            "detail-type": detail_type,
            "source": source,
            "account": ACCOUNT_ID,
            "time": _timestamp(self._clock.now()),
            "region": REGION,
            "resources": resources or [],
            "detail": copy.deepcopy(dict(detail)),
        }

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _put_events(self, params: dict[str, Any]) -> dict[str, Any]:
        """PutEvents: at most ten entries, each judged by itself."""
        entries = params["Entries"]
        if len(entries) > MAX_ENTRIES:
            constraint = f"Member must have length less than or equal to {MAX_ENTRIES}"
            message = f"1 validation error detected: Value at 'entries' failed to satisfy constraint: {constraint}"
            raise AwsError("ValidationException", message)
        answers = [self._put_event(entry) for entry in entries]
        return {"FailedEntryCount": sum("ErrorCode" in answer for answer in answers), "Entries": answers}

    def _put_event(self, entry: Mapping[str, Any]) -> dict[str, str]:
        for key in ("Source", "DetailType", "Detail"):
            if not entry.get(key):
                message = f"Parameter {key} is not valid. Reason: {key} is a required argument."
                return {"ErrorCode": "InvalidArgument", "ErrorMessage": message}
        try:
            detail = json.loads(entry["Detail"])
        except ValueError:
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
        event = self._event(entry["Source"], entry["DetailType"], detail, entry.get("Resources"))
        self.put.append(event)
        self._take(event)
        return {"EventId": event["id"]}

    # --- Schedules ----------------------------------------------------------------------------------------------------

    def schedule(self, name: str, expression: str, target: Mapping[str, Any]) -> None:
        """Send to the target at every tick of a rate expression, the first one a full period from now.

        Ticks and what they invoke are background: a schedule goes on for ever, and a story ends.

        Raises:
            NotImplementedError: for other expressions than `rate(…)`.
        """
        rate = _RATE.fullmatch(expression)
        if rate is None:
            raise NotImplementedError(f"{name}: the sandbox knows schedules such as rate(1 minute), not {expression}")
        period_seconds = int(rate[1]) * _UNIT_SECONDS[rate[2]]

        def tick() -> None:
            self._clock.at(self._clock.now() + period_seconds, tick, background=True)
            if not self._schedules[name]:
                return
            event = self._event("aws.scheduler", "Scheduled Event", {})
            self._send(target, _shaped(event, target), 0.0, background=True)

        self._schedules[name] = True
        self._clock.at(self._clock.now() + period_seconds, tick, background=True)

    def _update_schedule(self, params: dict[str, Any]) -> dict[str, Any]:
        """UpdateSchedule, as far as it switches a schedule off and on; its ticks go on unheard meanwhile."""
        name = params["Name"]
        if name not in self._schedules:
            raise AwsError("ResourceNotFoundException", f"Schedule {name} does not exist.", 404)
        self._schedules[name] = params.get("State", "ENABLED") == "ENABLED"
        return {"ScheduleArn": f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule/default/{name}"}

    # --- Targets ------------------------------------------------------------------------------------------------------

    def _send(self, target: Mapping[str, Any], payload: Any, delay: float, *, background: bool = False) -> None:
        """Hand a payload to a target after so many seconds, as an actor of its own."""
        function = _FUNCTION_ARN.fullmatch(target["Arn"])
        text = json.dumps(payload)

        def arrive() -> None:
            caller.set(None)  # whoever put the event has nothing to do with its delivery
            identity.set(None)
            if function is None:
                if not self.polling.send(target["Arn"], [text]):
                    send_message(target["Arn"], text)
            elif self._may_invoke(target):
                self.invoke_async(function["name"], function["qualifier"], payload, target.get("DeadLetterConfig"))

        name = f"event for {target['Arn'].rsplit(':function:', 1)[-1]}"
        self._clock.spawn(arrive, name, delay, background=background)

    def invoke_async(
        self, function_name: str, qualifier: str | None, payload: Any, dead_letters: Mapping[str, str] | None = None
    ) -> None:
        """Invoke a function as Lambda's own queue does: with retries, then the on-failure destination. Blocks.

        `dead_letters` is the rule's own queue, for events that cannot even be handed over.
        """
        config = self._configs.get((function_name, qualifier), AsyncConfig())
        queued_at, throttle_seconds, attempts = self._clock.now(), THROTTLE_SECONDS[0], 0
        outcome: dict[str, Any] = {}
        while self._clock.now() - queued_at <= config.max_age_seconds:
            try:
                result = self._runtime.invoke(function_name, qualifier, json.dumps(payload).encode())
            except AwsError as error:
                if error.code != "TooManyRequestsException":
                    return self._bury(dead_letters, payload)
                self._clock.sleep(throttle_seconds)
                throttle_seconds = min(2 * throttle_seconds, THROTTLE_SECONDS[1])
                continue
            attempts += 1
            outcome = {
                "executedVersion": result.executed_version,
                "functionError": result.function_error,
                "responsePayload": json.loads(result.payload or b"null"),
            }
            if result.function_error is None:
                return None
            if attempts > config.retries:
                break
            self._clock.sleep(RETRY_SECONDS[min(attempts, len(RETRY_SECONDS)) - 1])
        return self._report_failure(config, f"{function_name}:{qualifier or '$LATEST'}", payload, attempts, outcome)

    def _may_invoke(self, target: Mapping[str, Any]) -> bool:
        """A schedule invokes under the role that its target names; a rule does by the function's own policy."""
        if "RoleArn" not in target:
            return True
        return self._may(session_arn(target["RoleArn"], "scheduler"), "lambda.Invoke", {"FunctionName": target["Arn"]})

    def _may(self, signer: str | None, call: str, params: dict[str, str]) -> bool:
        """Whether a call is allowed that AWS makes on somebody's behalf; one that is not happens unheard."""
        try:
            self._boundary.authorise(signer, call, params)
        except AwsError:
            return False
        return True

    def _bury(self, dead_letters: Mapping[str, str] | None, payload: Any) -> None:
        if dead_letters:
            send_message(dead_letters["Arn"], json.dumps(payload))

    def _report_failure(
        self, config: AsyncConfig, function: str, payload: Any, attempts: int, outcome: Mapping[str, Any]
    ) -> None:
        """The record that Lambda sends to an on-failure destination; `function` is named with its qualifier.

        Recorded facts, A1 and A2.
        """
        if config.on_failure is None:
            return
        exhausted = attempts > config.retries
        record = {
            "version": "1.0",
            "timestamp": _timestamp(self._clock.now()),
            "requestContext": {
                "requestId": self._id(),
                "functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{function}",
                "condition": "RetriesExhausted" if exhausted else "EventAgeExceeded",
                "approximateInvokeCount": attempts,
            },
            "requestPayload": payload,
            "responseContext": {
                "statusCode": 200,
                "executedVersion": outcome.get("executedVersion"),
                "functionError": outcome.get("functionError"),
            },
            "responsePayload": outcome.get("responsePayload"),
        }
        # Lambda sends as the function (Lambda Developer Guide, "Capturing records of asynchronous invocations").
        if self._may(self._runtime.session_of(function.partition(":")[0]), *_send_call(config.on_failure)):
            send_message(config.on_failure, json.dumps(record))


def _send_call(arn: str) -> tuple[str, dict[str, str]]:
    """The call by which something gets to that destination."""
    if arn.split(":")[2] == "sns":
        return "sns.Publish", {"TopicArn": arn}
    return "sqs.SendMessage", {"QueueUrl": arn}


def send_message(arn: str, text: str) -> None:
    """Put a text into a queue, on a topic, or in front of a state machine.

    Raises:
        NotImplementedError: for any other service.
    """
    service, resource = arn.split(":", 5)[2], arn.rsplit(":", 1)[-1]
    if service == "sqs":
        url = client("sqs").get_queue_url(QueueName=resource)["QueueUrl"]
        client("sqs").send_message(QueueUrl=url, MessageBody=text)
    elif service == "sns":
        client("sns").publish(TopicArn=arn, Message=text)
    elif service == "states":
        client("stepfunctions").start_execution(stateMachineArn=arn, input=text)
    else:
        raise NotImplementedError(f"The sandbox delivers no events to {arn}")


def _listening(source: str) -> Iterator[Rule]:
    """The rules that may match an event of that source, whatever its details."""
    for rule in events_backends[ACCOUNT_ID][REGION].event_buses["default"].rules.values():
        if rule.state == "ENABLED" and source in rule.event_pattern.get_pattern().get("source", [source]):
            yield rule


def _matching(event: Event) -> Iterator[Rule]:
    for rule in events_backends[ACCOUNT_ID][REGION].event_buses["default"].rules.values():
        if (
            rule.state == "ENABLED"
            and rule.event_pattern.get_pattern()
            and rule.event_pattern.matches_event(_moto(event))
        ):
            yield rule


def _moto(event: Event) -> EventMessageType:
    return cast("EventMessageType", event)


def _shaped(event: Event, target: Mapping[str, Any]) -> Any:
    """The event as the target wants it: its constant input, a part of the event, a filled template, or the event."""
    if "Input" in target:
        return json.loads(target["Input"])
    if "InputPath" in target:
        part: Any = event
        for key in target["InputPath"].removeprefix("$").strip(".").split("."):
            part = part[key] if key else part
        return part
    if transformer := target.get("InputTransformer"):
        timed = {**event, "ingestion-time": event["time"]}
        return EventTemplateParser.parse(
            transformer["InputTemplate"], transformer.get("InputPathsMap", {}), _moto(timed)
        )
    return event


def _timestamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
