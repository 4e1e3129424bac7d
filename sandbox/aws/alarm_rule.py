"""A composite alarm's rule: a Boolean expression over the states of other alarms.

CloudWatch API reference, PutCompositeAlarm, AlarmRule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

ALARM_ARN: Final = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:"
AlarmState = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
STATES: Final = get_args(AlarmState)


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """A composite alarm's rule, parsed: ALARM(x), OK(x), INSUFFICIENT_DATA(x), TRUE, FALSE, NOT, AND, OR and ().

    NOT binds closer than AND, AND closer than OR.
    """

    holds: Callable[[Callable[[str], str | None]], bool]
    children: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> AlarmRule:
        """The rule that the text spells; ValueError where it spells none."""
        tokens = list(_tokens(text))
        rule = cls._either(tokens)
        if tokens:
            raise ValueError(f"unexpected {tokens[0]!r}")
        return rule

    @classmethod
    def _either(cls, tokens: list[str]) -> AlarmRule:
        rule = cls._both(tokens)
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            rule = rule._joined(cls._both(tokens), any)
        return rule

    @classmethod
    def _both(cls, tokens: list[str]) -> AlarmRule:
        rule = cls._one(tokens)
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            rule = rule._joined(cls._one(tokens), all)
        return rule

    @classmethod
    def _one(cls, tokens: list[str]) -> AlarmRule:
        word = _take(tokens)
        if word == "NOT":
            negated = cls._one(tokens)
            return cls(lambda state_of: not negated.holds(state_of), negated.children)
        if word == "(":
            rule = cls._either(tokens)
            _take(tokens, ")")
            return rule
        if word in {"TRUE", "FALSE"}:
            return cls(lambda _: word == "TRUE", frozenset())
        if word in STATES:
            _take(tokens, "(")
            name = _take(tokens).strip("\"'").removeprefix(ALARM_ARN)
            _take(tokens, ")")
            return cls(lambda state_of: state_of(name) == word, frozenset({name}))
        raise ValueError(f"unexpected {word!r}")

    def _joined(self, other: AlarmRule, join: Callable[[Iterable[bool]], bool]) -> AlarmRule:
        return AlarmRule(
            lambda state_of: join(part.holds(state_of) for part in (self, other)), self.children | other.children
        )


def _tokens(text: str) -> Iterator[str]:
    for match in re.finditer(r"\"[^\"]*\"|'[^']*'|[()]|[^\s()\"']+", text):
        yield match[0]


def _take(tokens: list[str], expected: str | None = None) -> str:
    if not tokens or (expected and tokens[0] != expected):
        raise ValueError(f"expected {expected or 'an expression'} before {tokens[0] if tokens else 'the end'!r}")
    return tokens.pop(0)
