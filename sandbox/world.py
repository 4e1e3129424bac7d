"""One AWS account on this machine: the deployed stack, a target with callers, and all that a scenario does to them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self
from weakref import WeakKeyDictionary

from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox import scenario as scenarios
from sandbox import timeline
from sandbox.aws import faults, shortcuts, threads
from sandbox.aws.alarm_rule import ALARM_ARN
from sandbox.aws.boundary import Boundary
from sandbox.aws.callers import Callers
from sandbox.aws.clock import Clock
from sandbox.aws.cloudwatch import MINUTE_SECONDS, CloudWatch
from sandbox.aws.dynamodb_rules import DynamoDbRules
from sandbox.aws.embedded_metrics import EmbeddedMetrics
from sandbox.aws.event_sources import EventSources
from sandbox.aws.eventbridge import EventBridge
from sandbox.aws.iam import Iam
from sandbox.aws.interpreter import Interpreter
from sandbox.aws.lambda_rules import LambdaRules, Routing
from sandbox.aws.quotas import Quotas
from sandbox.aws.runtime import Runtime
from sandbox.aws.snapshot import Snapshot
from sandbox.aws.stack import Stack, Template, client
from sandbox.behaviour import Behaviour
from sandbox.cloudformation import AliasStack, Declared
from sandbox.durable import DurableExecutions
from sandbox.hooked import Hooked
from sandbox.member import Member
from sandbox.scenario import Scenario
from sandbox.scenario_quotas import bucket
from sandbox.target import Target, candidate_of, create_alarms, create_target, set_alarm, store_profiles
from sandbox.traffic import Traffic, TrafficCounts

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
#: What somebody who deploys must choose; every other parameter has a default.
PARAMETERS: Mapping[str, str] = {"FunctionNamePattern": "*"}
#: StartExecution is on a whole minute; the stack was deployed at none, so schedules do not tick at whole ones.
STARTED_AT = datetime(2026, 1, 5, 12, 0, tzinfo=UTC).timestamp()
DEPLOYED_AT = STARTED_AT - 83
#: Whatever no event reported is the sweeper's, which looks every minute. Handlers in flight and events on their way are
#: waited for beside, so a few looks are enough.
SWEEPS_SECONDS = 3 * MINUTE_SECONDS
#: Nothing that follows a rollout takes this long; what does is broken, and is not waited for.
PATIENCE_SECONDS = 6 * 3600

_ENDS = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})
#: What somebody does to the alias, or has a state machine do.
_INTERVENTIONS = (
    timeline.UpdateAlias,
    timeline.DescribeAlias,
    timeline.DeleteAlias,
    timeline.DeleteFunction,
    timeline.StartExecution,
    timeline.Redrive,
)


#: The rooms of our package that may keep something of a process.
_KEEPING = frozenset({"application", "aws", "cli", "terminal", "views"})

#: What deploying a template left, in an account that was empty at `DEPLOYED_AT`.
_DEPLOYED: WeakKeyDictionary[Template, Snapshot] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class End:
    """How an execution ended: `at` in epoch seconds, the rest as Step Functions reports it."""

    at: float
    status: str
    output: str | None
    error: str | None
    cause: str | None


class World:
    """A context manager: inside, boto3 talks to this account only, and time is virtual.

    `beside` are requests for other functions, each made as the scenario says and with callers of its own; they are
    started together with the first one. `members` are all of them, the first one before the others: what people do is
    done to it, and the scenario's alarms watch it.

    `routings` and `alarm_changes` keep what happened, each with its moment: the target's alias after every change,
    and every alarm's new state. `served` are the callers' requests up to the rollout's end, or, where that left the
    alias between two versions, up to the moment at which a guard put it right. `refused` holds what AWS refused to
    somebody of the timeline, `answers` what its commands were answered, `intervened_at` every moment at which somebody
    of the timeline started or redrove an execution or wrote to the alias, and `spoken` what people were told, as
    sentences. `hooked.told` is what the scenario's functions were told.
    """

    def __init__(
        self,
        scenario: Scenario,
        request: object = None,
        seed: int = 0,
        template: Path = TEMPLATE,
        parameters: Mapping[str, str] | None = None,
        beside: Sequence[object] = (),
    ) -> None:
        _require_handlers(scenario, template.parent / "functions")
        _require_other_names(scenario, Target.named_by(request, scenario.profiles).function_name)
        self.scenario = scenario
        self.request = request
        self.seed = seed
        self.target = Target.named_by(request, scenario.profiles)
        self.clock = Clock(datetime.fromtimestamp(STARTED_AT - 2 * MINUTE_SECONDS, UTC))
        plagues = _faults(scenario)
        quotas = Quotas(self.clock, {call: bucket(said) for call, said in scenario.quotas.items()})
        self.boundary = Boundary(self.clock, plagues, quotas=quotas)
        self.runtime = Runtime(self.clock, self.boundary, plagues, template.parent / "functions", keeps_nothing)
        self.eventbridge = EventBridge(self.clock, self.boundary, self.runtime, plagues, seed)
        self.cloudwatch = CloudWatch(self.clock, scenario.metric_delay_seconds, self._alarm_changed)
        printed = EmbeddedMetrics(self.runtime.logs, self.cloudwatch.put_metric_data)
        self.cloudwatch.before_read(printed.catch_up)
        self.lambda_rules = LambdaRules(self.boundary, self.clock)
        self.runtime.know_aliases(self.lambda_rules.routing)
        EventSources(self.boundary, self.clock)
        Callers(self.boundary)
        self._dynamodb_rules = DynamoDbRules(self.boundary, self.clock, plagues.stale_seconds("dynamodb"))
        AliasStack(self.boundary, self.target, Declared.by(scenario, self.target))
        self.interpreter = Interpreter(self.clock, self._execution_changed, seed)
        # The tightest pattern there is: one name, without a wildcard that would speak of versions too.
        pattern = "*" if beside else self.target.function_name
        parameters = {"FunctionNamePattern": pattern, **(parameters or {})}
        if scenario.functions:
            parameters["HookFunctionNamePattern"] = "*"
        self.stack = Stack(Template.load(template, parameters), self.runtime, self.eventbridge)
        self.durable = self._durable(seed)
        self.members = tuple(self._member(asked, number) for number, asked in enumerate((request, *beside)))
        self._by_target = {member.target: member for member in self.members}
        self.traffic, self.routings = self.members[0].traffic, self.members[0].routings
        self.hooked = Hooked(self.clock)
        self.alarm_changes: list[tuple[float, str, str]] = []
        self.executions: dict[str, End | None] = {}
        self.served: TrafficCounts = self.traffic.counts
        self.refused: list[str] = []
        self.answers: list[dict[str, Any]] = []
        self.spoken: list[tuple[float, str]] = []
        self.intervened_at: list[float] = []
        self._installed = ExitStack()

    # --- Building it --------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        with ExitStack() as installing:
            # The session outlives one world: loading the services' models anew would cost more than a whole rollout.
            config: Any = {
                "core": {"reset_boto3_session": False},
                "lambda": {"use_docker": False},
                "stepfunctions": {"execute_state_machine": True},
            }
            installing.enter_context(shortcuts.installed())
            installing.enter_context(mock_aws(config=config))
            installing.enter_context(_seeded(f"world {self.seed}"))
            installing.enter_context(self.clock)
            installing.enter_context(threads.installed(self.clock))
            installing.enter_context(self.boundary.installed())
            installing.enter_context(self.interpreter.installed())
            installing.enter_context(self._dynamodb_rules.installed())
            self.cloudwatch.serve(self.boundary)
            self.interpreter.serve(self.boundary)
            self.boundary.serve("cloudformation.DescribeStacks", self.stack.describe)
            self._build()
            self._installed = installing.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._installed.__exit__(kind, error, trace)
        self.runtime.retire()

    def _build(self) -> None:
        self.clock.sleep(DEPLOYED_AT - self.clock.now())
        self._deploy()
        self.iam = Iam(self.stack)
        self.boundary.require(self.iam.check)
        for member in self.members:
            self._create(member)
        store_profiles(self.scenario.profiles)
        self.hooked.create(self.scenario.functions, self.runtime)
        create_alarms(self.target, self.scenario.alarms, candidate_of(self.scenario, self.request))
        self.lambda_rules.on_alias_change(self._alias_changes)
        for member in self.members:
            member.routings.append((STARTED_AT, member.routing()))
        self.clock.sleep(STARTED_AT - self.clock.now())
        for member in self.members:
            member.traffic.start(STARTED_AT)
        self.cloudwatch.start(STARTED_AT)

    def _create(self, member: Member) -> None:
        name = member.target.function_name
        create_target(member.target, self.scenario, self.lambda_rules)
        self.runtime.route(name, member.traffic.answer)
        self.lambda_rules.provisioned_concurrency.set_initialisation(name, member.traffic.initialises)

    def _deploy(self) -> None:
        """Deploy the stack: by its calls the first time, and then as those left everything that they fill."""
        filled: tuple[tuple[Any, tuple[str, ...]], ...] = (
            (self.boundary, ("_requests",)),
            (self.lambda_rules, ("_functions", "_past_aliases", "_past_configurations", "_revisions")),
            (self.cloudwatch.alarms, ("_alarms", "_history")),
        )
        template = self.stack.template
        if template not in _DEPLOYED:
            self.stack.deploy()
            left = [{name: getattr(holder, name) for name in names} for holder, names in filled]
            _DEPLOYED[template] = Snapshot.of((left, self.stack.created))
            return
        left, created = _DEPLOYED[template].restore()
        for (holder, _), attributes in zip(filled, left, strict=True):
            vars(holder).update(attributes)
        self.stack.restore(created)

    def _member(self, request: object, number: int) -> Member:
        """A target and its callers, whose requests are no other target's."""
        target = Target.named_by(request, self.scenario.profiles)
        routing = partial(self.lambda_rules.routing, target.function_name, target.alias_name)
        # The first one's numbers are the seed's own.
        seed = self.seed if number == 0 else Random(f"{self.seed} member {number}").getrandbits(32)
        return Member(request, target, self._traffic(target, routing, seed), routing)

    def _traffic(self, target: Target, routing: Callable[[], Routing | None], seed: int) -> Traffic:
        scenario = self.scenario
        return Traffic(
            self.clock,
            self.cloudwatch,
            routing,
            target.function_name,
            target.alias_name,
            requests_per_minute=scenario.requests_per_minute,
            stable=Behaviour.of(scenario.stable),
            candidate=Behaviour.of(scenario.candidate),
            bursts=scenario.bursts,
            day_before=scenario.day_before,
            shared_outage=scenario.shared_outage,
            throttles=scenario.throttles,
            replay=scenario.replay,
            metrics=scenario.metrics,
            durable=self.durable,
            seed=seed,
        )

    def _durable(self, seed: int) -> DurableExecutions | None:
        made = self.scenario.function
        if not made.durable:
            return None
        return DurableExecutions(
            self.clock,
            self.boundary,
            self.eventbridge,
            self.target.function_name,
            seconds=made.execution_seconds,
            replays=made.replays,
            seed=seed,
        )

    # --- Living in it -------------------------------------------------------------------------------------------------

    @property
    def state_machine_arn(self) -> str:
        """The state machine that rolls out."""
        (machine,) = self.stack.of_kind("AWS::StepFunctions::StateMachine").values()
        return machine.ref

    @property
    def table_name(self) -> str:
        """The ledger's table."""
        (table,) = self.stack.of_kind("AWS::DynamoDB::Table").values()
        return table.ref

    @property
    def routing(self) -> Routing | None:
        """The target's alias as it is now: its version and its weights, 0 to 1; None where it does not exist."""
        return self.lambda_rules.routing(self.target.function_name, self.target.alias_name)

    @property
    def stable(self) -> str:
        """The version that the alias pointed to before the rollout."""
        return self.scenario.alias.function_version

    def update_stack(self, parameters: Mapping[str, str]) -> None:
        """Somebody deploys the stack once more, with other values for some parameters and nothing else."""
        self.stack.update(parameters)
        self.iam.read(self.stack)

    def start(self) -> str:
        """Start the rollout, and with it the scenario's timeline; the execution's ARN."""
        arn = self._start_execution(self.request)
        for member in self.members[1:]:
            self._start_execution(member.request)
        for action in self.scenario.timeline:
            self.clock.spawn(self._act(action, arn), action.do, delay=action.at_second)
        for number, version in self.scenario.versions.items():
            if version.from_second:
                turn = partial(
                    self.lambda_rules.set_version_state, self.target.function_name, number, version.state, None
                )
                self.clock.spawn(turn, f"version {number} is {version.state}", delay=version.from_second)
        return arn

    def _start_execution(self, request: object) -> str:
        name = f"story-{len(self.executions) + 1}"
        started = client("stepfunctions").start_execution(
            stateMachineArn=self.state_machine_arn, name=name, input=json.dumps(request, allow_nan=False)
        )
        arn: str = started["executionArn"]
        self.executions.setdefault(arn, None)
        return arn

    def follow(self, arn: str) -> End:
        """Let time pass until an execution has ended.

        Raises:
            RuntimeError: nothing is left that could end it.
        """
        self.clock.run(until=lambda: self.executions[arn] is not None or self.clock.idle())
        end = self.executions[arn]
        if end is None:
            raise RuntimeError(f"Nothing moves {arn} any more, and it has not ended")
        return end

    def settle(self) -> None:
        """Let time pass until nothing is left to happen but traffic and schedules, and the sweeper has looked.

        It looks after the last end of all, and after the last call that came late: another execution may run on when
        the first one has ended, and a call be on the wire longer than all.
        """
        limit = self.clock.now() + PATIENCE_SECONDS

        def settled() -> bool:
            ends = (end.at for end in self.executions.values() if end is not None)
            last = max([*ends, self.boundary.arrived_late_at])
            return self.clock.idle() and self.clock.now() >= last + SWEEPS_SECONDS

        self.clock.run(until=settled, limit=limit)

    def _act(self, action: timeline.Action, arn: str) -> Callable[[], None]:
        """What one entry of the timeline does. What AWS refuses to somebody else is no fault of the story."""

        def act() -> None:
            if isinstance(action, _INTERVENTIONS):
                self.intervened_at.append(self.clock.now())
            try:
                self._perform(action, arn)
            except ClientError as error:
                self.refused.append(f"{action.do}: {error}")
                self.spoken.append((self.clock.now(), self.refused[-1]))

        return act

    def _perform(self, action: timeline.Action, arn: str) -> None:
        if isinstance(action, timeline.StopExecution):
            client("stepfunctions").stop_execution(executionArn=arn)
        elif isinstance(action, timeline.SetAlarm):
            set_alarm(action.name, action.state)
        elif isinstance(action, timeline.StartExecution):
            self._start_execution(self.request if action.request is None else action.request)
        elif isinstance(action, timeline.Redrive):
            client("stepfunctions").redrive_execution(executionArn=arn)
        elif isinstance(action, timeline.DeleteFunction):
            client("lambda").delete_function(FunctionName=self.target.function_name)
        elif isinstance(action, timeline.DeleteVersion):
            client("lambda").delete_function(FunctionName=self.target.function_name, Qualifier=action.version)
        elif isinstance(action, timeline.Command):
            self._command(action)
        else:
            self._write_alias(action)

    def _command(self, action: timeline.Command) -> None:
        said = {key: getattr(action, key) for key in ("command", "author", "reason", "rollout_id")}
        event = {**said, "function_name": self.target.function_name, "alias_name": self.target.alias_name}
        response = client("lambda").invoke(
            FunctionName=self.stack.outputs()["CommandFunctionArn"], Payload=json.dumps(event)
        )
        answer = json.loads(response["Payload"].read())
        self.answers.append(answer)
        message = answer.get("message") or f"{answer.get('errorType')}: {answer.get('errorMessage')}"
        self.spoken.append((self.clock.now(), f"{action.command}: {message}"))

    def _write_alias(self, action: timeline.UpdateAlias | timeline.DescribeAlias | timeline.DeleteAlias) -> None:
        alias: dict[str, Any] = {"FunctionName": self.target.function_name, "Name": self.target.alias_name}
        if isinstance(action, timeline.DeleteAlias):
            client("lambda").delete_alias(**alias)
            return
        if isinstance(action, timeline.DescribeAlias):
            alias["Description"] = action.description
        else:
            if action.function_version is not None:
                alias["FunctionVersion"] = action.function_version
            if action.weights is not None:
                alias["RoutingConfig"] = {"AdditionalVersionWeights": dict(action.weights)}
        client("lambda").update_alias(**alias)

    # --- What it is told ----------------------------------------------------------------------------------------------

    def _alias_changes(self, function_name: str, alias_name: str) -> None:
        """Before a write of an alias takes effect, and after: callers until now met the routing until now."""
        member = self._by_target.get(Target(function_name, alias_name))
        if member is None:
            return
        before = member.note(self.clock.now())
        if member is self.members[0] and before and before[1] and all(self.executions.values()):
            self.served = self.traffic.counts

    def _alarm_changed(self, detail: dict[str, Any]) -> None:
        if self.clock.now() < STARTED_AT:
            return
        name = detail["alarmName"]
        self.alarm_changes.append((self.clock.now(), name, detail["state"]["value"]))
        self.eventbridge.deliver("aws.cloudwatch", "CloudWatch Alarm State Change", detail, "alarm", [ALARM_ARN + name])

    def _execution_changed(self, detail: dict[str, Any]) -> None:
        arn, status = detail["executionArn"], detail["status"]
        if status in _ENDS:
            if arn == next(iter(self.executions), arn):
                self.traffic.catch_up(self.clock.now())
                self.served = self.traffic.counts
            outcome = (detail.get(key) for key in ("output", "error", "cause"))
            self.executions[arn] = End(self.clock.now(), status, *outcome)
        elif arn in self.executions:
            self.executions[arn] = None  # redriven
        self.eventbridge.deliver("aws.states", "Step Functions Execution Status Change", detail, "execution", [arn])


def keeps_nothing(module: str) -> bool:
    """Whether it is a module of the rooms that know no clock, no environment and no account (docs/how-it-works.md)."""
    package, _, rest = module.partition(".")
    return package == "tidegate" and bool(rest) and rest.partition(".")[0] not in _KEEPING


@contextmanager
def _seeded(seed: str) -> Iterator[None]:
    """Make the shared random numbers a story's own: botocore draws the jitter of its back-off from them."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


def _require_handlers(scenario: Scenario, functions: Path) -> None:
    """Every handler that a fault names is one: a module beside the others that has a handler."""
    refused = [
        f"faults.{index}.handler: there is no handler {fault.handler!r}; one is called check_health"
        for index, fault in enumerate(scenario.faults)
        if isinstance(fault, scenarios.HandlerFault) and not _has_handler(functions / f"{fault.handler}.py")
    ]
    if refused:
        raise scenarios.ScenarioInvalid(refused)


def _has_handler(module: Path) -> bool:
    return module.is_file() and "def handler(" in module.read_text(encoding="utf-8")


def _require_other_names(scenario: Scenario, target: str) -> None:
    if target in {function.name for function in scenario.functions}:
        raise scenarios.ScenarioInvalid([f"functions: {target!r} is the rollout's own target"])


def _faults(scenario: Scenario) -> faults.Faults:
    calls, handlers, events = [], [], []
    for fault in scenario.faults:
        if isinstance(fault, scenarios.CallFault):
            calls.append(faults.CallFault(fault.call, fault.error, fault.times, fault.skip, fault.seconds or 0.0))
        elif isinstance(fault, scenarios.HandlerFault):
            handlers.append(faults.HandlerFault(fault.handler, fault.error, fault.times, fault.skip))
        else:
            events.append(faults.EventFault(fault.event, fault.error, fault.seconds or 0.0, fault.times, fault.skip))
    return faults.Faults(calls, handlers, events)
