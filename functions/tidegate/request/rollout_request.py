"""What a user may ask for. Only plan_rollout imports it and its parts, which alone need pydantic.

Every violation is reported at once, unknown keys are refused, and a value is repeated in a message only
where it cannot be a secret.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from tidegate.analysis.health import AlarmRule, AlreadyFiring
from tidegate.errors import RequestInvalid
from tidegate.planning import strategy
from tidegate.planning.profile import NAME_PATTERN as PROFILE_PATTERN
from tidegate.planning.profile import Profile, name_in
from tidegate.planning.strategy import Step
from tidegate.request import part, violations
from tidegate.request.functions import FUNCTION_ARN, HooksRequest, SmokeTest, bare, require_here
from tidegate.request.health import HealthRequest
from tidegate.request.part import MAX_BAKE_SECONDS, Or, Part, named, violation
from tidegate.request.strategy import StepRequest, Strategy
from tidegate.routing import ALL_PERCENT
from tidegate.version import CODE_SHA256_PATTERN

#: For editors that look a schema up by its `$id`: no address, for nothing is loaded from there.
SCHEMA_ID = "urn:tidegate:request:1"
SMALLEST = '{"function_name": "checkout", "alias_name": "live"}'
#: What a request may leave to its profile, while nobody knows what that says: names that nothing else in it has.
_PLACEHOLDERS = {"function_name": "_" * 64, "alias_name": "_" * 128}
MAX_SMOKE_TEST_SECONDS = 840
#: A state's input may hold 256 KiB (Step Functions Developer Guide, "Quotas"), and more ends it uncaught.
MAX_SMOKE_TEST_CHARACTERS = 100_000

_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
#: ASCII's, which an alarm's name cannot contain (CloudWatch API reference, PutMetricAlarm).
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ALIAS_NAME_PATTERN = r"^(?!\d+$)[a-zA-Z0-9_-]{1,128}$"
_ALIAS_NAME = re.compile(_ALIAS_NAME_PATTERN)


def _alias_name(value: str) -> str:
    if not _ALIAS_NAME.fullmatch(value):
        raise violation("is not an alias name: letters, digits, '-' and '_', not digits alone")
    return value


CodeSha256 = Annotated[str, Field(json_schema_extra={"pattern": CODE_SHA256_PATTERN})]
ProfileName = Annotated[str, Field(json_schema_extra={"pattern": PROFILE_PATTERN})]
AliasName = Annotated[str, Field(json_schema_extra={"pattern": _ALIAS_NAME_PATTERN})]


class AlarmRequest(Part):
    """A CloudWatch alarm, metric or composite, that guards the rollout."""

    name: str = Field(min_length=1, max_length=255, description="The alarm's name, in this account and region.")
    if_already_firing: AlreadyFiring = Field(
        "reject",
        description="An alarm in ALARM at the start rejects the rollout, or is ignored until it has been OK once.",
    )

    @field_validator("name")
    @classmethod
    def _is_alarm(cls, value: str) -> str:
        if value.startswith("arn:"):
            raise violation("is an ARN: give the alarm's name")
        if _CONTROL.search(value):
            raise violation("has a control character, which no alarm's name may have")
        return value


Alarm = Annotated[
    AlarmRequest,
    BeforeValidator(lambda value: named(value, "name", "an alarm's name")),
    Or(type="string", minLength=1, maxLength=255),
]


class FromAlias(Part):
    """Adopt the version that another alias of the function points to."""

    from_alias: AliasName

    _is_alias_name = field_validator("from_alias")(_alias_name)


def _version_number(value: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,18}", value):
        raise violation(
            f'{value[:40]!r} is no published version: use a number in quotes such as "7", or {{"from_alias": …}}'
        )
    return value


Version = Annotated[
    Annotated[
        str, AfterValidator(_version_number), Field(json_schema_extra={"pattern": r"^[1-9]\d*$"}), Tag("<number>")
    ]
    | Annotated[FromAlias, Tag("<alias>")],
    Discriminator(lambda value: "<alias>" if isinstance(value, (dict, FromAlias)) else "<number>"),
]


class RolloutRequest(Part):
    """One rollout: which function's alias, how traffic moves, and what must hold meanwhile."""

    schema_url: str | None = Field(
        None, alias="$schema", description="Where the schema of requests is, for editors; nothing reads it."
    )
    profile: ProfileName | None = Field(
        None,
        description="Stored defaults, in SSM as /tidegate/profiles/NAME; NAME:7 is their version 7. The request wins.",
    )
    function_name: str = Field(description="The function's name, or its unqualified ARN in this account and region.")
    alias_name: AliasName = Field(description="The alias that callers invoke.")
    version: Version | None = Field(
        None, description="Adopt this existing version, or the one another alias points to, instead of publishing."
    )
    expected_code_sha256: CodeSha256 | None = Field(
        None,
        description="The candidate's CodeSha256 as the build knows it, an image's its digest; other code is refused.",
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
    hooks: HooksRequest = Field(HooksRequest(), description="Functions of yours that have a word in the rollout.")
    create_alias: bool = Field(
        False, description="Where the alias does not exist yet, make it on the candidate: a function's first release."
    )
    max_pause_seconds: int = Field(
        86_400,
        ge=0,
        le=MAX_BAKE_SECONDS,
        description="How long the rollout may be paused in all, in seconds; then it rolls back.",
    )
    revert_window_seconds: int = Field(
        86_400, ge=0, le=MAX_BAKE_SECONDS, description="For how long after its end a promotion may be reverted."
    )
    force: bool = Field(False, description="Roll out a version although a verdict spoke against it before.")

    _is_alias_name = field_validator("alias_name")(_alias_name)

    @field_validator("profile")
    @classmethod
    def _is_profile(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(PROFILE_PATTERN, value):
            raise violation(
                f"{value[:80]!r} is no profile's name: 1 to 100 letters, digits, '_', '.' and '-', with a version where"
                " it is to be that one (prod-api:7)"
            )
        return value

    @field_validator("function_name")
    @classmethod
    def _is_function(cls, value: str, info: ValidationInfo) -> str:
        """The bare name of a function in this account and region."""
        arn = FUNCTION_ARN.fullmatch(value)
        if arn is None:
            if not _FUNCTION_NAME.fullmatch(value):
                raise violation(f"{value[:80]!r} is neither a function's name nor its unqualified ARN")
            return value
        if arn["qualifier"]:
            raise violation(
                f"is qualified with {arn['qualifier'][:40]!r}: leave that out, the alias goes into alias_name"
            )
        if not _FUNCTION_NAME.fullmatch(arn["name"]):
            raise violation(f"{arn['name'][:80]!r} is no function name")
        require_here(arn, info)
        return arn["name"]

    @field_validator("expected_code_sha256")
    @classmethod
    def _is_a_hash(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(CODE_SHA256_PATTERN, value):
            raise violation(
                "is no SHA-256: give CodeSha256 as Lambda shows it, 44 characters of base64 for a zip, or 64"
                f" hexadecimal digits for an image (got {value[:80]!r})"
            )
        return value

    @field_validator("version")
    @classmethod
    def _of_another_alias(cls, value: Version | None, info: ValidationInfo) -> Version | None:
        if isinstance(value, FromAlias) and value.from_alias == info.data.get("alias_name"):
            raise violation("from_alias is the alias itself, which serves that version already: name another one")
        return value

    @field_validator("steps")
    @classmethod
    def _rise_to_all(cls, value: list[StepRequest] | None, info: ValidationInfo) -> list[StepRequest] | None:
        if value is None:
            return value
        weights = [step.weight for step in value]
        wrong = []
        if info.data.get("strategy") is not None:
            wrong.append("give either strategy or steps, not both")
        if any(later <= earlier for earlier, later in itertools.pairwise(weights)):
            wrong.append("the weights must rise from step to step")
        if weights[-1] != ALL_PERCENT:
            wrong.append("the last weight must be 100")
        if wrong:
            raise violation(", and ".join(wrong))
        return value

    @field_validator("alarms")
    @classmethod
    def _named_once(cls, value: list[AlarmRequest]) -> list[AlarmRequest]:
        names = [alarm.name for alarm in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise violation(f"named more than once: {', '.join(twice)[:300]}")
        return value

    @field_validator("smoke_tests")
    @classmethod
    def _fit(cls, value: list[SmokeTest]) -> list[SmokeTest]:
        total_ms = sum(test.max_duration_ms for test in value)
        if total_ms > MAX_SMOKE_TEST_SECONDS * 1000:
            raise violation(
                f"may take {total_ms:,} ms together, and {MAX_SMOKE_TEST_SECONDS * 1000:,} is the limit:"
                " lower max_duration_ms"
            )
        try:
            sent = json.dumps([[test.payload, test.expect] for test in value], ensure_ascii=False, allow_nan=False)
            sent.encode()
        except RecursionError:
            raise violation("have a payload that is nested too deeply to be sent") from None
        except UnicodeEncodeError:
            raise violation("have a payload with half a character (a lone surrogate), which nobody can send") from None
        except ValueError:
            raise violation(
                "have a payload with NaN or a number that is too large (1e999), which JSON has not"
            ) from None
        if len(sent) > MAX_SMOKE_TEST_CHARACTERS:
            raise violation(f"have {len(sent):,} characters together, and {MAX_SMOKE_TEST_CHARACTERS:,} is the limit")
        return value

    @field_validator("hooks")
    @classmethod
    def _of_other_functions(cls, value: HooksRequest, info: ValidationInfo) -> HooksRequest:
        """A function that is asked about itself would serve the very rollout that it is to judge."""
        asked = {moment: hook for moment in type(value).model_fields if (hook := getattr(value, moment))}
        own = [moment for moment, hook in asked.items() if bare(hook.function_name) == info.data.get("function_name")]
        if own:
            raise violation(f"{', '.join(own)}: is the function that is rolled out: name another one to ask")
        return value

    @field_validator("hooks")
    @classmethod
    def _fit_beside_the_smoke_tests(cls, value: HooksRequest, info: ValidationInfo) -> HooksRequest:
        """One invocation of VerifyCandidate asks the hook after the smoke tests."""
        tests_ms = sum(test.max_duration_ms for test in info.data.get("smoke_tests", []))
        hook_ms = value.before_traffic.timeout_seconds * 1000 if value.before_traffic else 0
        if tests_ms and hook_ms and tests_ms + hook_ms > MAX_SMOKE_TEST_SECONDS * 1000:
            raise violation(
                f"before_traffic and the smoke tests may take {tests_ms + hook_ms:,} ms together, and"
                f" {MAX_SMOKE_TEST_SECONDS * 1000:,} is the limit: lower timeout_seconds or max_duration_ms"
            )
        return value

    @classmethod
    def parse(
        cls, document: object, *, region: str, account: str, partition: str = "aws", profile: Profile | None = None
    ) -> Self:
        """The request in `document`, any JSON value, over the profile that it names.

        Raises:
            RequestInvalid: with every violation in its message.
        """
        if not isinstance(document, dict) or _is_event(document):
            raise RequestInvalid(_another_shape(document))
        here = {"partition": partition, "region": region, "account": account}
        if profile is not None:
            cls._check({**_PLACEHOLDERS, **profile.document}, here, profile)
            document = profile.under(document)
        return cls._check(document, here)

    @classmethod
    def problems(cls, document: object) -> list[str]:
        """Everything that is wrong with the form of a request, any JSON value; nothing of AWS is known.

        What its profile says is not known either: it may give what is required.
        """
        if not isinstance(document, dict) or _is_event(document):
            return [_another_shape(document)]
        try:
            cls.model_validate({**(_PLACEHOLDERS if name_in(document) else {}), **document})
        except ValidationError as error:
            return violations.lines(*cls._found(error))
        return []

    @classmethod
    def _check(cls, document: object, here: dict[str, str], profile: Profile | None = None) -> Self:
        try:
            return cls.model_validate(document, context=here)
        except ValidationError as error:
            whose = f"profile {profile}" if profile else "the request"
            raise RequestInvalid(violations.sentence(*cls._found(error), whose)) from None

    @classmethod
    def _found(cls, error: ValidationError) -> tuple[list[Any], violations.KeysAt]:
        return [*error.errors(include_url=False)], functools.partial(part.keys_at, cls)

    def chosen_steps(self) -> tuple[Step, ...]:
        """The steps asked for, whichever way, or the default ones."""
        if self.steps is not None:
            return tuple(step.step() for step in self.steps)
        if self.strategy is not None:
            return self.strategy.steps()
        return strategy.DEFAULT_STEPS

    def alarm_rules(self) -> tuple[AlarmRule, ...]:
        """The alarms as the plan keeps them."""
        return tuple(AlarmRule(alarm.name, alarm.if_already_firing) for alarm in self.alarms)


def json_schema() -> dict[str, Any]:
    """The request's JSON Schema (draft 2020-12): what is required may stand in the profile, where one is named."""
    schema = RolloutRequest.model_json_schema()
    required = schema.pop("required")
    return {
        **schema,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Tidegate rollout request",
        "anyOf": [{"required": required}, {"required": ["profile"]}],
    }


def _is_event(document: dict[str, Any]) -> bool:
    return "detail" in document and ("detail-type" in document or "source" in document)


def _another_shape(document: object) -> str:
    if isinstance(document, dict):
        return (
            "the input is a whole EventBridge event: pass only its detail, with InputPath $.detail on the rule's target"
        )
    if isinstance(document, str) and document.lstrip().startswith("{"):
        return "the input is a JSON string: pass the object itself, not its text in quotes"
    kind = {list: "a list", str: "a string", type(None): "null", bool: "true or false"}.get(type(document), "a number")
    return f"the input is {kind}: pass an object such as {SMALLEST}"
