"""CloudFormation's intrinsic functions: what the values of a template refer to, and what they come to.

CloudFormation template reference, "Intrinsic functions". One that is not known here is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Properties = Mapping[str, Any]

_SUBSTITUTION = re.compile(r"\$\{(?!!)([^}]+)\}")
_NO_VALUE = object()


class TemplateUnsupported(Exception):
    """The template asks for what the sandbox cannot make; the message lists all of it."""


def references(value: Any) -> Iterator[str]:
    """Every name that a value refers to by Ref, Fn::GetAtt or Fn::Sub."""
    if isinstance(value, list):
        for entry in value:
            yield from references(entry)
    if not isinstance(value, dict):
        return
    for key, argument in value.items():
        if key == "Ref":
            yield argument
        elif key == "Fn::GetAtt":
            yield argument.split(".")[0] if isinstance(argument, str) else argument[0]
        elif key == "Fn::Sub":
            text, names = (argument, {}) if isinstance(argument, str) else argument
            yield from (name.split(".")[0] for name in _SUBSTITUTION.findall(text) if name not in names)
            yield from references(names)
        else:
            yield from references(argument)


@dataclass(frozen=True, slots=True)
class Created:
    """One resource as it exists: what `Ref` and what `Fn::GetAtt` give of it, and its properties, resolved."""

    kind: str
    ref: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    properties: Properties = field(default_factory=dict)


class Resolver:
    """Gives values for a template's intrinsic functions, as far as the resources that they refer to exist.

    `parameters` holds the pseudo parameters too (`AWS::Region`); `created` may grow between two calls.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any],
        conditions: Mapping[str, Any],
        mappings: Mapping[str, Any],
        created: Mapping[str, Created],
    ) -> None:
        self._parameters = parameters
        self._conditions = conditions
        self._mappings = mappings
        self._created = created
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": lambda argument: self.resolve(argument[0]).join(map(str, self.resolve(argument[1]))),
            "Fn::If": lambda argument: self.resolve(argument[1 if self.holds(argument[0]) else 2]),
            "Fn::Select": lambda argument: self.resolve(argument[1])[int(self.resolve(argument[0]))],
            "Fn::Split": lambda argument: self.resolve(argument[1]).split(self.resolve(argument[0])),
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAZs": lambda _: [f"{parameters['AWS::Region']}{zone}" for zone in "ab"],
            "Condition": self.holds,
            "Fn::Equals": lambda argument: self.resolve(argument[0]) == self.resolve(argument[1]),
            "Fn::Not": lambda argument: not self.resolve(argument[0]),
            "Fn::And": lambda argument: all(map(self.resolve, argument)),
            "Fn::Or": lambda argument: any(map(self.resolve, argument)),
        }

    def resolve(self, value: Any) -> Any:
        """The value with every intrinsic function in it evaluated; keys set to AWS::NoValue are left out."""
        if isinstance(value, list):
            return [entry for entry in map(self.resolve, value) if entry is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument) = next(iter(value.items()))
            if name in self._functions and (name != "Condition" or isinstance(argument, str)):
                return self._functions[name](argument)
            if name.startswith("Fn::"):
                raise TemplateUnsupported(f"The sandbox does not know the intrinsic function {name}")
        resolved = {key: self.resolve(entry) for key, entry in value.items()}
        return {key: entry for key, entry in resolved.items() if entry is not _NO_VALUE}

    def holds(self, condition: str) -> bool:
        """Whether a condition of the template is true."""
        return bool(self.resolve(self._conditions[condition]))

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in self._created:
            return self._created[name].ref
        if name in self._parameters:
            return self._parameters[name]
        raise TemplateUnsupported(f"Nothing is called {name}, or it is a parameter without a value")

    def _get_att(self, argument: str | list[str]) -> Any:
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        created = self._created[name]
        if attribute not in created.attributes:
            raise TemplateUnsupported(f"The sandbox does not know the attribute {attribute} of {name} ({created.kind})")
        return created.attributes[attribute]

    def _sub(self, argument: str | list[Any]) -> str:
        text, names = (argument, {}) if isinstance(argument, str) else (argument[0], self.resolve(argument[1]))

        def value(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name in names:
                return str(names[name])
            return str(self._get_att(name) if "." in name else self._ref(name))

        return _SUBSTITUTION.sub(value, text).replace("${!", "${")

    def _find_in_map(self, argument: list[Any]) -> Any:
        name, first, second = map(self.resolve, argument)
        return self._mappings[name][first][second]
