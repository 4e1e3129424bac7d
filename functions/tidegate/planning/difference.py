"""What the candidate has that the stable version has not: code and configuration, never a secret.

Every setting counts that Lambda tells of a version, also one that is not known here, but for what says nothing of what
the version is made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from tidegate.frozen import frozen

#: What is said of a setting that Lambda could not read itself.
UNKNOWN = "unknown"
#: A description may have been given to the version when it was published, and AWS moves runtimes by itself.
_MAY_BE_NOTHING = frozenset({"Description", "RuntimeVersionConfig"})


@frozen
class Configuration:
    """What makes a version: `settings` by name, in the order in which they are told, each as plain JSON.

    `environment` holds a digest of each variable's value, by name: enough to tell that it changed. `unknown` names the
    settings that could not be read, `environment` among them.
    """

    settings: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    unknown: tuple[str, ...] = ()


@frozen
class Difference:
    """One thing that is not the same; None where a version does not have it."""

    what: str
    stable: Any
    candidate: Any


def differences(stable: Configuration, candidate: Configuration) -> tuple[Difference, ...]:
    """Every difference, in the order of the configuration; of environment variables the names alone.

    What could not be read of either version may differ, and is told as unknown.
    """
    unknown = {*stable.unknown, *candidate.unknown}
    names = dict.fromkeys((*stable.settings, *candidate.settings))
    found = [
        difference
        for name in names
        if name not in unknown
        for difference in _differing(name, stable.settings.get(name), candidate.settings.get(name))
    ]
    if "environment" not in unknown:
        found += _variables(stable.environment, candidate.environment)
    return (*found, *(Difference(name, UNKNOWN, UNKNOWN) for name in sorted(unknown)))


def may_be_nothing(found: tuple[Difference, ...]) -> bool:
    """Whether only that differs which a version may have got otherwise than by its code and configuration."""
    return bool(found) and {difference.what for difference in found} <= _MAY_BE_NOTHING


def _differing(name: str, ours: Any, theirs: Any) -> Iterator[Difference]:
    """The setting, where it differs; of one that has parts, those that do."""
    if ours == theirs:
        return
    if isinstance(ours or {}, Mapping) and isinstance(theirs or {}, Mapping):
        ours, theirs = _not_in(theirs or {}, ours or {}), _not_in(ours or {}, theirs or {})
    yield Difference(name, ours, theirs)


def _not_in(other: Mapping[str, Any], one: Mapping[str, Any]) -> dict[str, Any] | None:
    return {part: value for part, value in one.items() if part not in other or other[part] != value} or None


def _variables(stable: Mapping[str, str], candidate: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted(stable.keys() | candidate.keys()):
        what = f"environment variable {name}"
        if name not in candidate:
            yield Difference(what, "set", None)
        elif name not in stable:
            yield Difference(what, None, "set")
        elif stable[name] != candidate[name]:
            yield Difference(what, "set", "set to another value")
