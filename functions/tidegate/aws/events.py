"""Events on the default bus, source `tidegate`."""

from __future__ import annotations

import json
from typing import Any

from tidegate.aws import sdk
from tidegate.errors import AwsUnavailable

SOURCE = "tidegate"
DETAIL_VERSION = "1"


def emit(name: str, detail: dict[str, Any]) -> None:
    """Send one event; `name` is its detail-type.

    Raises:
        AwsUnavailable: EventBridge did not take it.
    """
    entry = {"Source": SOURCE, "DetailType": name, "Detail": json.dumps({"version": DETAIL_VERSION, **detail})}
    with sdk.refusals(f"send event {name}"):
        response = sdk.hasty_client("events").put_events(Entries=[entry])
    if response.get("FailedEntryCount"):
        raise AwsUnavailable(f"could not send event {name}: {response['Entries'][0].get('ErrorCode')}")
