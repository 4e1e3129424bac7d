"""What a user may ask for. The only module that needs pydantic, and only plan_rollout imports it.

Every violation is reported at once, unknown keys are refused, and a value is repeated in a message only
where it cannot be a secret.
"""

from __future__ import annotations

import itertools
import re
from typing import Annotated, Any, Literal, Self

import jmespath
from jmespath.exceptions import JMESPathError, ParseError, UnknownFunctionError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from rollout import strategy, violations
from rollout.errors import RequestInvalid
from rollout.judge import Judge, Tolerance
from rollout.plan import AlarmGate, AlarmPolicy, HealthGate, InconclusivePolicy
from rollout.strategy import Step

SMALLEST = '{"function_name": "checkout", "alias_name": "live"}'
MAX_BAKE_SECONDS = 30 * 24 * 3600
MAX_SMOKE_TEST_SECONDS = 840
#: A state's input may hold 256 KiB (Step Functions Developer Guide, "Quotas"), and more ends it uncaught.
MAX_SMOKE_TEST_CHARACTERS = 100_000

_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_FUNCTION_ARN = re.compile(
    r"arn:(?P<partition>[^:]+):lambda:(?P<region>[^:]+):(?P<account>[^:]+):function:(?P<name>[^:]+)(?::(?P<qualifier>.+))?"
)
_ALIAS_NAME_PATTERN = r"^(?!\d+$)[a-zA-Z0-9_-]{1,128}$"
_ALIAS_NAME = re.compile(_ALIAS_NAME_PATTERN)


class _Or:
    """In the JSON Schema: the annotated object, or a plain value that stands for one."""

    def __init__(self, **plain_schema: Any) -> None:
        self._plain_schema = plain_schema

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [self._plain_schema, handler(schema)]}


def _violation(message: str) -> PydanticCustomError:
    return PydanticCustomError("tidegate", "{message}", {"message": message})


def _weight(value: float) -> float:
    if round(value, strategy.WEIGHT_DECIMALS) != value:
        raise _violation("has more than two decimals")
    return value


def _alias_name(value: str) -> str:
    if not _ALIAS_NAME.fullmatch(value):
        raise _violation("is not an alias name: letters, digits, '-' and '_', not digits alone")
    return value


WeightPercent = Annotated[float, Field(gt=0, le=100)]
BakeSeconds = Annotated[int, Field(ge=0, le=MAX_BAKE_SECONDS)]
IntervalSeconds = Annotated[int, Field(ge=1, le=MAX_BAKE_SECONDS)]
AliasName = Annotated[str, Field(json_schema_extra={"pattern": _ALIAS_NAME_PATTERN})]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class StepRequest(_Part):
    """One weight and how long it bakes."""

    weight: WeightPercent = Field(description="Percent of the alias's traffic for the candidate, up to two decimals.")
    bake_seconds: BakeSeconds = Field(description="How long to watch at this weight, in seconds.")

    _two_decimals = field_validator("weight")(_weight)


class CanaryStrategy(_Part):
    """One small step, then everything."""

    type: Literal["canary"]
    weight: Annotated[float, Field(gt=0, lt=100)] = Field(description="Percent for the one step before 100.")
    interval_seconds: IntervalSeconds = Field(description="How long that step bakes.")

    _two_decimals = field_validator("weight")(_weight)

    def steps(self) -> tuple[Step, ...]:
        """The steps this strategy stands for."""
        return strategy.canary(self.weight, self.interval_seconds)


class LinearStrategy(_Part):
    """Equal increments."""

    type: Literal["linear"]
    increment: WeightPercent = Field(description="Percent added at every step.")
    interval_seconds: IntervalSeconds = Field(description="How long every step before 100 % bakes.")

    _two_decimals = field_validator("increment")(_weight)

    def steps(self) -> tuple[Step, ...]:
        """The steps this strategy stands for."""
        return strategy.linear(self.increment, self.interval_seconds)


class ExponentialStrategy(_Part):
    """Growth: factor 2 gives 2, 4, 8 … 100 %."""

    type: Literal["exponential"]
    factor: Annotated[float, Field(ge=1.1, le=100)] = Field(description="The first weight, and what multiplies it.")
    interval_seconds: IntervalSeconds = Field(description="How long every step before 100 % bakes.")

    def steps(self) -> tuple[Step, ...]:
        """The steps this strategy stands for."""
        return strategy.exponential(self.factor, self.interval_seconds)


class AllAtOnceStrategy(_Part):
    """Everything at once, still watched before it is promoted."""

    type: Literal["all_at_once"]

    def steps(self) -> tuple[Step, ...]:
        """The steps this strategy stands for."""
        return strategy.all_at_once()


def _named_strategy(value: object) -> object:
    if not isinstance(value, str):
        return value
    named = strategy.parse_name(value)
    if named is None:
        raise _violation(
            f"{value[:60]!r} is no strategy: use a name such as Canary10Percent5Minutes, Linear10PercentEvery1Minute"
            ' or AllAtOnce, or an object such as {"type": "canary", "weight": 10, "interval_seconds": 300}'
        )
    return named


Strategy = Annotated[
    CanaryStrategy | LinearStrategy | ExponentialStrategy | AllAtOnceStrategy,
    Field(discriminator="type"),
    BeforeValidator(_named_strategy),
    _Or(
        type="string",
        pattern=strategy.NAME_PATTERN,
        examples=["Canary10Percent5Minutes", "Linear10PercentEvery1Minute"],
    ),
]


class AlarmRequest(_Part):
    """A CloudWatch alarm, metric or composite, that guards the rollout."""

    name: str = Field(min_length=1, max_length=255, description="The alarm's name, in this account and region.")
    if_already_firing: AlarmPolicy = Field(
        "reject",
        description="An alarm in ALARM at the start rejects the rollout, or is ignored until it has been OK once.",
    )

    @field_validator("name")
    @classmethod
    def _no_arn(cls, value: str) -> str:
        if value.startswith("arn:"):
            raise _violation("is an ARN: give the alarm's name")
        return value


Alarm = Annotated[
    AlarmRequest,
    BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value),
    _Or(type="string", minLength=1, maxLength=255),
]


class ToleranceRequest(_Part):
    """How much worse than the stable version the candidate may be."""

    max_ratio: Annotated[float, Field(ge=1, le=100)] | None = Field(
        None,
        description="So many times the stable version's rate; 1.2 for errors and 1.25 for slow requests by default.",
    )
    max_increase_percent: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None, description="And so many percentage points more; 0.1 for errors and 0.2 for slow requests by default."
    )

    def tolerance(self, default: Tolerance) -> Tolerance:
        """These bounds, the default ones where none are given."""
        given = self.max_increase_percent
        return Tolerance(
            default.max_ratio if self.max_ratio is None else self.max_ratio,
            default.max_increase if given is None else given / 100,
        )


def _unless_off(value: object) -> object:
    if value is None:
        raise _violation("must be an object, or false to turn it off")
    return {False: None, True: {}}[value] if isinstance(value, bool) else value


Tolerated = Annotated[ToleranceRequest | None, BeforeValidator(_unless_off), _Or(type="boolean")]


class JudgeRequest(_Part):
    """How the candidate is compared with the stable version over the same minutes."""

    errors: Tolerated = Field(ToleranceRequest(), description="Failed requests; false: not compared.")
    slow: Tolerated = Field(
        ToleranceRequest(),
        description="Requests slower than the stable version's p99 of the day before; false: not compared.",
    )
    false_rollback_percent: Annotated[float, Field(ge=0.0001, le=10)] = Field(
        1.0, description="How often a candidate that is no worse may be rolled back at most, over the whole rollout."
    )
    tolerated_rollback_percent: Annotated[float, Field(ge=0.0001, le=50)] = Field(
        10.0, description="How often a candidate that is worse within the tolerance may be rolled back at most."
    )

    @field_validator("slow")
    @classmethod
    def _judges_something(cls, value: ToleranceRequest | None, info: ValidationInfo) -> ToleranceRequest | None:
        if value is None and info.data.get("errors", value) is None:
            raise _violation("nothing is left to judge: set judge to false instead")
        return value

    def judge(self) -> Judge:
        """The judge as the plan keeps it."""
        usual = Judge()
        return Judge(
            errors=self.errors.tolerance(usual.errors) if self.errors and usual.errors else None,
            slow=self.slow.tolerance(usual.slow) if self.slow and usual.slow else None,
            false_rollback=self.false_rollback_percent / 100,
            tolerated_rollback=self.tolerated_rollback_percent / 100,
        )


class HealthRequest(_Part):
    """Limits for the candidate, the judge, and what to do where there is too little traffic to tell."""

    judge: Annotated[JudgeRequest | None, BeforeValidator(_unless_off), _Or(type="boolean")] = Field(
        JudgeRequest(), description="Compares the candidate with the stable version; false: turned off."
    )

    max_error_percent: float | None = Field(
        None, ge=0, le=100, description="Errors in percent of the candidate's own invocations."
    )
    max_duration_p99_ms: float | None = Field(
        None, gt=0, le=900_000, description="p99 of the candidate's own duration, in milliseconds."
    )
    minimum_invocations: int = Field(
        10, ge=1, description="Below this many invocations of the candidate nothing is concluded."
    )
    when_inconclusive: InconclusivePolicy = Field(
        "extend",
        description=(
            "After the extension: promote unproven if the candidate served minimum_invocations without a sign of harm,"
            " else roll back (extend); promote unproven; or roll back."
        ),
    )
    max_extension_seconds: int = Field(
        600, ge=0, le=MAX_BAKE_SECONDS, description="How much longer the whole rollout may take to find proof."
    )
    advance_early: bool = Field(
        False,
        description="End a bake, never the last one, as soon as the judge has cleared the candidate at its weight.",
    )
    min_bake_seconds: BakeSeconds = Field(300, description="How long a bake lasts at least that is ended early.")

    @field_validator("advance_early")
    @classmethod
    def _has_a_judge(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("judge", value) is None:
            raise _violation("needs the judge, which is turned off")
        return value

    def gate(self) -> HealthGate:
        """These limits as the plan keeps them."""
        limits = self.model_dump(exclude={"judge"})
        return HealthGate(judge=self.judge.judge() if self.judge else None, **limits)


class SmokeTest(_Part):
    """One invocation of the exact candidate version, before it gets traffic."""

    payload: Any = Field(None, description="What the candidate is invoked with: any JSON.")
    expect: str | None = Field(
        None,
        max_length=500,
        description="JMESPath over the response's payload; the test passes where the result is true.",
    )
    max_duration_ms: int = Field(10_000, ge=1, le=300_000, description="The longest the invocation may take.")

    @field_validator("expect")
    @classmethod
    def _is_jmespath(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                jmespath.compile(value).search(None)
            except (ParseError, UnknownFunctionError) as error:
                reason = str(error).splitlines()[0]
                raise _violation(f"is not JMESPath: {reason}") from error
            except JMESPathError:
                pass  # a function that does not take null, which the real answer need not be
        return value


class FromAlias(_Part):
    """Adopt the version that another alias of the function points to."""

    from_alias: AliasName

    _is_alias_name = field_validator("from_alias")(_alias_name)


def _version_number(value: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,18}", value):
        raise _violation(f'{value[:40]!r} is no published version: use a number in quotes such as "7"')
    return value


Version = Annotated[
    Annotated[
        str, AfterValidator(_version_number), Field(json_schema_extra={"pattern": r"^[1-9]\d*$"}), Tag("<number>")
    ]
    | Annotated[FromAlias, Tag("<alias>")],
    Discriminator(lambda value: "<alias>" if isinstance(value, (dict, FromAlias)) else "<number>"),
]


class RolloutRequest(_Part):
    """One rollout: which function's alias, how traffic moves, and what must hold meanwhile."""

    function_name: str = Field(description="The function's name, or its unqualified ARN in this account and region.")
    alias_name: AliasName = Field(description="The alias that callers invoke.")
    version: Version | None = Field(
        None, description="Adopt this existing version, or the one another alias points to, instead of publishing."
    )
    expected_code_sha256: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9+/]{43}=$",
        description="The candidate's CodeSha256 as the build knows it; anything else is refused.",
    )
    description: str | None = Field(None, max_length=256, description="For the published version and the history.")
    strategy: Strategy | None = Field(None, description="A named or free strategy. Default: 10, 50, 100 %.")
    steps: list[StepRequest] | None = Field(
        None,
        min_length=1,
        max_length=1_000,
        description="Free steps instead of a strategy: rising weights, the last one 100.",
    )
    alarms: list[Alarm] = Field([], max_length=100, description="Alarms that end the rollout when they fire.")
    health: HealthRequest = Field(HealthRequest(), description="Limits for the candidate.")
    smoke_tests: list[SmokeTest] = Field([], max_length=50, description="Invocations before any traffic.")
    force: bool = Field(False, description="Roll out a version although a verdict spoke against it before.")

    _is_alias_name = field_validator("alias_name")(_alias_name)

    @field_validator("function_name")
    @classmethod
    def _is_function(cls, value: str, info: ValidationInfo) -> str:
        """The bare name of a function in this account and region."""
        arn = _FUNCTION_ARN.fullmatch(value)
        if arn is None:
            if not _FUNCTION_NAME.fullmatch(value):
                raise _violation(f"{value[:80]!r} is neither a function's name nor its unqualified ARN")
            return value
        here = info.context or {}
        if arn["qualifier"]:
            raise _violation(
                f"is qualified with {arn['qualifier'][:40]!r}: leave that out, the alias goes into alias_name"
            )
        if not _FUNCTION_NAME.fullmatch(arn["name"]):
            raise _violation(f"{arn['name'][:80]!r} is no function name")
        for part in ("region", "account"):
            if part in here and arn[part] != here[part]:
                raise _violation(f"is in {part} {arn[part][:40]}, and this Tidegate serves {here[part]}")
        return arn["name"]

    @field_validator("steps")
    @classmethod
    def _rise_to_all(cls, value: list[StepRequest] | None, info: ValidationInfo) -> list[StepRequest] | None:
        if value is None:
            return value
        if info.data.get("strategy") is not None:
            raise _violation("give either strategy or steps, not both")
        weights = [step.weight for step in value]
        if any(later <= earlier for earlier, later in itertools.pairwise(weights)):
            raise _violation("the weights must rise from step to step")
        if weights[-1] != strategy.ALL_PERCENT:
            raise _violation("the last weight must be 100")
        return value

    @field_validator("alarms")
    @classmethod
    def _named_once(cls, value: list[AlarmRequest]) -> list[AlarmRequest]:
        names = [alarm.name for alarm in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise _violation(f"named more than once: {', '.join(twice)[:300]}")
        return value

    @field_validator("smoke_tests")
    @classmethod
    def _fit(cls, value: list[SmokeTest]) -> list[SmokeTest]:
        total_ms = sum(test.max_duration_ms for test in value)
        if total_ms > MAX_SMOKE_TEST_SECONDS * 1000:
            raise _violation(
                f"may take {total_ms:,} ms together, and {MAX_SMOKE_TEST_SECONDS * 1000:,} is the limit:"
                " lower max_duration_ms"
            )
        size = sum(len(test.model_dump_json()) for test in value)
        if size > MAX_SMOKE_TEST_CHARACTERS:
            raise _violation(f"have {size:,} characters together, and {MAX_SMOKE_TEST_CHARACTERS:,} is the limit")
        return value

    @classmethod
    def parse(cls, document: object, *, region: str, account: str) -> Self:
        """The request in `document`, any JSON value.

        Raises:
            RequestInvalid: with every violation in its message.
        """
        if not isinstance(document, dict):
            raise RequestInvalid(_not_an_object(document))
        if "detail" in document and ("detail-type" in document or "source" in document):
            raise RequestInvalid(
                "the input is a whole EventBridge event: pass only its detail, with InputPath $.detail on the rule's"
                " target"
            )
        try:
            return cls.model_validate(document, context={"region": region, "account": account})
        except ValidationError as error:
            raise RequestInvalid(violations.sentence(error.errors(include_url=False))) from None

    def chosen_steps(self) -> tuple[Step, ...]:
        """The steps asked for, whichever way, or the default ones."""
        if self.steps is not None:
            return tuple(Step(step.weight, step.bake_seconds) for step in self.steps)
        if self.strategy is not None:
            return self.strategy.steps()
        return strategy.DEFAULT_STEPS

    def alarm_gates(self) -> tuple[AlarmGate, ...]:
        """The alarms as the plan keeps them."""
        return tuple(AlarmGate(alarm.name, alarm.if_already_firing) for alarm in self.alarms)


def json_schema() -> dict[str, Any]:
    """The request's JSON Schema (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tidegate rollout request",
        **{key: value for key, value in RolloutRequest.model_json_schema().items() if key != "title"},
    }


def _not_an_object(document: object) -> str:
    if isinstance(document, str) and document.lstrip().startswith("{"):
        return "the input is a JSON string: pass the object itself, not its text in quotes"
    kind = {list: "a list", str: "a string", type(None): "null", bool: "true or false"}.get(type(document), "a number")
    return f"the input is {kind}: pass an object such as {SMALLEST}"
