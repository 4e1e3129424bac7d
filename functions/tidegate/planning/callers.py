"""Callers of an alias to whom a failure may be an answer: Lambda counts no error then, and only an alarm sees it."""

from __future__ import annotations

from enum import Enum

_ANSWER = "an answer such as a 500"


class Caller(Enum):
    """A kind of caller: how it is told of, what of it is no error of Lambda's, and what an alarm may watch instead."""

    API = "API Gateway may call this function", _ANSWER, "the API's 5XX errors"
    LOAD_BALANCER = "a load balancer may call this function", _ANSWER, "its HTTPCode_Target_5XX_Count"
    FUNCTION_URL = "this alias has a function URL", _ANSWER, "its Url5xxCount"
    EVENT_SOURCE = (
        "an event source of this alias takes partial batch responses",
        "an item that is reported as failed",
        "the age of its oldest item",
    )

    @property
    def warning(self) -> str:
        """What a plan says of it."""
        who, what, watched = self.value
        unseen = f"{who}: {what} is no Lambda error, and neither the judge nor a limit sees it by itself"
        return (
            f"{unseen}; have it counted (health.judge.metrics), or name an alarm on {watched} in the request's alarms"
        )
