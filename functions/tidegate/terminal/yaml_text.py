"""YAML that means what its JSON would mean: no dates, no `yes` for true, nothing that stands for something else."""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import ScalarNode, SequenceNode

from tidegate import json_text
from tidegate.json_text import Unreadable

_DEEPEST = 100
#: What parsers of YAML raise beside their own errors, as of "\\UFFFFFFFF", which is no character, or of "%YAML 1.9".
STUMBLES = (ValueError, ArithmeticError, AssertionError, LookupError)
#: The core schema's plain scalars (YAML 1.2.2, "10.3.2. Tag Resolution"), as far as JSON has them.
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {word: word[0] in "tT" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_WHOLE = re.compile(r"[-+]?[0-9]{1,400}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def parsed_yaml(text: str) -> Any:
    """The value of a YAML document.

    Raises:
        Unreadable: it is none, or none that JSON could say.
    """
    wrong: list[str] = []
    try:
        _require_plain(text)
        node = _parser().compose(text)
        value = None if node is None else _value(node, wrong)
    except Unreadable:
        raise
    except (YAMLError, *STUMBLES) as error:
        raise Unreadable(f"is not YAML: {place(error)}") from None
    except RecursionError:
        json_text.too_deep()
    if node is None:
        raise Unreadable("is not YAML: it is empty")
    json_text.require_usable(wrong)
    return value


def _parser() -> YAML:
    return YAML(typ="safe", pure=True)


def _require_plain(text: str) -> None:
    """Nothing is read that stands for something else: an alias of an alias of lists grows without end.

    Raises:
        Unreadable: it is nested too deeply; the parser takes the square of the depth.
    """
    depth = 0
    for event in _parser().parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _DEEPEST:
            json_text.too_deep()
        if isinstance(event, AliasEvent):
            raise MarkedYAMLError(problem="an alias (*) is not understood: write it out", problem_mark=event.start_mark)
        if getattr(event, "anchor", None) is not None:
            problem = "an anchor (&) is not understood: leave it out"
            raise MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        if getattr(event, "tag", None) not in {None, "!"}:
            raise MarkedYAMLError(problem="a tag (!) is not understood", problem_mark=event.start_mark)


def _value(node: Any, wrong: list[str]) -> Any:
    if isinstance(node, SequenceNode):
        return [_value(each, wrong) for each in node.value]
    if isinstance(node, ScalarNode):
        return _scalar(node.value, wrong) if node.style is None else node.value
    value: dict[str, Any] = {}
    for key, each in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            wrong.append(f"line {line}: a key is no text")
            continue
        if key.value in value:
            wrong.append(f"line {line}: {json_text.repeats(key.value)}")
        value[key.value] = _value(each, wrong)
    return value


def _scalar(text: str, wrong: list[str]) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return json_text.fraction(text, wrong) if _NUMBER.fullmatch(text) else text


def place(error: Exception) -> str:
    """Where a document stops being YAML, and why as far as a parser knows; of ruamel.yaml's errors or PyYAML's."""
    if isinstance(error, STUMBLES):
        return (
            r"it has an escape (\x, \u or \U) that is no character, a %YAML line of no version, or a date that is none"
        )
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return "it has a character that no text should have"
    problem = str(getattr(error, "problem", ""))
    said = problem if "is not understood" in problem else "it cannot be read from there on"
    return f"line {mark.line + 1}, column {mark.column + 1}: {said}"
