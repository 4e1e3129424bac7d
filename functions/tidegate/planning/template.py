"""One resource of a CloudFormation template that is written as YAML.

Read from the parser's events, up to that resource, and nothing else of the template is built: no tag is obeyed, no
alias is followed. The parser is ruamel.yaml: PyYAML's wheels hold a library that the zip has no room for.
PlanRollout's share of a CPU takes a second for some 4,000 events, so that their number is bounded.

Imported only where such a template is read: no other handler pays for the parser.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

#: No template is nested like this, and a parser takes the square of the depth.
_DEEPEST = 100
#: What a warning may cost a rollout: five seconds or so.
_MOST_EVENTS = 20_000
#: What the parser lets through beside its own: a number of a version or of a character that is none.
_UNREADABLE = (YAMLError, ValueError, ArithmeticError, AssertionError, LookupError)

_BEGINS = (MappingStartEvent, SequenceStartEvent)
_ENDS = (MappingEndEvent, SequenceEndEvent)


def resource(template: str, logical_id: str) -> dict[str, Any] | None:
    """The resource of that logical id as its JSON would be, every scalar as its text; None where there is none.

    A value with a tag of its own, such as `!GetAtt`, is `{"!GetAtt": value}`, and one that stands elsewhere (`*alias`)
    is None. What cannot be parsed, or not in so many events, has no resource.
    """
    try:
        events = _bounded(YAML(typ="safe", pure=True).parse(template))
        place = _first(events)
        for key in ("Resources", logical_id):
            place = _value_of(events, place, key)
        found = _built(events, place) if place else None
    except _UNREADABLE:
        return None
    return found if isinstance(found, dict) else None


def _bounded(events: Iterator[Any]) -> Iterator[Any]:
    yield from islice(events, _MOST_EVENTS)
    raise YAMLError(f"more than {_MOST_EVENTS} events")


def _first(events: Iterator[Any]) -> Any:
    return next((event for event in events if isinstance(event, NodeEvent)), None)


def _value_of(events: Iterator[Any], place: Any, key: str) -> Any:
    """The event with which the value of a mapping's key begins; None where `place` begins none with that key."""
    if not isinstance(place, MappingStartEvent):
        return None
    while not isinstance(event := next(events), MappingEndEvent):
        found = isinstance(event, ScalarEvent) and event.value == key
        _pass(events, event)
        value = next(events)
        if found:
            return value
        _pass(events, value)
    return None


def _pass(events: Iterator[Any], event: Any) -> None:
    """Read on to the end of the node that begins with the event."""
    depth = int(isinstance(event, _BEGINS))
    while depth:
        event = next(events)
        depth += isinstance(event, _BEGINS) - isinstance(event, _ENDS)
        _require_shallow(depth)


def _built(events: Iterator[Any], event: Any, depth: int = 0) -> Any:
    """The value that begins with the event."""
    _require_shallow(depth)
    value: Any = None
    if isinstance(event, ScalarEvent):
        value = event.value
    elif isinstance(event, SequenceStartEvent):
        value = []
        while not isinstance(inner := next(events), SequenceEndEvent):
            value.append(_built(events, inner, depth + 1))
    elif isinstance(event, MappingStartEvent):
        value = {}
        while not isinstance(inner := next(events), MappingEndEvent):
            key = _built(events, inner, depth + 1)
            value[str(key)] = _built(events, next(events), depth + 1)
    tag = getattr(event, "tag", None)
    return {tag: value} if tag and tag.startswith("!") and tag != "!" else value


def _require_shallow(depth: int) -> None:
    if depth > _DEEPEST:
        raise YAMLError(f"more than {_DEEPEST} levels")
