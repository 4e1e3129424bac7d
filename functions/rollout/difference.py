"""What the candidate has that the stable version has not: code and configuration, never a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Configuration:
    """What makes a version: sizes in MB, `timeout` in seconds, layers by ARN, the rest in Lambda's own words.

    `environment` holds a digest of each variable's value, by name: enough to tell that it changed.
    """

    code_sha256: str
    package_type: str
    runtime: str | None
    architectures: tuple[str, ...]
    handler: str | None
    memory: int
    timeout: int
    ephemeral_storage: int
    layers: tuple[str, ...]
    role: str
    dead_letter: str | None
    snap_start: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same; None where a version does not have it."""

    what: str
    stable: Any
    candidate: Any


def differences(stable: Configuration, candidate: Configuration) -> tuple[Difference, ...]:
    """Every difference, in the order of the configuration; of environment variables the names alone."""
    plain = (key.name for key in fields(Configuration) if key.name != "environment")
    pairs = ((name, getattr(stable, name), getattr(candidate, name)) for name in plain)
    found = tuple(Difference(name, ours, theirs) for name, ours, theirs in pairs if ours != theirs)
    return found + tuple(_variables(stable.environment, candidate.environment))


def _variables(stable: Mapping[str, str], candidate: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted(stable.keys() | candidate.keys()):
        what = f"environment variable {name}"
        if name not in candidate:
            yield Difference(what, "set", None)
        elif name not in stable:
            yield Difference(what, None, "set")
        elif stable[name] != candidate[name]:
            yield Difference(what, "set", "set to another value")
