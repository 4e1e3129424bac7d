"""The doors through which others' words come in: each lets an input pass, or refuses it with a clear error.

`enter` gives "passed" or "refused"; whatever else happens is a crash, and so is an error that is not clear.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import yaml
from typer.testing import CliRunner

from sandbox.cloudformation import Declared
from sandbox.scenario import Scenario, ScenarioInvalid
from sandbox.target import OWN_TARGET
from tests import plans
from tests.fuzz.mutations import TEXTS, as_json, changed, changed_bytes
from tidegate.cli.app import app
from tidegate.control.commands import Command
from tidegate.ending.failure import Failure
from tidegate.ending.lock import Lock
from tidegate.ending.record import plain
from tidegate.errors import LedgerUnreadable, RequestInvalid
from tidegate.hooks import smoke_test
from tidegate.hooks.hook import Hook
from tidegate.hooks.hook import failure as hook_failure
from tidegate.hooks.smoke_test import Answer, SmokeTest
from tidegate.planning import template
from tidegate.planning.declared_alias import DeclaredAlias
from tidegate.planning.profile import Profile
from tidegate.printable import printable
from tidegate.request.rollout_request import RolloutRequest
from tidegate.terminal import documents
from tidegate.terminal.documents import Unreadable

ROOT = Path(__file__).parents[2]
PASSED, REFUSED = "passed", "refused"
#: Words of pydantic's, jmespath's, Python's, PyYAML's and json's that no person should read.
_FOREIGN = re.compile(
    r"Input should|valid (string|integer|dictionary|list)|Value error|pydantic|jmespath|Traceback|object at 0x"
    r"|Expecting|Extra data|codec can't|must be str|NoneType|found character|mapping values|utf-8-sig|recursion depth"
    r"|RecursionError|\w+Exception\b|chr\(\)|C int|version minor|out of range"
)
_MOST_CHARACTERS = 21_000


class Unclear(AssertionError):
    """An error that does not say what to do, or not in plain words."""


@dataclass(frozen=True, slots=True)
class Door:
    """`share` is how many of 1,000 inputs come through it; `make` makes one, `enter` lets it in."""

    name: str
    share: int
    make: Callable[[Random], Any]
    enter: Callable[[Any], str]


def clear(message: str) -> str:
    """Hold a refusal to be clear.

    Raises:
        Unclear: it is not.
    """
    if not message.strip() or len(message) > _MOST_CHARACTERS or printable(message) != message:
        raise Unclear(repr(message[:500]))
    if found := _FOREIGN.search(message):
        raise Unclear(f"{found[0]!r} in {message[:500]!r}")
    return REFUSED


# --- Requests ---------------------------------------------------------------------------------------------------------

_EVENTS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "events").glob("*.json"))}
REQUESTS = [
    event for event in _EVENTS.values() if "alias_name" in event and "command" not in event and "plan" not in event
]
REQUESTS += [
    {
        "$schema": "request.schema.json",
        "function_name": "checkout",
        "alias_name": "live",
        "version": {"from_alias": "next"},
        "strategy": {"type": "linear", "increment": 10, "interval_seconds": 60},
        "smoke_tests": [{"payload": {"a": [1]}, "expect": "length(a) == `1`", "max_duration_ms": 100}],
        "hooks": {"before_traffic": "check", "each_step": {"function_name": "check:7", "timeout_seconds": 5}},
        "health": {"judge": {"errors": {"max_ratio": 2}, "slow": False}, "when_inconclusive": "hold"},
    }
]
_ANSWERS = (b"null", b"[1]", b'{"a": [1, "x", null]}', b"\xff", b'{"a":' * 900, b'{"a": 1e999}', b'"\\ud800"')


def _ask(document: Any) -> str:
    try:
        asked = RolloutRequest.parse(document, region="us-east-1", account="123456789012")
    except RequestInvalid as refused:
        return clear(str(refused))
    asked.chosen_steps()
    asked.alarm_rules()
    asdict(asked.health.policy())
    asdict(asked.hooks.hooks())
    for test in asked.smoke_tests:
        json.dumps(test.payload, allow_nan=False)
        for answer in _ANSWERS:
            said = smoke_test.failure(SmokeTest(expect=test.expect), Answer(answer, None, 1.0))
            clear((said or "fine").replace(repr(test.expect), ""))
    return PASSED


def _laid(random: Random) -> tuple[str, Any]:
    text = as_json(changed(REQUESTS[0], random))
    if random.random() < 0.5:
        text = changed_bytes(text, random).decode(errors="replace")
    return text, random.choice(REQUESTS)


def _overlay(pair: tuple[str, Any]) -> str:
    text, document = pair
    try:
        profile = Profile.parse("team", 1, text)
        RolloutRequest.parse(document, region="us-east-1", account="123456789012", profile=profile)
    except RequestInvalid as refused:
        return clear(str(refused))
    return PASSED


def _read(given: tuple[bytes, str]) -> str:
    try:
        json.dumps(documents.read(*given), allow_nan=False)
    except Unreadable as refused:
        return clear(str(refused))
    return PASSED


def _text(random: Random) -> tuple[bytes, str]:
    document, suffix = random.choice(REQUESTS), random.choice((".json", ".json", ".yaml", ""))
    # JSON is YAML, too, with quotes in which an escape counts.
    written = yaml.safe_dump if suffix == ".yaml" and random.random() < 0.5 else partial(json.dumps, indent=1)
    text = written(document)
    return changed_bytes(text, random), suffix and f"request{suffix}"


# --- What others answer and store -------------------------------------------------------------------------------------

_COMMAND = _EVENTS["command"]
_PLAN = plans.PLAN.to_json()
_LOCK = {
    "plan": _PLAN,
    "last_verdict": {"convicts": False, "action": "wait"},
    "restored": {"theirs": None},
    "pause": {"id": "1", "command": "pause", "author": "ana", "reason": "lunch", "at": 1.0},
}


def _say(document: Any) -> str:
    try:
        Command.parse(document)
    except ValueError as refused:
        if not str(refused).startswith(
            ("the command must be", "1 problem in the command")
        ) and "problems in" not in str(refused):
            raise
        return clear(str(refused))
    return PASSED


def _store(given: Any) -> str:
    texts = given if isinstance(given, dict) else {"plan": given}
    item: dict[str, Any] = {name: {"S": as_json(value)} for name, value in texts.items()}
    item |= {"target": {"S": "checkout:live"}, "execution_arn": {"S": plans.PLAN.execution_arn}, "taken_at": {"N": "0"}}
    try:
        lock = Lock.parse(plain(item))
        if lock.plan:
            as_json(lock.plan.to_json())
    except LedgerUnreadable as refused:
        # It is for whoever mends the item, and names what Python found there.
        if "delete the item" not in str(refused):
            raise Unclear(str(refused)) from refused
        return REFUSED
    return PASSED


def _fail(given: tuple[str, bytes]) -> str:
    text, payload = given
    said = Failure.from_error_output({"Error": "Boom", "Cause": text})
    why = hook_failure(Hook("check"), Answer(payload, None, 1.0))
    return REFUSED if said and why else PASSED


def _failing(random: Random) -> tuple[str, bytes]:
    told = changed({"errorMessage": "no", "errorType": "X", "stackTrace": []}, random)
    word = changed({"status": "Failed", "reason": "the till is open"}, random)
    return as_json(told), changed_bytes(as_json(word), random)


# --- Stacks' templates ------------------------------------------------------------------------------------------------

_TEMPLATE = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Resources": {
        "Live": {
            "Type": "AWS::Lambda::Alias",
            "Properties": {"Name": "live", "FunctionVersion": "7", "RoutingConfig": {"a": [1, {"b": "c"}]}},
        }
    },
}


def _template(random: Random) -> str:
    # As CloudFormation keeps it: text.
    written = random.choice((json.dumps, yaml.safe_dump))
    return changed_bytes(written(changed(_TEMPLATE, random)), random).decode(errors="replace")


def _declare(text: str) -> str:
    found = template.resource(text, "Live")
    if found is not None:
        DeclaredAlias.parse("shop", found)
    for kind in ("json", "yaml"):
        try:
            Declared.by(Scenario.of({"stack": {"format": kind, "template": text}}), OWN_TARGET)
        except ScenarioInvalid as refused:
            for reason in refused.reasons:
                clear(printable(reason))
    return PASSED if found else REFUSED


# --- Scenarios and the command line -----------------------------------------------------------------------------------

_SCENARIOS = [
    json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "sandbox/scenarios").glob("*.json"))
]


def _set(content: bytes) -> str:
    try:
        scenario = Scenario.from_json(documents.decoded(content))
    except ScenarioInvalid as refused:
        return [clear(printable(reason)) for reason in refused.reasons].pop()
    except Unreadable as refused:
        return clear(str(refused))
    return PASSED if scenario.highest_version_named < 1_000 else "a world that is never made"


def _scene(random: Random) -> bytes:
    document = random.choice(_SCENARIOS)
    if random.random() < 0.3:
        return changed_bytes(json.dumps(document), random)
    return as_json(changed(document, random)).encode()


#: No region is chosen where this runs, so that whatever is understood ends before it reaches AWS.
_WORDS = (
    ("validate", "-"),
    ("validate", "-", "--json"),
    ("start", "-", "--name", "TEXT"),
    ("start", "--sandbox", "--name", "TEXT", "-"),
    ("plan", "-", "--profile-name", "TEXT"),
    ("validate", "TEXT"),
    ("plan", "--sandbox", "--scenario", "TEXT", "-"),
    ("status", "TEXT"),
    ("watch", "TEXT", "--json"),
    ("history", "TEXT", "--limit", "TEXT"),
    ("report", "TEXT", "--out", "TEXT"),
    ("pause", "TEXT", "--reason", "TEXT", "--author", "TEXT"),
    ("revert", "TEXT", "--rollout", "TEXT"),
    ("TEXT", "TEXT"),
    ("schema", "TEXT"),
)


def _type(given: tuple[list[str], bytes]) -> str:
    words, content = given
    done = CliRunner().invoke(app, words, input=content, prog_name="tidegate")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code not in {0, 1, 2, 3, 4}:
        raise Unclear(f"exit code {done.exit_code}")
    for said in (done.stdout, done.stderr):
        if found := _FOREIGN.search(said):
            raise Unclear(f"{found[0]!r} in {said[:500]!r}")
    if done.exit_code == 0:
        return PASSED
    # Usage errors are framed by Typer, which repeats what was typed.
    said = done.stderr or done.stdout
    return clear(said[:_MOST_CHARACTERS]) if said.startswith(("tidegate:", "{")) else REFUSED


def _typed(random: Random) -> tuple[list[str], bytes]:
    texts = [text for text in TEXTS if "\x00" not in text and not text.startswith("{")]
    words = [random.choice(texts) if word == "TEXT" else word for word in random.choice(_WORDS)]
    request = changed(random.choice(REQUESTS), random)
    if "--sandbox" in words and isinstance(request, dict):
        request["stratgy"] = 1  # what could be played must not be
    whole = as_json(request).encode()
    return words, whole if "--sandbox" in words or random.random() < 0.5 else changed_bytes(as_json(request), random)


DOORS = (
    Door("request", 400, lambda random: changed(random.choice(REQUESTS), random), _ask),
    Door("profile", 40, _laid, _overlay),
    Door("document", 180, _text, _read),
    Door("template", 20, _template, _declare),
    Door("command", 110, lambda random: changed(_COMMAND, random), _say),
    Door("plan", 110, lambda random: changed(_LOCK, random), _store),
    Door("answer", 40, _failing, _fail),
    Door("scenario", 70, _scene, _set),
    Door("command line", 20, _typed, _type),
)
