"""Expressions that fail: what Step Functions says of one, and which events it leaves (recorded facts, S1).

moto names neither the field nor the state, and leaves an event only where a Task fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext, EventManager

#: A value of moto's whose own annotations do not tell its attributes.
Moto = Any

#: The definition, JSON, that the execution follows which runs here.
definition: ContextVar[str] = ContextVar("definition")

_DETAILS = "evaluationFailedEventDetails"


def failure(env: Environment, expression: str, reason: str) -> FailureEventException:
    """An expression that has failed: States.QueryEvaluationError. Its event is there from now on."""
    events: Moto = env.event_manager._history_event_list
    entered = next(event for event in reversed(events) if "stateEnteredEventDetails" in event)
    state = entered["stateEnteredEventDetails"]["name"]
    field = _fields(definition.get()).get((state, expression), "")
    error = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
    failed: Moto = {
        _DETAILS: {
            "error": error.error_name,
            "cause": f"An error occurred while executing the state '{state}' (entered at the event id"
            f" #{entered['id']}). The JSONata expression '{expression}' specified for the field '{field}' {reason}",
            "location": field,
            "state": state,
        }
    }
    # It comes after what came before the state.
    before = EventHistoryContext(previous_event_id=entered["previousEventId"])
    env.event_manager.add_event(before, HistoryEventType.EvaluationFailed, failed)
    env.event_history_context.source_event_id = before.source_event_id
    return FailureEventException(
        FailureEvent(env=env, error_name=error, event_type=HistoryEventType.EvaluationFailed, event_details=failed)
    )


def add_event_once(add_event: Callable[..., int]) -> Callable[..., int]:
    """moto's EventManager.add_event, by which a failed expression of a Task is not told a second time."""

    def add(
        manager: EventManager,
        context: EventHistoryContext,
        event_type: HistoryEventType,
        event_details: Moto = None,
        **more: Any,
    ) -> int:
        last: Moto = manager._history_event_list[-1] if manager._history_event_list else {}
        if event_details and _DETAILS in event_details and last.get(_DETAILS) is event_details[_DETAILS]:
            context.source_event_id = last["id"]
            return int(last["id"])
        return add_event(manager, context, event_type, event_details, **more)

    return add


def execution_failed(tell: Callable[..., Any]) -> Callable[..., Any]:
    """moto's details of ExecutionFailed, by which the state is not named a second time."""

    def details(failed: FailureEventException) -> Any:
        event: Moto = failed.failure_event.event_details
        if event and _DETAILS in event:
            return {key: event[_DETAILS][key] for key in ("error", "cause")}
        return tell(failed)

    return details


@lru_cache(maxsize=64)
def _fields(machine: str) -> dict[tuple[str, str], str]:
    """Where an expression stands in a state; the first place, in the order of evaluation, where it stands in several.

    Recorded are names of fields, as "Arguments/FunctionName"; of what stands in a list the number is chosen.
    """
    places: dict[tuple[str, str], str] = {}
    for name, state in json.loads(machine)["States"].items():
        for key in sorted(state, key=("Arguments", "Assign").__contains__, reverse=True):
            for place, text in _expressions(state[key], key):
                places.setdefault((name, text), place)
    return places


def _expressions(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and value.startswith("{%"):
        yield place, value.removeprefix("{%").removesuffix("%}").strip()
    elif isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _expressions(each, f"{place}/{key}")
