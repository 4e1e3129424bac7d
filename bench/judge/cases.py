"""Recorded rollouts to judge: what CloudWatch had to say about both versions, minute by minute, and the truth.

A file is one JSON object; keys that are not named here are left alone.

    {"cases": [{"id": "d01", "name": "identical, 12 rpm",
                "minutes": [{"t": 0, "w": 0.1, "seen_at": 2,
                             "b": {"n": 14, "errors": 1, "slow": 0},       the stable version
                             "c": {"n": null, "errors": null, "slow": null}}],  the candidate; null: no datapoint
                "truth": {"label": "good", "onset": null, "expected_excess": [0.0]},
                "history": {"requests": 1440, "errors": 24, "requests_per_minute": 1.0, "p99_known": true},
                "judge": {"slow": {"max_ratio": 1.5}}, "regime": "low traffic"}]}

`t` is the minute since the start, `w` the candidate's weight (a fraction), `seen_at` the first poll at which the
datapoint is complete. `onset` is the minute harm begins, `expected_excess` how many requests the candidate hurts in
each minute; a case that is good needs neither. `history` is the day before, `judge` what a request says of the judge
(`health.judge`), and `truth.oracle2_hurt` how many requests an oracle with both keys hurts: each may be left out, as
may the `regime` that a case is of.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from tidegate.request.health import JudgeRequest

#: CloudWatch is one to three minutes late: a minute this many minutes past its end is settled.
SETTLE_MINUTES = 2

Metric = Literal["errors", "slow"]
Label = Literal["good", "bad"]


class CasesUnusable(Exception):
    """The file cannot be read as cases; the message lists every problem."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("The cases cannot be used: " + "; ".join(self.problems))


@dataclass(frozen=True, slots=True)
class Counts:
    """One version in one minute. None: CloudWatch returned no datapoint, which is not a zero."""

    n: int | None
    errors: int | None
    slow: int | None

    def bad(self, metric: Metric) -> int | None:
        """How many requests were bad by this metric."""
        return self.errors if metric == "errors" else self.slow


NO_DATAPOINTS = Counts(None, None, None)


@dataclass(frozen=True, slots=True)
class Minute:
    """Both versions in one minute."""

    t: int
    weight: float
    seen_at: int
    stable: Counts
    candidate: Counts


@dataclass(frozen=True, slots=True)
class Truth:
    """What a rule is scored by and never sees."""

    label: Label
    onset: int
    expected_excess: tuple[float, ...]
    oracle2_hurt: float | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The stable version in the day before; `p99_known`: whether what is slow is known."""

    requests: int
    errors: int
    requests_per_minute: float
    p99_known: bool


@dataclass(frozen=True, slots=True)
class Step:
    """Minutes `start` up to, not including, `end` at one weight, as positions in the case's minutes."""

    weight: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Case:
    """One recorded rollout. Its polls are at 1, 2 … len(minutes), in minutes since the start."""

    id: str
    name: str
    minutes: tuple[Minute, ...]
    truth: Truth
    history: History | None = None
    judge: JudgeRequest = field(default_factory=JudgeRequest)
    regime: str = ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The runs of minutes at one weight: what was served counts, not what was planned."""
        if not self.minutes:
            return ()
        changes = [i for i, minute in enumerate(self.minutes) if i == 0 or minute.weight != self.minutes[i - 1].weight]
        ends = [*changes[1:], len(self.minutes)]
        return tuple(Step(self.minutes[start].weight, start, end) for start, end in zip(changes, ends, strict=True))


#: What a rule can look at in the poll at `now`.
View = Callable[[Case, int], tuple[Minute, ...]]


def settled(case: Case, now: int) -> tuple[Minute, ...]:
    """The minutes old enough to count, each taken as complete.

    Simplifies: a datapoint that comes later than the settle time is there all the same.
    """
    return tuple(minute for minute in case.minutes if minute.t < now - SETTLE_MINUTES)


def visible(case: Case, now: int) -> tuple[Minute, ...]:
    """Every minute that is over, blank where CloudWatch has nothing to show yet."""
    over = (minute for minute in case.minutes if minute.t < now)
    return tuple(
        minute if minute.seen_at <= now else replace(minute, stable=NO_DATAPOINTS, candidate=NO_DATAPOINTS)
        for minute in over
    )


def read(path: Path) -> tuple[Case, ...]:
    """The cases of a file. Raises CasesUnusable, for a file that cannot be read as well."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CasesUnusable([f"{path} is not readable JSON ({error})"]) from error
    return from_json(document)


def from_json(document: object) -> tuple[Case, ...]:
    """The cases of a parsed document. Raises CasesUnusable with everything that is wrong."""
    reader = _Reader()
    cases = tuple(reader.cases(document))
    if reader.problems:
        raise CasesUnusable(reader.problems)
    return cases


# --- Reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    accepts: Callable[[Any], bool]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_COUNT = _Kind("a whole number from 0", _is_count)
_COUNT_OR_NULL = _Kind("a whole number from 0, or null", lambda value: value is None or _is_count(value))
_FRACTION = _Kind("a fraction from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
_POSITIVE = _Kind("a number from 0", lambda value: _is_number(value) and value >= 0)
_BOOLEAN = _Kind("true or false", lambda value: isinstance(value, bool))
_LABEL = _Kind('"good" or "bad"', lambda value: value in ("good", "bad"))
_LIST = _Kind("a list", lambda value: isinstance(value, list))
_NUMBERS = _Kind("a list of numbers", lambda value: isinstance(value, list) and all(map(_is_number, value)))
_OBJECT = _Kind("an object", lambda value: isinstance(value, Mapping))
_TEXT = _Kind("a text", lambda value: isinstance(value, str) and value != "")

_LONGEST_QUOTE = 40


def _names(id_: str) -> tuple[tuple[str, str], ...]:
    """The texts that may be left out, and what stands for them."""
    return ("name", id_), ("regime", "")


class _Reader:
    """Reads on after a problem, with a value that stands in, so that one look finds every problem."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def cases(self, document: object) -> list[Case]:
        if not self._is(document, _OBJECT, "the document"):
            return []
        raw = self._take(document, "cases", "the document", _LIST, [])
        cases = [self._case(case, f"cases[{i}]") for i, case in enumerate(raw)]
        ids = [case.id for case in cases if case.id]
        self.problems += [f"the id {id_!r} is given twice" for id_ in dict.fromkeys(ids) if ids.count(id_) > 1]
        return cases

    def _case(self, raw: object, where: str) -> Case:
        if not self._is(raw, _OBJECT, where):
            return Case("", "", (), Truth("good", 0, ()))
        id_ = self._take(raw, "id", where, _TEXT, "")
        where = f"case {id_}" if id_ else where
        given: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {}
        name, regime = (given[key] if isinstance(given.get(key), str) else instead for key, instead in _names(id_))
        minutes = self._take(raw, "minutes", where, _LIST, [])
        return Case(
            id=id_,
            name=name,
            minutes=self._minutes(minutes, where),
            truth=self._truth(self._take(raw, "truth", where, _OBJECT, None), f"{where}: truth", len(minutes)),
            history=self._history(given.get("history"), f"{where}: history"),
            judge=self._judge(given.get("judge", {}), f"{where}: judge"),
            regime=regime,
        )

    def _history(self, raw: object, where: str) -> History | None:
        if raw is None or not self._is(raw, _OBJECT, where):
            return None
        requests, errors = (self._take(raw, key, where, _COUNT, 0) for key in ("requests", "errors"))
        rate = self._take(raw, "requests_per_minute", where, _POSITIVE, 0.0)
        return History(requests, errors, rate, self._take(raw, "p99_known", where, _BOOLEAN, True))

    def _judge(self, raw: object, where: str) -> JudgeRequest:
        try:
            return JudgeRequest.model_validate(raw)
        except ValidationError as error:
            self.problems += [f"{where}.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
            return JudgeRequest()

    def _minutes(self, raw: list[object], where: str) -> tuple[Minute, ...]:
        places = [f"{where}: minutes[{i}]" for i in range(len(raw))]
        minutes = tuple(
            self._minute(minute, place)
            for minute, place in zip(raw, places, strict=True)
            if self._is(minute, _OBJECT, place)
        )
        if any(later.t <= earlier.t for earlier, later in pairwise(minutes) if later.t >= 0):
            self.problems.append(f"{where}: the minutes' t do not rise")
        return minutes

    def _minute(self, raw: object, where: str) -> Minute:
        return Minute(
            t=self._take(raw, "t", where, _COUNT, -1),
            weight=self._take(raw, "w", where, _FRACTION, 0.0),
            seen_at=self._take(raw, "seen_at", where, _COUNT, 0),
            stable=self._counts(self._take(raw, "b", where, _OBJECT, None), f"{where}.b"),
            candidate=self._counts(self._take(raw, "c", where, _OBJECT, None), f"{where}.c"),
        )

    def _counts(self, raw: object, where: str) -> Counts:
        if raw is None:
            return NO_DATAPOINTS
        n, errors, slow = (self._take(raw, key, where, _COUNT_OR_NULL, None) for key in ("n", "errors", "slow"))
        return Counts(n, errors, slow)

    def _truth(self, raw: object, where: str, minutes: int) -> Truth:
        given: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {}
        if raw is None:
            return Truth("good", 0, ())
        label = self._take(raw, "label", where, _LABEL, "good")
        if label == "good":
            return Truth("good", 0, ())
        onset = self._take(raw, "onset", where, _COUNT_OR_NULL, None)
        excess = self._take(raw, "expected_excess", where, _NUMBERS, None)
        if minutes and excess is not None and len(excess) != minutes:
            self.problems.append(f"{where}.expected_excess speaks of {len(excess)} minutes, the case has {minutes}")
        oracle = self._take(raw, "oracle2_hurt", where, _POSITIVE, None) if "oracle2_hurt" in given else None
        return Truth("bad", onset or 0, tuple(excess or ()), oracle)

    def _take(self, raw: Any, key: str, where: str, kind: _Kind, instead: Any) -> Any:
        if key not in raw:
            self.problems.append(f"{where} has no {key}")
            return instead
        return raw[key] if self._is(raw[key], kind, f"{where}.{key}") else instead

    def _is(self, value: object, kind: _Kind, where: str) -> bool:
        if kind.accepts(value):
            return True
        quote = repr(value)
        quote = quote if len(quote) <= _LONGEST_QUOTE else f"{quote[:_LONGEST_QUOTE]}…"
        self.problems.append(f"{where} is {quote}, not {kind.name}")
        return False
