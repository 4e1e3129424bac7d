"""Play a case, and keep all that can be seen from outside when everything has settled."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sandbox import story
from sandbox.aws.boundary import Call, caller, invoked_with
from sandbox.aws.execution_history import history
from sandbox.aws.lambda_rules import Routing
from sandbox.aws.stack import client
from sandbox.scenario import Scenario
from sandbox.world import STARTED_AT, World
from tests.chaos.case import Case
from tidegate.ending.outcome import Outcome

#: Our events that say how a rollout ended, with the outcome that each one says.
ENDS: Mapping[str, str] = {
    "RolloutPromoted": "promoted",
    "RolloutUnchanged": "unchanged",
    "RolloutRolledBack": "rolled_back",
    "RolloutRejected": "rejected",
    "RolloutInterrupted": "interrupted",
    "RollbackFailed": "rollback_failed",
}
#: By whom a write is that Lambda makes unasked, when it hands traffic over to what is provisioned.
LAMBDA_ITSELF = "Lambda itself"
#: The rollout that a handler was last busy with, where its event names none: the one whose lock or books it asked for.
_busy_with: ContextVar[str | None] = ContextVar("busy_with", default=None)


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution as Step Functions tells it. Moments are seconds from the first StartExecution.

    One that was redriven has several ends: how it ended is the last one's word, and all of them were `told`.
    """

    arn: str
    started_at: float
    ended_at: float | None
    status: str | None
    error: str | None
    cause: str | None
    output: Mapping[str, Any]
    entered: tuple[tuple[float, str], ...]
    request: Any
    locked: bool
    history: tuple[Mapping[str, Any], ...]
    told: tuple[str, ...]
    task_errors: tuple[str, ...]

    @property
    def last_state(self) -> str:
        """The state in which it ended."""
        return self.entered[-1][1] if self.entered else "no state"

    @property
    def outcome(self) -> str | None:
        """How it ended by its own word; None where it was stopped, timed out, or failed under a foreign name."""
        if self.status == "SUCCEEDED":
            return str(self.output["outcome"])
        return Outcome.of_error(self.error) if self.status == "FAILED" else None


@dataclass(frozen=True, slots=True)
class Write:
    """One write of the alias that took effect, also one that changed nothing. `by` is the handler that made it.

    `foreign`: neither a handler of ours nor Lambda did; `partial`: he said nothing of weights, so that those that were
    there stay. `serves` is the execution that the handler worked for; `holder` had the lock then, and is being
    `restored` where its lock says so. A weight of 0 is none.
    """

    at: float
    routing: Routing
    foreign: bool
    by: str | None = None
    partial: bool = False
    serves: str | None = None
    holder: str | None = None
    restored: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A word of somebody's as a lock took it, about the execution that held the lock then."""

    at: float
    execution_arn: str
    word: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """What an execution wrote into its lock before a forward write; `step` is None where that is the promotion."""

    at: float
    execution_arn: str
    step: int | None


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything about one case. `outcome` is the story's; `commands_told` are the executions of which an event told
    the command to run; `failed` names the calls of handlers that failed; `answers` is what commands were answered.
    """

    outcome: str
    executions: tuple[Execution, ...]
    initial: Routing | None
    final: Routing | None
    writes: tuple[Write, ...]
    locks: tuple[Mapping[str, Any], ...]
    commands_told: tuple[str, ...]
    dead_letters: tuple[str, ...]
    failed: tuple[str, ...]
    calls: tuple[Call, ...]
    said: tuple[Said, ...]
    stored: tuple[Stored, ...]
    answers: tuple[Mapping[str, Any], ...]
    traffic: Mapping[str, int]
    settled: bool
    seconds: float
    deleted: tuple[float, ...] = ()

    @property
    def moves(self) -> tuple[tuple[Routing | None, Write], ...]:
        """The writes after which the alias serves otherwise than before, each with what it served before."""
        before = [self.initial, *(write.routing for write in self.writes)]
        return tuple((was, write) for was, write in zip(before, self.writes, strict=False) if was != write.routing)

    @property
    def moved_by_others(self) -> bool:
        """Whether somebody else moved the alias, or deleted it; a description moves nothing."""
        return bool(self.deleted) or any(write.foreign for _, write in self.moves)


class _Witness:
    """Stands in a world and writes down what is gone when it has ended."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: list[Call] = []
        self.writes: list[Write] = []
        self.deleted: list[float] = []
        self.locked: set[str] = set()
        self.said: dict[str, Said] = {}
        self.stored: list[Stored] = []
        self._holder: str | None = None
        self._restored: set[str] = set()
        self._asked: Mapping[str, Any] | None = None
        self._before = False
        world.boundary.listen(self._called)
        world.boundary.correct("lambda.*Alias", self._ask_lambda)
        world.boundary.correct("lambda.DeleteFunction", self._ask_lambda)
        world.boundary.correct("dynamodb.UpdateItem", self._update_item)
        world.boundary.correct("dynamodb.DeleteItem", self._release)
        world.boundary.correct("dynamodb.TransactWriteItems", self._release)
        world.lambda_rules.on_alias_change(self._alias_written)

    def _called(self, call: Call) -> None:
        """Told in the handler's own context, which whatever it sends after inherits."""
        self.calls.append(call)
        if call.name == "dynamodb.UpdateItem" and ":why" in call.params.get("ExpressionAttributeValues", {}):
            _busy_with.set(call.params["ExpressionAttributeValues"][":me"]["S"])
        elif call.name == "dynamodb.GetItem":
            kind, _, rest = call.params["Key"].get("record", {}).get("S", "").partition("#")
            if kind == "history":
                _busy_with.set(self._named(rest.partition("#")[2]))

    def _named(self, name: str) -> str | None:
        return next((arn for arn in self.world.executions if arn.endswith(f":{name}")), None)

    def _ask_lambda(self, params: Mapping[str, Any], proceed: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        self._asked, self._before = params, False
        try:
            return proceed()
        finally:
            self._asked = None

    def _alias_written(self, *alias: str) -> None:
        """Told before each write and after it."""
        self._before = not self._before
        target = self.world.target
        if self._before or alias != (target.function_name, target.alias_name):
            return
        routing, by = serving(self.world.routing), caller.get()
        if routing is None:
            self.deleted.append(self._now())
            return
        itself = by is None and self._asked is None
        self.writes.append(
            Write(
                self._now(),
                routing,
                foreign=by is None and not itself,
                by=LAMBDA_ITSELF if itself else by,
                partial=by is None and "RoutingConfig" not in (self._asked or ()),
                serves=_served() if by else None,
                holder=self._holder,
                restored=self._holder in self._restored,
            )
        )

    def _update_item(self, params: Mapping[str, Any], proceed: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A write that took effect, whether the handler heard of it or not."""
        response = proceed()
        values = params.get("ExpressionAttributeValues", {})
        if params["Key"].get("record", {}).get("S") == "lock" and ":me" in values:
            self._lock_written(values[":me"]["S"], values)
        return response

    def _release(self, params: Mapping[str, Any], proceed: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Whoever deletes the lock, alone or with the books."""
        response = proceed()
        deletes = [action["Delete"] for action in params.get("TransactItems", ()) if "Delete" in action]
        keys = [params["Key"]] if "Key" in params else [delete["Key"] for delete in deletes]
        if any(key.get("record", {}).get("S") == "lock" for key in keys):
            self._holder = None
        return response

    def _lock_written(self, arn: str, values: Mapping[str, Any]) -> None:
        handler = caller.get()
        if ":why" in values:
            self._restored.add(arn)
        if ":started" in values and self._holder != arn:
            self._holder = arn
            self._restored.discard(arn)
        if handler == "plan_rollout":
            self.locked.add(arn)
        elif handler == "command" and ":said" in values:
            word = json.loads(values[":said"]["L"][-1]["S"])
            self.said.setdefault(word["id"], Said(self._now(), arn, word))
        elif handler == "shift_traffic" and ":step" in values:
            self.stored.append(Stored(self._now(), arn, int(values[":step"]["N"])))
        elif handler == "promote" and ":promoting" in values:
            self.stored.append(Stored(self._now(), arn, None))

    def _now(self) -> float:
        return _since_start(self.world.clock.now())


def serving(routing: Routing | None) -> Routing | None:
    """A routing without the weights that send nothing anywhere."""
    return routing and (routing[0], {version: weight for version, weight in routing[1].items() if weight > 0})


def _served() -> str | None:
    """The execution that the handler that runs works for."""
    event = json.loads(invoked_with.get() or b"null")
    event = event if isinstance(event, dict) else {}
    named = (event.get("plan") or {}).get("execution_arn") or event.get("detail", {}).get("executionArn")
    arn: str | None = named or _busy_with.get() or event.get("execution_arn")
    return arn


def observe(case: Case) -> Observation:
    """Play a case until everything has settled.

    Raises:
        ScenarioInvalid: it is no scenario.
    """
    with World(Scenario.of(case.scenario), case.request, case.seed) as world:
        witness = _Witness(world)
        initial = serving(world.routing)
        arn = world.start()
        end = world.follow(arn)
        world.settle()
        told = story.tell(world, arn, end, 0.0)
        records = story.ledger_records(world)
        ends = [event for event in world.eventbridge.put if event["detail-type"] in ENDS]
        letters = tuple(_dead_letters())
        return Observation(
            outcome=told.outcome,
            executions=tuple(_execution(world, witness, records, ends, each) for each in world.executions),
            initial=initial,
            final=serving(world.routing),
            writes=tuple(witness.writes),
            locks=tuple(record for record in records if record["record"] == "lock"),
            commands_told=tuple(
                str(event["detail"].get("execution_arn"))
                for event in ends
                if "aws lambda update-alias" in str(event["detail"].get("cause"))
            ),
            dead_letters=letters,
            failed=tuple(call.name for call in witness.calls if call.error),
            calls=tuple(witness.calls),
            said=tuple(witness.said.values()),
            stored=tuple(witness.stored),
            answers=tuple(world.answers),
            traffic=dict(told.traffic),
            settled=world.clock.idle(),
            seconds=_since_start(world.clock.now()),
            deleted=tuple(witness.deleted),
        )


def _since_start(at: float) -> float:
    return round(at - STARTED_AT, 2)


def _execution(
    world: World, witness: _Witness, records: list[dict[str, Any]], ends: list[dict[str, Any]], arn: str
) -> Execution:
    events, end = history(arn), world.executions[arn]
    return Execution(
        arn=arn,
        started_at=_since_start(events[0]["timestamp"].timestamp()),
        ended_at=_since_start(end.at) if end else None,
        status=end.status if end else None,
        error=end.error if end else None,
        cause=end.cause if end else None,
        output=json.loads(end.output) if end and end.output else {},
        entered=tuple(
            (_since_start(event["timestamp"].timestamp()), event["stateEnteredEventDetails"]["name"])
            for event in events
            if event["type"].endswith("StateEntered")
        ),
        request=json.loads(events[0]["executionStartedEventDetails"]["input"]),
        locked=arn in witness.locked,
        history=tuple(
            record for record in records if record["record"].startswith("history#") and record["execution_arn"] == arn
        ),
        told=tuple(ENDS[event["detail-type"]] for event in ends if event["detail"].get("execution_arn") == arn),
        task_errors=tuple(
            str(event["taskFailedEventDetails"]["error"]) for event in events if event["type"] == "TaskFailed"
        ),
    )


def _dead_letters() -> list[str]:
    """What lies in the queues of the stack."""
    sqs = client("sqs")
    letters = []
    for url in sqs.list_queues().get("QueueUrls", []):
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        letters += [message["Body"] for message in answer.get("Messages", [])]
    return letters
