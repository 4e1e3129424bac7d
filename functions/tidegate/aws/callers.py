"""Who calls an alias, as far as a failure may be an answer to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tidegate.alias import Alias
from tidegate.aws import sdk
from tidegate.errors import AwsRefused
from tidegate.planning.callers import Caller

#: By the first label of the service's name, which is the same in every partition.
_PRINCIPALS = {"apigateway": Caller.API, "elasticloadbalancing": Caller.LOAD_BALANCER}


def permitted(alias: Alias, _arn: str) -> list[Caller]:
    """Whom the alias's own resource policy lets in."""
    return _permitted(alias, Qualifier=alias.name)


def permitted_by_function(alias: Alias, _arn: str) -> list[Caller]:
    """Whom the function's resource policy lets in, which holds for its bare name (API reference, AddPermission)."""
    return _permitted(alias)


def by_url(alias: Alias, _arn: str) -> list[Caller]:
    """The function URL of the alias."""
    url = _answer("get_function_url_config", alias, FunctionName=alias.function_name, Qualifier=alias.name)
    return [Caller.FUNCTION_URL] if url else []


def by_event_source(alias: Alias, arn: str) -> list[Caller]:
    """An event source that asks which items of a batch failed; the first hundred are looked at."""
    found = _answer("list_event_source_mappings", alias, FunctionName=arn).get("EventSourceMappings", [])
    partial = [
        "ReportBatchItemFailures" in (each.get("FunctionResponseTypes") or ())
        for each in found
        if each.get("State") != "Disabled"
    ]
    return [Caller.EVENT_SOURCE] if any(partial) else []


#: Each may fail on its own. They take an alias and its ARN.
READS: tuple[Callable[[Alias, str], list[Caller]], ...] = (permitted, permitted_by_function, by_url, by_event_source)


def _permitted(alias: Alias, **qualifier: str) -> list[Caller]:
    policy = _answer("get_policy", alias, FunctionName=alias.function_name, **qualifier).get("Policy", "{}")
    allowed = [each.get("Principal") for each in json.loads(policy).get("Statement", ()) if each["Effect"] == "Allow"]
    principals = json.dumps(allowed)
    return [caller for service, caller in _PRINCIPALS.items() if f'"{service}.' in principals]


def _answer(call: str, alias: Alias, **params: str) -> Mapping[str, Any]:
    """What Lambda answers; nothing where there is nothing of the kind."""
    try:
        with sdk.refusals(f"see who calls {alias}"):
            answer: Mapping[str, Any] = getattr(sdk.hasty_client("lambda"), call)(**params)
            return answer
    except AwsRefused as error:
        if error.code != "ResourceNotFoundException":
            raise
        return {}
