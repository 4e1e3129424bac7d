"""Executions of durable functions, counted while a rollout of one runs (decision 20).

Lambda tells EventBridge of every start and every end (Lambda Developer Guide, "Monitoring durable functions"). A rule,
disabled while nobody needs it, takes those events to a queue, and `count_durable` keeps two items for each version and
minute of starts, under the function's name:

    record                      what
    seen#<version>#<minute>     which executions have started and ended, as sets of digests
    counts#<minute>#<version>   how many these are

To add to a set what is in it changes nothing: events may come twice and in any order, and a handler may die between
any two calls. The counts follow from the sets, and are written by whoever has added to them.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Self

from tidegate.alias import Alias
from tidegate.analysis.durable import Executions, StartMinute
from tidegate.aws import locks, sdk, table
from tidegate.ending.lock import Lock
from tidegate.ending.record import plain
from tidegate.errors import AwsRefused, LedgerUnreadable
from tidegate.frozen import frozen
from tidegate.json_text import as_object
from tidegate.moment import moment

_MINUTE_SECONDS = 60
_SEEN, _COUNTS = "seen#", "counts#"
#: What an execution counts as, by its status; one that ended has started, whether or not anybody has told of that.
_KINDS = {"RUNNING": "started", "SUCCEEDED": "succeeded", "FAILED": "bad", "TIMED_OUT": "bad", "STOPPED": "stopped"}
_STARTED = "started"
_SETS = tuple(dict.fromkeys(_KINDS.values()))
#: API reference, Execution, DurableExecutionArn.
_EXECUTION = re.compile(
    r"arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:function:(?P<name>[a-zA-Z0-9_-]+):(?P<version>[^/:]+)"
    r"/durable-execution/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+"
)
_LONGEST_ARN = 1024
_DIGEST_BYTES = 8
#: So many executions are listed of those that go on: how many more there are is for whoever stops them.
_LISTED = 100
#: An item that is too large, in which there is room for three times what a minute should have.
_FULL = "ValidationException"


@frozen
class StatusChange:
    """An execution has started or ended; times are seconds since the epoch."""

    function_name: str
    version: str
    execution: str
    kind: str
    started_at: float

    @classmethod
    def parse(cls, event: object) -> Self | None:
        """From EventBridge's "Durable Execution Status Change"; None where it is none, or tells of no version.

        The version is that of the execution's own ARN, or else of the function's: in AWS's example one says $LATEST and
        the other 2.
        """
        detail = as_object(as_object(event).get("detail"))
        arn, kind = detail.get("durableExecutionArn"), _KINDS.get(str(detail.get("status")))
        found = _EXECUTION.fullmatch(arn) if isinstance(arn, str) and len(arn) <= _LONGEST_ARN else None
        started_at = moment(detail.get("startTimestamp"))
        if found is None or kind is None or not started_at:
            return None
        said = (found["version"], str(detail.get("functionArn")).rpartition(":")[2])
        version = next((each for each in said if each.isascii() and each.isdigit()), None)
        if version is None:
            return None
        digest = hashlib.sha256(found[0].encode()).digest()[:_DIGEST_BYTES]
        return cls(found["name"], version, base64.b64encode(digest).decode().rstrip("="), kind, started_at)

    @property
    def minute(self) -> int:
        """The minute of its start, in seconds since the epoch."""
        return int(self.started_at) // _MINUTE_SECONDS * _MINUTE_SECONDS

    def is_in_sample(self, one_in: int) -> bool:
        """Whether it is among those that are counted where only one in so many is; the same for start and end."""
        return one_in <= 1 or int.from_bytes(base64.b64decode(f"{self.execution}=")) % one_in == 0


def counting() -> tuple[list[Lock], LedgerUnreadable | None]:
    """The running rollouts whose executions are counted, as `locks.running`."""
    running, unreadable = locks.running()
    return [lock for lock in running if lock.plan and lock.plan.counts_executions], unreadable


def count(function_name: str, version: str, minute: int, changes: Collection[StatusChange], expires_at: float) -> bool:
    """Count what happened to executions that started in one minute; False where there is no room for more of them.

    Idempotent, and in any order. Both items are forgotten at `expires_at`, in seconds since the epoch.
    """
    found = {kind: sorted({each.execution for each in changes if each.kind == kind}) for kind in _SETS}
    found[_STARTED] = sorted({each.execution for each in changes})
    added = {kind: {"SS": executions} for kind, executions in found.items() if executions}
    try:
        seen = _add(function_name, f"{_SEEN}{version}#{_stamp(minute)}", added, expires_at)
    except AwsRefused as error:
        if error.code == _FULL:
            return False
        raise
    _write(function_name, f"{_COUNTS}{_stamp(minute)}#{version}", seen, expires_at)
    return True


def _add(target: str, record: str, added: Mapping[str, Any], expires_at: float) -> dict[str, int]:
    """Add to an item's sets; how large each of them is then."""
    with sdk.refusals(f"count executions of {target}"):
        answer = table.client().update_item(
            TableName=table.name(),
            Key=table.key(target, record),
            UpdateExpression="SET expires_at = :expiry ADD " + ", ".join(f"#{kind} :{kind}" for kind in added),
            ExpressionAttributeNames={f"#{kind}": kind for kind in added},
            ExpressionAttributeValues={
                ":expiry": table.number(int(expires_at)),
                **{f":{kind}": value for kind, value in added.items()},
            },
            ReturnValues="ALL_NEW",
        )
    return {kind: len(answer["Attributes"].get(kind, {}).get("SS", ())) for kind in _SETS}


def _write(target: str, record: str, seen: Mapping[str, int], expires_at: float) -> None:
    """Write how large the sets are, unless somebody has by now who saw more: they only grow."""
    numbers = {kind: table.number(size) for kind, size in seen.items()}
    try:
        with sdk.refusals(f"count executions of {target}"):
            table.client().update_item(
                TableName=table.name(),
                Key=table.key(target, record),
                UpdateExpression="SET expires_at = :expiry, seen = :seen, "
                + ", ".join(f"#{kind} = :{kind}" for kind in numbers),
                ConditionExpression="attribute_not_exists(seen) OR seen < :seen",
                ExpressionAttributeNames={f"#{kind}": kind for kind in numbers},
                ExpressionAttributeValues={
                    ":expiry": table.number(int(expires_at)),
                    ":seen": table.number(sum(seen.values())),
                    **{f":{kind}": number for kind, number in numbers.items()},
                },
            )
    except AwsRefused as error:
        if error.code != "ConditionalCheckFailedException":
            raise


def read_executions(alias: Alias, stable: str, candidate: str, *, since: float, now: float) -> tuple[StartMinute, ...]:
    """Both versions' executions by the minute of their start, oldest first, from that of `since` to that of `now`.

    Minutes in which nothing is known to have started are left out. An execution is of its version, whichever alias it
    was started by.

    Raises:
        AwsUnavailable: the table does not answer.
    """
    minutes: dict[float, dict[str, Executions]] = {}
    for item in _between(alias.function_name, since, now):
        stamp, _, version = str(item["record"]).removeprefix(_COUNTS).partition("#")
        counted = Executions(*(int(item.get(kind, 0)) for kind in ("started", "succeeded", "bad", "stopped")))
        minutes.setdefault(datetime.fromisoformat(stamp).timestamp(), {})[version] = counted
    return tuple(
        StartMinute(at, found.get(stable, Executions()), found.get(candidate, Executions()))
        for at, found in sorted(minutes.items())
        if {stable, candidate} & found.keys()
    )


def _between(function_name: str, since: float, now: float) -> list[dict[str, Any]]:
    request: dict[str, Any] = {
        "TableName": table.name(),
        "KeyConditionExpression": "target = :target AND #record BETWEEN :first AND :last",
        "ExpressionAttributeNames": {"#record": "record"},
        "ExpressionAttributeValues": {
            ":target": table.text(function_name),
            ":first": table.text(f"{_COUNTS}{_stamp(since)}"),
            # "$" follows "#", after which the version comes.
            ":last": table.text(f"{_COUNTS}{_stamp(now)}$"),
        },
    }
    found: list[dict[str, Any]] = []
    while True:
        with sdk.refusals(f"read the executions of {function_name}"):
            page = table.client().query(**request)
        found += map(plain, page["Items"])
        if "LastEvaluatedKey" not in page:
            return found
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _stamp(at: float) -> str:
    return f"{datetime.fromtimestamp(int(at), UTC):%Y-%m-%dT%H:%MZ}"


def running(function_name: str, version: str) -> tuple[tuple[str, ...], bool]:
    """The names of a version's executions that go on, some of them, and whether there are more. Gives up soon."""
    with sdk.refusals(f"list the executions of {function_name}:{version}"):
        page = sdk.hasty_client("lambda").list_durable_executions_by_function(
            FunctionName=function_name, Qualifier=version, Statuses=["RUNNING"], MaxItems=_LISTED
        )
    names = tuple(str(each["DurableExecutionName"]) for each in page["DurableExecutions"])
    return names, bool(page.get("NextMarker"))


def enable_rule() -> None:
    """Have Lambda's events come; harmless where they do.

    Raises:
        AwsUnavailable: EventBridge does not answer, or throttles.
        PermissionDenied, AwsRefused: it will not, and why.
    """
    _switch("enable_rule", "count executions")


def keep_rule_enabled() -> bool:
    """Have them come again where somebody has disabled the rule meanwhile; whether that was so. Raises as
    `enable_rule`.
    """
    name = _rule()
    with sdk.refusals(f"read rule {name}"):
        if sdk.client("events").describe_rule(Name=name)["State"] == "ENABLED":
            return False
    enable_rule()
    return True


def disable_rule_if_unused() -> bool:
    """Have them come no more, where no rollout counts executions; whether that is so.

    Who starts one writes its plan before he enables the rule: one that was written meanwhile is seen after.
    """
    if any(counting()):
        return False
    _switch("disable_rule", "stop counting executions")
    if any(counting()):
        enable_rule()
        return False
    return True


def _switch(call: str, doing: str) -> None:
    name = _rule()
    with sdk.refusals(f"{doing}, by rule {name}"):
        getattr(sdk.client("events"), call)(Name=name)


def _rule() -> str:
    return os.environ["DURABLE_RULE"]
