"""Event source mappings: what Lambda polls, and which function, version or alias it invokes with a batch.

moto lists no mapping of an alias under that alias's ARN, and makes none of a queue that it does not have.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from sandbox.aws.boundary import Boundary, Params, Response
from sandbox.aws.clock import Clock
from sandbox.aws.lambda_records import FUNCTION_ARN, LATEST, function_name, qualifier

MAPPINGS_PER_CALL: Final = 100
_MAPPING_ARN: Final = "arn:aws:lambda:us-east-1:123456789012:event-source-mapping:"
_BATCHES: Final = {"sqs": 10}
"""How many records an invocation has, where nobody says; of streams it is 100 (API reference,
CreateEventSourceMapping, BatchSize)."""


class EventSources:
    """The account's event source mappings; sources and functions are taken to exist."""

    def __init__(self, boundary: Boundary, clock: Clock) -> None:
        self._clock = clock
        self._mappings: list[dict[str, Any]] = []
        boundary.serve("lambda.CreateEventSourceMapping", self.create)
        boundary.serve("lambda.ListEventSourceMappings", self.list)

    def create(self, params: Params) -> Response:
        """CreateEventSourceMapping, at work at once. What is asked for is what it shows."""
        source, ident = str(params["EventSourceArn"]), str(uuid5(NAMESPACE_URL, f"mapping {len(self._mappings)}"))
        asked = {key: value for key, value in params.items() if key not in {"Enabled", "FunctionName", "Tags"}}
        mapping = {
            "BatchSize": _BATCHES.get(source.split(":")[2], 100),
            "FunctionResponseTypes": [],
            "MaximumBatchingWindowInSeconds": 0,
            **asked,
            "UUID": ident,
            "EventSourceMappingArn": _MAPPING_ARN + ident,
            "FunctionArn": _arn(params),
            "LastModified": datetime.fromtimestamp(self._clock.now(), UTC),
            "State": "Enabled" if params.get("Enabled", True) else "Disabled",
        }
        self._mappings.append(mapping)
        return mapping

    def list(self, params: Params) -> Response:
        """ListEventSourceMappings, of everything, of a source, or of a function.

        A function's name alone means its mappings without a qualifier, and that of an alias the alias's own: nobody has
        said whether AWS shows the ones of aliases under the name alone, and who asks for an alias needs to name it.
        """
        found = [
            mapping
            for mapping in self._mappings
            if mapping["EventSourceArn"] == params.get("EventSourceArn", mapping["EventSourceArn"])
            and ("FunctionName" not in params or mapping["FunctionArn"] == _arn(params))
        ]
        begin = int(params.get("Marker") or 0)
        end = begin + min(params.get("MaxItems", MAPPINGS_PER_CALL), MAPPINGS_PER_CALL)
        more = {"NextMarker": str(end)} if end < len(found) else {}
        return {"EventSourceMappings": found[begin:end], **more}


def _arn(params: Params) -> str:
    named = qualifier(params)
    return f"{FUNCTION_ARN}{function_name(params)}" + ("" if named == LATEST else f":{named}")
