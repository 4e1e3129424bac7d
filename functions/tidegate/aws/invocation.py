"""One synchronous invocation of a function of the user's. It may have effects, so it is never made twice here."""

from __future__ import annotations

import json
import time
from typing import Any

from botocore.exceptions import ReadTimeoutError

from tidegate.aws import sdk
from tidegate.errors import AwsUnavailable
from tidegate.hooks.smoke_test import Answer

#: Lambda adds its own overhead to an invocation's duration.
_ANSWER_GRACE_SECONDS = 5


def once(
    function_name: str, qualifier: str, document: Any, limit_seconds: int, *, max_bytes: int | None = None
) -> Answer:
    """What the function answers to a document, any JSON; more than `max_bytes` of it is not read.

    An answer that does not come in time is an answer too: one that took too long.

    Raises:
        AwsUnavailable: Lambda did not run the function (throttled, not ready), or the connection broke.
    """
    patience_seconds = limit_seconds + _ANSWER_GRACE_SECONDS
    client = sdk.patient_client("lambda", patience_seconds)
    qualified = {"Qualifier": qualifier} if qualifier else {}
    started = time.time()
    try:
        with sdk.refusals(f"invoke {':'.join((function_name, *qualified.values()))}"):
            response = client.invoke(FunctionName=function_name, Payload=json.dumps(document).encode(), **qualified)
            payload = response["Payload"].read(max_bytes)
    except AwsUnavailable as error:
        if isinstance(error.__cause__, ReadTimeoutError):
            return Answer(b"", None, patience_seconds * 1000.0)
        raise
    return Answer(payload, response.get("FunctionError"), (time.time() - started) * 1000)
