"""Calls that a scenario names: whether there are such ones, by botocore's models."""

from __future__ import annotations

import re
from functools import lru_cache

from botocore.exceptions import UnknownServiceError
from botocore.session import get_session


def unknown(named: object) -> str | None:
    """Why a call, or a service, with no wildcard in it can never be met: botocore knows no such one."""
    if not isinstance(named, str) or not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_]+)?", named):
        return None
    service, _, operation = named.partition(".")
    try:
        known = _operations(service)
    except UnknownServiceError:
        return f"there is no service {service!r}: names are botocore's, such as lambda.UpdateAlias"
    return (
        f"{service} has no call {operation!r}: names are botocore's" if operation and operation not in known else None
    )


@lru_cache
def _operations(service: str) -> frozenset[str]:
    model = get_session().get_service_model(service)
    return frozenset(model.operation_names)
