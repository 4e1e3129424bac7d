"""A smoke test: what one invocation of the exact candidate version must answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from tidegate.errors import SmokeTestInvalid
from tidegate.frozen import frozen
from tidegate.hooks import expression
from tidegate.hooks.expression import ExpressionInvalid, NotApplicable
from tidegate.printable import one_line

#: How much of a failing answer is repeated; the rest stays with the function.
EXCERPT_CHARACTERS = 200


@frozen
class SmokeTest:
    """`payload` is any JSON; `expect` a JMESPath expression that must be true of the answer's JSON."""

    payload: Any = None
    expect: str | None = None
    max_duration_ms: int = 10_000

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """A smoke test of the request, which plan_rollout has validated."""
        return cls(**document)


@frozen
class Answer:
    """What the candidate answered: its payload as sent, Lambda's FunctionError, and how long it took."""

    payload: bytes
    function_error: str | None
    duration_ms: float


def failure(test: SmokeTest, answer: Answer) -> str | None:
    """Why the answer fails the test, as the end of a sentence, or None where it passes.

    Raises:
        SmokeTestInvalid: the test's expression takes too much work for this answer.
    """
    if answer.function_error is not None:
        return f"failed with {answer.function_error}: {excerpt(answer.payload)}"
    if answer.duration_ms > test.max_duration_ms:
        return f"took {answer.duration_ms:,.0f} ms, max_duration_ms is {test.max_duration_ms:,}"
    if test.expect is None:
        return None
    try:
        document = json.loads(answer.payload or b"null")
    except (ValueError, RecursionError):
        return f"did not answer JSON: {excerpt(answer.payload)}"
    why = _unsatisfied(test.expect, document)
    return why and f"{why}: {excerpt(answer.payload)}"


def _unsatisfied(expect: str, document: Any) -> str | None:
    try:
        satisfied = expression.search(expect, document) is True
    except ExpressionInvalid as error:
        raise SmokeTestInvalid(f"{expect!r} cannot be held against the candidate's answer: it {error}") from None
    except NotApplicable as error:
        return f"cannot be held against {expect!r} ({error})"
    return None if satisfied else f"does not satisfy {expect!r}"


def excerpt(payload: bytes) -> str:
    """The beginning of an answer, for a message."""
    text = one_line(payload.decode(errors="replace"))
    return text if len(text) <= EXCERPT_CHARACTERS else text[:EXCERPT_CHARACTERS] + "…"
