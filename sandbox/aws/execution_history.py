"""What an execution has done, event by event, as GetExecutionHistory tells it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.stepfunctions.exceptions import InvalidToken
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from sandbox.aws.stack import ACCOUNT_ID, REGION

#: A value of moto's whose own annotations do not tell its attributes.
Moto = Any

_PAGE, _LARGEST_PAGE = 100, 1000
_EXECUTION_DATA = frozenset({"input", "inputDetails", "output", "outputDetails"})


def get_execution_history(response: Moto) -> ActionResult:
    """In pages, and newest first if asked; moto returns everything, whatever was asked for."""
    events = events_of(response.stepfunction_backend.describe_execution(response._get_param("executionArn")))
    if response._get_param("reverseOrder"):
        events = events[::-1]
    size = min(response._get_int_param("maxResults") or _PAGE, _LARGEST_PAGE)
    token = response._get_param("nextToken") or "0"
    if not token.isdigit():
        raise InvalidToken(f"Invalid Token: '{token}'")
    end = int(token) + size
    page = copy.deepcopy(events[int(token) : end])
    if response._get_param("includeExecutionData") is False:
        page = [_without_data(event) for event in page]
    rest = {"nextToken": str(end)} if end < len(events) else {}
    return ActionResult({"events": page, **rest})


def history(arn: str) -> list[dict[str, Any]]:
    """Every event of an execution, oldest first. As GetExecutionHistory has them, which takes longer for a long one."""
    execution = stepfunctions_parser_backends[ACCOUNT_ID][REGION].describe_execution(arn)
    return [{**event, "timestamp": datetime.fromisoformat(event["timestamp"])} for event in events_of(execution)]


def events_of(execution: Moto) -> list[dict[str, Any]]:
    """Every event so far, as moto keeps them."""
    events: list[dict[str, Any]] = execution.exec_worker.env.event_manager._history_event_list
    return events


def _without_data(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: {name: each for name, each in value.items() if name not in _EXECUTION_DATA}
        if isinstance(value, dict)
        else value
        for key, value in event.items()
    }
