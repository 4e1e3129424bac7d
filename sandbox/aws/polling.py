"""Queues that Lambda polls: messages are gathered for a while, and a function is invoked with a batch of them.

moto keeps queues and hands their messages to nobody. What is here is what a template says of such a queue and of its
event source mapping; a queue that nobody polls stays moto's.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from sandbox.aws.boundary import AwsError, Boundary, caller, identity
from sandbox.aws.clock import Clock
from sandbox.aws.runtime import Runtime

#: Lambda quotas: a payload of an invocation, all of its messages together.
_PAYLOAD_BYTES: Final = 6 * 1024 * 1024
#: What Lambda puts around a message's text, about.
_ENVELOPE_BYTES: Final = 1024
#: Lambda Developer Guide, "Using Lambda with Amazon SQS": what the function's role needs, and is asked for here.
_NEEDED: Final = ("sqs.ReceiveMessage", "sqs.GetQueueAttributes", "sqs.DeleteMessage")
#: A queue's own, where nobody says (API reference, CreateQueue).
_RETENTION_SECONDS: Final = 345_600.0
_VISIBILITY_SECONDS: Final = 30.0

Send = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class _Queue:
    """What a template says of a queue."""

    retention_seconds: float = _RETENTION_SECONDS
    visibility_seconds: float = _VISIBILITY_SECONDS
    dead_letters: str | None = None
    max_receives: int = 1

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> _Queue:
        redrive = properties.get("RedrivePolicy", {})
        return cls(
            float(properties.get("MessageRetentionPeriod", _RETENTION_SECONDS)),
            float(properties.get("VisibilityTimeout", _VISIBILITY_SECONDS)),
            redrive.get("deadLetterTargetArn"),
            int(redrive.get("maxReceiveCount", 1)),
        )


@dataclass(slots=True)
class _Message:
    """A message: its text, since when it is in the queue, and how often it was received."""

    ident: str
    text: str
    sent_at: float
    received: int = 0


@dataclass(slots=True)
class _Mapping:
    """An event source mapping, and the messages that wait for it."""

    function_name: str
    qualifier: str | None
    batch_size: int
    window_seconds: float
    reports_failures: bool
    waiting: list[_Message] = field(default_factory=list)
    gathering: bool = False

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> _Mapping:
        name, _, qualifier = properties["FunctionName"].rpartition(":function:")[2].partition(":")
        return cls(
            name,
            qualifier or None,
            int(properties.get("BatchSize", 10)),
            float(properties.get("MaximumBatchingWindowInSeconds", 0)),
            "ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
        )


class Polling:
    """Queues with a function behind them. A story does not wait for what is in them."""

    def __init__(self, clock: Clock, boundary: Boundary, runtime: Runtime, send: Send) -> None:
        self._clock = clock
        self._boundary = boundary
        self._runtime = runtime
        self._send = send
        self._queues: dict[str, _Queue] = {}
        self._mappings: dict[str, _Mapping] = {}
        self._random = Random("messages")

    def keep(self, queue_arn: str, properties: Mapping[str, Any]) -> None:
        """Know what a template says of a queue."""
        self._queues[queue_arn] = _Queue.from_properties(properties)

    def poll(self, properties: Mapping[str, Any]) -> None:
        """Poll a queue, as an event source mapping says."""
        self._mappings[properties["EventSourceArn"]] = _Mapping.from_properties(properties)

    def send(self, queue_arn: str, texts: Sequence[str]) -> bool:
        """Put messages into a queue; False where nobody polls it, so that it is moto's."""
        mapping = self._mappings.get(queue_arn)
        if mapping is None:
            return False
        now = self._clock.now()
        mapping.waiting += [_Message(self._id(), text, now) for text in texts]
        self._gather(queue_arn, mapping)
        return True

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _gather(self, queue_arn: str, mapping: _Mapping) -> None:
        """Invoke once the window is over, or at once where a batch is full."""
        if mapping.gathering or not mapping.waiting:
            return
        mapping.gathering = True
        full = len(mapping.waiting) >= mapping.batch_size

        def work() -> None:
            caller.set(None)
            identity.set(None)
            mapping.gathering = False
            self._work(queue_arn, mapping)
            self._gather(queue_arn, mapping)

        self._clock.spawn(
            work, f"batch for {mapping.function_name}", 0 if full else mapping.window_seconds, background=True
        )

    def _work(self, queue_arn: str, mapping: _Mapping) -> None:
        queue = self._queues.get(queue_arn, _Queue())
        oldest = self._clock.now() - queue.retention_seconds
        mapping.waiting = [message for message in mapping.waiting if message.sent_at >= oldest]
        batch = self._taken(mapping) if self._may(queue_arn, mapping.function_name) else []
        if not batch:
            return
        failed = self._invoke(queue_arn, mapping, batch)
        for message in batch:
            message.received += 1
        left = [message for message in batch if message.ident in failed]
        if queue.dead_letters:
            dead = [message for message in left if message.received >= queue.max_receives]
            for message in dead:
                self._send(queue.dead_letters, message.text)
            left = [message for message in left if message not in dead]
        self._return(queue_arn, mapping, left, queue)

    def _may(self, queue_arn: str, function_name: str) -> bool:
        """Lambda polls as the function."""
        try:
            for call in _NEEDED:
                self._boundary.authorise(self._runtime.session_of(function_name), call, {"QueueUrl": queue_arn})
        except AwsError:
            return False
        return True

    def _taken(self, mapping: _Mapping) -> list[_Message]:
        """A batch: as many messages as it holds, and as fit a payload."""
        size = taken = 0
        for message in mapping.waiting[: mapping.batch_size]:
            size += len(message.text) + _ENVELOPE_BYTES
            if size > _PAYLOAD_BYTES and taken:
                break
            taken += 1
        batch, mapping.waiting = mapping.waiting[:taken], mapping.waiting[taken:]
        return batch

    def _invoke(self, queue_arn: str, mapping: _Mapping, batch: Sequence[_Message]) -> set[str]:
        """The messages that are to come again: all of them where the function failed, or those that it names."""
        payload = json.dumps({"Records": [_record(queue_arn, message) for message in batch]})
        every = {message.ident for message in batch}
        try:
            result = self._runtime.invoke(mapping.function_name, mapping.qualifier, payload.encode())
        except AwsError:
            return every
        if result.function_error is not None:
            return every
        answer = json.loads(result.payload or b"null")
        if not mapping.reports_failures or not answer:
            return set()
        return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]} & every

    def _return(self, queue_arn: str, mapping: _Mapping, left: Sequence[_Message], queue: _Queue) -> None:
        """Show messages again once they are visible."""
        if not left:
            return

        def show() -> None:
            mapping.waiting = [*left, *mapping.waiting]
            self._gather(queue_arn, mapping)

        name = f"messages for {mapping.function_name}"
        self._clock.spawn(show, name, queue.visibility_seconds, background=True)


def _record(queue_arn: str, message: _Message) -> dict[str, Any]:
    """A message as Lambda hands it over (Lambda Developer Guide, "Using Lambda with Amazon SQS", example event)."""
    times = {"ApproximateReceiveCount": message.received + 1, "SentTimestamp": int(1000 * message.sent_at)}
    return {
        "messageId": message.ident,
        "receiptHandle": message.ident,
        "body": message.text,
        "attributes": {name: str(value) for name, value in times.items()},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }
