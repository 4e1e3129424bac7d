"""Logs and metrics of the handlers, wired in this one place (AWS Lambda Powertools)."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.typing import LambdaContext

from tidegate.aws.patience import EACH_CALL, Patience, begin
from tidegate.errors import RolloutError
from tidegate.json_text import as_object
from tidegate.printable import printable

Document = dict[str, Any]

NAMESPACE = "Tidegate"


def _line(record: Mapping[str, Any]) -> str:
    """A log line is read on a terminal, too: what others wrote in it must not steer that."""
    return printable(json.dumps(record, default=str, separators=(",", ":"), ensure_ascii=False))


#: Of the invocation that runs: its end, in seconds since the epoch.
_ends_at = 0.0

#: The service, here and in metrics, is the stack (POWERTOOLS_SERVICE_NAME): one's alarm is not another's.
logger = Logger(json_serializer=_line)


def task(
    state: str, patience: Patience = EACH_CALL
) -> Callable[[Callable[[Document], Document]], Callable[[Document, LambdaContext], Document]]:
    """Make a handler of a function from event to result: every log line says whose rollout it is about.

    `patience` is for how long it asks AWS again where that is throttled.
    """
    _end_imports()

    def decorate(handle: Callable[[Document], Document]) -> Callable[[Document, LambdaContext], Document]:
        @wraps(handle)
        def handler(event: Document, context: LambdaContext) -> Document:
            logger.clear_state()
            logger.append_keys(state=state, request_id=context.aws_request_id)
            _end_at(time.time() + context.get_remaining_time_in_millis() / 1000)
            identify(event)
            begin(patience)
            try:
                return handle(event)
            except RolloutError as error:
                logger.warning(str(error), error=type(error).__name__)
                raise

        return handler

    return decorate


def _end_at(when: float) -> None:
    global _ends_at  # noqa: PLW0603 - Lambda runs one invocation at a time in each environment
    _ends_at = when


def seconds_left() -> float:
    """For how long the invocation may still run: then Lambda ends it."""
    return _ends_at - time.time()


def _end_imports() -> None:
    """What was imported stays: the collector, off since `application` began, need not look there."""
    gc.freeze()
    gc.enable()


def identify(event: Document) -> None:
    """Put execution, function, alias and versions of an event into every following log line.

    Whoever may invoke a function may send it any JSON.
    """
    logger.append_keys(**_keys(event))


def identify_in_thread(event: Document) -> None:
    """The same for the lines of this thread alone, in the place of what it said before."""
    logger.thread_safe_clear_keys()
    logger.thread_safe_append_keys(**_keys(event))


def _keys(event: Document) -> Document:
    event = as_object(event)
    plan = as_object(event.get("plan"))
    keys = {
        "execution": plan.get("execution_arn") or event.get("execution_arn"),
        "function": plan.get("function_name"),
        "alias": plan.get("alias_name"),
        "stable": plan.get("stable"),
        "candidate": event.get("candidate"),
    }
    return {key: value for key, value in keys.items() if value}


@contextmanager
def best_effort(doing: str, failing: type[RolloutError] = RolloutError) -> Iterator[None]:
    """Log what fails and go on: for what must never stop or change a rollout."""
    try:
        yield
    except failing as error:
        logger.warning("could not do what may fail", doing=doing, reason=str(error), error=type(error).__name__)


def count(name: str, **dimensions: str) -> None:
    """One more of what a metric counts, in CloudWatch's embedded format, on standard output."""
    _send(name, 1, MetricUnit.Count, dimensions)


def gauge(name: str, value: int) -> None:
    """How many of something there are now, likewise; what nobody knows is not sent."""
    _send(name, value, MetricUnit.Count, {})


def measure(name: str, seconds: float) -> None:
    """How long something took, likewise."""
    _send(name, seconds, MetricUnit.Seconds, {})


def _send(name: str, value: float, unit: MetricUnit, dimensions: Mapping[str, str]) -> None:
    with single_metric(name=name, unit=unit, value=value, namespace=NAMESPACE) as metric:
        for dimension, of in dimensions.items():
            metric.add_dimension(dimension, of)
