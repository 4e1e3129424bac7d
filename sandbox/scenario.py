"""What the world around a rollout does: how both versions behave, what alarms watch, what breaks, and when.

A scenario is one JSON object, every key optional, unknown keys refused. Times are seconds from StartExecution,
rates are fractions of 1, durations are milliseconds.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, TypeAdapter, ValidationError
from pydantic import model_validator as validator

from sandbox import scenario_calls
from sandbox.aws.alarm_rule import AlarmState
from sandbox.aws.faults import STALE_CALLS
from sandbox.aws.settings import Setting
from sandbox.aws.shapes import (
    AlarmName,
    Comparison,
    Count,
    MissingDataTreatment,
    Name,
    Qualifier,
    Second,
    VersionNumber,
    Weights,
    shape,
)
from sandbox.scenario_keys import nearest
from sandbox.scenario_metrics import Metric, told_twice
from sandbox.scenario_quotas import Quotas
from sandbox.scenario_traffic import (
    LONGEST_TIMEOUT_SECONDS,
    SERVED,
    Bursts,
    DayBefore,
    Outage,
    ReplayMinute,
    RequestsPerMinute,
    Throttles,
    Version,
)
from sandbox.scenario_words import place_in_words, plain
from sandbox.timeline import Action, UpdateAlias
from tidegate import json_text
from tidegate.json_text import Unreadable
from tidegate.terminal import documents

SHIPPED = Path(__file__).parent / "scenarios"


class ScenarioInvalid(Exception):
    """A scenario cannot be used; `reasons` holds every reason, each one sentence naming its place."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("The scenario cannot be used: " + "; ".join(reasons))
        self.reasons = reasons


@shape
class VersionState:
    """What Lambda says of a published version, from a second of the rollout on: until then it is Active. An invocation
    of an Inactive one fails, and has it made ready again.
    """

    state: Literal["Pending", "Active", "Inactive", "Failed"] = "Active"
    from_second: Second = 0


@shape
class Publish:
    """What there is to publish: other code in $LATEST by default, `changed` settings beside it, or without it."""

    unchanged: bool = False
    changed: tuple[Setting, ...] = ()
    code: bool = True
    last_update_status: Literal["Successful", "Failed", "InProgress"] | None = None

    @validator(mode="after")
    def _possible(self) -> Self:
        if self.unchanged and self.changed:
            raise ValueError('unchanged, and yet settings are changed: say "code": false where those alone are')
        return self

    @property
    def new_code(self) -> bool:
        """Whether the code of $LATEST is another one."""
        return self.code and not self.unchanged


@shape
class Stack:
    """The CloudFormation stack that has the alias, and what its template says of the alias's version."""

    name: Name
    function_version: str | dict[str, Any]


@shape
class StackTemplate:
    """The stack that has the alias, by its whole template, which declares one `AWS::Lambda::Alias` at least."""

    format: Literal["json", "yaml"]
    template: Name
    name: Name = "shop"


@shape
class EventSource:
    """What Lambda polls to invoke the alias, a batch at a time."""

    type: Literal["sqs", "kinesis", "dynamodb"]
    partial_batch_responses: bool = False


@shape
class TargetFunction:
    """How the target is made. Without `timeout_seconds` it is as Lambda has it, or as long as a candidate hangs.

    Of a `durable` one each request starts an execution of `execution_seconds`, which is invoked `replays` times again.
    """

    timeout_seconds: Annotated[int, Field(ge=1, le=LONGEST_TIMEOUT_SECONDS)] | None = None
    package_type: Literal["Zip", "Image"] = "Zip"
    durable: bool = False
    execution_seconds: Annotated[float, Field(gt=0)] = 5.0
    replays: Count = 1
    capacity_provider: bool = False
    tenant_isolation: bool = False
    event_source: EventSource | None = None


@shape
class Alias:
    """The target's alias at second 0. `weights` holds at most one version, as Lambda allows; `provisioning_seconds` is
    how long Lambda takes to make its provisioned concurrency ready on another version.
    """

    exists: bool = True
    function_version: Qualifier = "1"
    weights: Weights = Field(default_factory=dict)
    provisioned_concurrency: Annotated[int, Field(ge=1)] | None = None
    provisioning_seconds: Annotated[float, Field(ge=0)] | None = None
    stack: Stack | None = None

    @validator(mode="after")
    def _possible(self) -> Self:
        if self.function_version in self.weights:
            raise ValueError("weights name the version that the alias points to")
        if self.weights and self.function_version == "$LATEST":
            raise ValueError("an alias on $LATEST takes no weights")
        return self


@shape
class MetricAlarm:
    """An alarm on one of Lambda's metrics: the alias's, the whole function's, or, of the alias, the candidate's own."""

    name: AlarmName
    metric: Name = "Errors"
    comparison: Comparison = "GreaterThanThreshold"
    threshold: float = 5.0
    statistic: Name = "Sum"
    period_seconds: Annotated[int, Field(ge=60, multiple_of=60)] = 60
    evaluation_periods: Annotated[int, Field(ge=1)] = 1
    datapoints_to_alarm: Annotated[int, Field(ge=1)] | None = None
    on: Literal["alias", "function", "candidate"] = "alias"
    state: AlarmState = "OK"
    treat_missing_data: MissingDataTreatment = "missing"

    @validator(mode="after")
    def _within(self) -> Self:
        if (self.datapoints_to_alarm or 1) > self.evaluation_periods:
            raise ValueError("datapoints_to_alarm is more than evaluation_periods")
        return self


@shape
class CompositeAlarm:
    """An alarm whose rule speaks of other alarms."""

    name: AlarmName
    rule: Name
    state: AlarmState = "OK"


@shape
class Function:
    """A function beside the target, such as a hook: `answers` are used in turn instead of `answer`, the last one holds
    on. With `error` it fails, with that message. Its version 1 is published.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    answer: Any = None
    answers: tuple[Any, ...] = ()
    error: Name | None = None
    duration_ms: Second = 100


#: What SSM keeps under /tidegate/profiles/: a text as it is, anything else as JSON.
Profiles = dict[Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_.-]{1,100}$")], Any]
Times = Annotated[int, Field(ge=1)] | Literal["always"]


@shape
class CallFault:
    """Attempts at an AWS call go wrong; `call` is `service.Operation` and may hold wildcards."""

    call: Annotated[str, StringConstraints(pattern=r"^[a-z0-9*?-]+(\.[A-Za-z0-9*?]+)?$")]
    error: Name
    times: Times = 1
    skip: Count = 0
    seconds: Second | None = None

    @validator(mode="after")
    def _for_how_long(self) -> Self:
        if self.error in {"held", "slow", "stale"} and self.seconds is None:
            raise ValueError(f"{self.error} needs seconds")
        return self

    @validator(mode="after")
    def _of_a_read(self) -> Self:
        if self.error == "stale" and not any(fnmatchcase(call, self.call) for call in STALE_CALLS):
            raise ValueError(f"no answer to {self.call} can be stale: those to {', '.join(STALE_CALLS)} can")
        return self


@shape
class HandlerFault:
    """A handler's invocations go wrong."""

    handler: Name
    error: Literal["timeout", "crash", "throttled"]
    times: Times = 1
    skip: Count = 0


@shape
class EventFault:
    """Events of the execution's, of an alarm's, or of a durable execution's status go astray."""

    event: Literal["execution", "alarm", "durable"]
    error: Literal["lost", "duplicated", "late"]
    times: Times = 1
    skip: Count = 0
    seconds: Second | None = None

    @validator(mode="after")
    def _late_by_how_much(self) -> Self:
        if self.error == "late" and self.seconds is None:
            raise ValueError("late needs seconds")
        return self


def _alarm_kind(value: Any) -> str:
    return "<composite>" if isinstance(value, Mapping) and "rule" in value else "<metric>"


def _fault_kind(value: Any) -> str | None:
    kinds = [key for key in ("call", "handler", "event") if isinstance(value, Mapping) and key in value]
    return f"<{kinds[0]}>" if len(kinds) == 1 else None


Alarm = Annotated[
    Annotated[MetricAlarm, Tag("<metric>")] | Annotated[CompositeAlarm, Tag("<composite>")], Discriminator(_alarm_kind)
]
Fault = Annotated[
    Annotated[CallFault, Tag("<call>")]
    | Annotated[HandlerFault, Tag("<handler>")]
    | Annotated[EventFault, Tag("<event>")],
    Discriminator(
        _fault_kind,
        custom_error_type="fault_kind",
        custom_error_message="a fault has exactly one of call, handler, event",
    ),
]


@shape
class Scenario:
    """Everything that a rollout meets. Both versions' behaviours are complete here: defaults are filled in."""

    description: str = ""
    requests_per_minute: RequestsPerMinute = 600
    bursts: Bursts | None = None
    day_before: DayBefore = Field(default_factory=DayBefore)
    stable: Version = Field(default_factory=Version)
    candidate: Version = Field(default_factory=Version)
    versions: dict[VersionNumber, VersionState] = Field(default_factory=dict)
    publish: Publish = Field(default_factory=Publish)
    function: TargetFunction = Field(default_factory=TargetFunction)
    stack: StackTemplate | None = None
    alias: Alias = Field(default_factory=Alias)
    profiles: Profiles = Field(default_factory=dict)
    shared_outage: Outage | None = None
    throttles: Throttles | None = None
    replay: tuple[ReplayMinute, ...] = ()
    metric_delay_seconds: Second = 90
    metrics: tuple[Metric, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    functions: tuple[Function, ...] = ()
    timeline: tuple[Action, ...] = ()
    faults: tuple[Fault, ...] = ()
    quotas: Quotas = Field(default_factory=dict)

    @validator(mode="after")
    def _complete(self) -> Self:
        # Frozen for everybody else: this is still construction, and nobody needs the incomplete versions.
        object.__setattr__(self, "stable", self.stable.over(SERVED))
        object.__setattr__(self, "candidate", self.candidate.over(self.stable))
        return self

    @property
    def timeout_seconds(self) -> int | None:
        """The function's Timeout; None: Lambda's default. Who hangs until it strikes says how long it is."""
        hang = self.candidate.hang
        return self.function.timeout_seconds or (math.ceil(hang.seconds) if hang else None)

    @classmethod
    def from_json(cls, text: str) -> Scenario:
        """The scenario that a file's text describes; ScenarioInvalid with every reason where it describes none."""
        try:
            raw = json_text.read(text)
        except Unreadable as error:
            raise ScenarioInvalid([*error.problems] or [str(error)]) from error
        return cls.of(raw)

    @classmethod
    def of(cls, raw: object) -> Scenario:
        """The scenario that a JSON value describes, as `from_json`."""
        reasons = list(_contradictions(raw))
        try:
            scenario = TypeAdapter(cls).validate_json(json.dumps(raw))
        except ValidationError as error:
            reasons = [_reason(entry) for entry in error.errors()] + reasons
        except RecursionError as error:
            raise ScenarioInvalid(["the file: is nested too deeply"]) from error
        if reasons:
            raise ScenarioInvalid(reasons)
        return scenario

    @property
    def highest_version_named(self) -> int:
        """The highest version that the alias, an `update_alias` or `versions` names: all up to it are published
        beforehand.
        """
        named = [self.alias.function_version, *self.alias.weights, *self.versions]
        for action in self.timeline:
            if isinstance(action, UpdateAlias):
                named += [action.function_version or "1", *(action.weights or {})]
        return max((int(version) for version in named if version.isdigit()), default=1)


def _reason(entry: Mapping[str, Any]) -> str:
    """One sentence: where, and what. Tags are no places of the file's."""
    kind, place = entry["type"], entry["loc"]
    where = place_in_words([part for part in place if not _is_tag(str(part))]) or "the file"
    if kind in {"unexpected_keyword_argument", "extra_forbidden"}:
        meant = nearest(Scenario, place)
        return f"{where}: unknown key" + (f" (did you mean {meant}?)" if meant else "")
    said = plain(kind, entry["msg"], entry.get("ctx"))
    return f"{where}: {said}"


def _is_tag(part: str) -> bool:
    """Whether it is no key of the file's: this module's own are between angle brackets, pydantic's in square ones."""
    return part.startswith("<") or part == "[key]"


def _contradictions(raw: object) -> Iterator[str]:
    """What is wrong between keys. Looks at the raw file, so that it speaks up beside faults of single keys."""
    if not isinstance(raw, Mapping):
        return
    names = [alarm.get("name") for alarm in _objects(raw, "alarms")]
    yield from (f"alarms: {name!r} is there twice" for name in _repeated(names))
    called = [function.get("name") for function in _objects(raw, "functions")]
    yield from (f"functions: {name!r} is there twice" for name in _repeated(called))
    for index, action in enumerate(_objects(raw, "timeline")):
        if action.get("do") == "set_alarm" and action.get("name") not in names:
            yield f"timeline[{index}].name: no alarm is called {action.get('name')!r}"
    for index, fault in enumerate(_objects(raw, "faults")):
        if "." in str(fault.get("call")) and (why := scenario_calls.unknown(fault.get("call"))):
            yield f"faults[{index}].call: {why}"
    quotas = raw.get("quotas")
    for name in quotas if isinstance(quotas, Mapping) else ():
        if why := scenario_calls.unknown(name):
            yield f"{place_in_words(['quotas', name])}: {why}"
    if isinstance(alias := raw.get("alias"), Mapping) and alias.get("stack") and raw.get("stack"):
        yield "stack: alias.stack is another one, and an alias has one at most"
    yield from _impossible_hangs(raw)
    yield from told_twice(_objects(raw, "metrics"))
    minutes = [minute.get("t") for minute in _objects(raw, "replay")]
    yield from (f"replay: minute {minute} is there twice" for minute in _repeated(minutes))


def _impossible_hangs(raw: Mapping[str, Any]) -> Iterator[str]:
    if _inside(raw, "stable", "hang") is not None:
        yield "stable.hang: only a candidate's requests can hang"
    hangs, timeout = _inside(raw, "candidate", "hang", "seconds"), _inside(raw, "function", "timeout_seconds")
    if isinstance(hangs, int | float) and isinstance(timeout, int | float) and hangs > timeout:
        yield "candidate.hang.seconds: is more than function.timeout_seconds"


def _inside(value: Any, *keys: str) -> Any:
    """What stands under keys of objects in objects; None where nothing does."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _objects(raw: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    entries = raw.get(key)
    return [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []


def _repeated(values: list[Any]) -> list[Any]:
    """What is there more than once; a list or an object is no name, and refused as such."""
    counted = Counter(value for value in values if isinstance(value, Hashable) and value is not None)
    return [value for value, times in counted.items() if times > 1]


def shipped() -> dict[str, Scenario]:
    """The scenarios that ship, by name, in alphabetical order."""
    return {path.stem: Scenario.from_json(path.read_text(encoding="utf-8")) for path in sorted(SHIPPED.glob("*.json"))}


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False  # a name that no file can have


def find(path: Path | None) -> Scenario:
    """The scenario in a file, or the one that ships under that name; everyday traffic where none is asked for.

    Raises:
        ScenarioInvalid: there is none, or not a usable one.
    """
    if path is None:
        return Scenario.of({})
    if not _exists(path) and (named := shipped().get(str(path))):
        return named
    if path.suffix in {".yaml", ".yml"}:
        raise ScenarioInvalid([f"{documents.named(path)}: a scenario must be JSON; only a request may be YAML"])
    try:
        content = documents.taken(path, documents.MAX_SCENARIO_BYTES, "a scenario")
        return Scenario.from_json(documents.decoded(content))
    except Unreadable as error:
        why = str(error)
        if isinstance(error.__cause__, FileNotFoundError):
            why = "is neither a file nor a scenario that ships: see python -m sandbox scenarios"
        raise ScenarioInvalid([f"{documents.named(path)} {why}"]) from error
    except ScenarioInvalid as error:
        raise ScenarioInvalid([f"{documents.named(path)}: {reason}" for reason in error.reasons]) from error
