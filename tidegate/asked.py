"""What a command reads and prints: requests in, JSON or sentences out, and the exit code that says how it went."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, get_args

import typer
from rich.console import Console

from tidegate.failed import ENDED_OTHERWISE, INTERRUPTED, SUCCEEDED, Failed, Unusable
from tidegate.view import RolloutView

_SUCCESSES = frozenset({"promoted", "unchanged"})
#: A table that is piped somewhere is not cut to a terminal that is not there.
_PIPED_COLUMNS = 140


class MadeOfOptions(NamedTuple):
    """Annotates a command's parameter whose value `maker` makes; the maker's own parameters are options."""

    maker: Callable[..., object]


def told(command: Callable[..., int]) -> Callable[..., None]:
    """A command that returns its exit code, or raises why it has none; failures are sentences, or one JSON object.

    On the command line, the options of a `MadeOfOptions` stand where that parameter stands in the command.
    """
    parameters = inspect.signature(command, eval_str=True).parameters
    makers = {
        name: mark.maker
        for name, parameter in parameters.items()
        for mark in get_args(parameter.annotation)
        if isinstance(mark, MadeOfOptions)
    }
    options = {name: inspect.signature(maker, eval_str=True).parameters for name, maker in makers.items()}

    @functools.wraps(command)
    def run(**given: Any) -> None:
        try:
            for name, maker in makers.items():
                given[name] = maker(**{option: given.pop(option) for option in options[name]})
            code = command(**given)
        except Failed as error:
            if given.get("as_json"):
                print_json({"error": str(error), "exit_code": error.exit_code})
            else:
                typer.echo(f"tidegate: {error}", err=True)
            code = error.exit_code
        except KeyboardInterrupt:
            typer.echo("tidegate: no longer watching; the rollout goes on, and tidegate abort ends it", err=True)
            code = INTERRUPTED
        raise typer.Exit(code)

    shown = [each for name, own in parameters.items() for each in options.get(name, {name: own}).values()]
    # Typer reads the options from it.
    run.__signature__ = inspect.Signature([each.replace(kind=each.KEYWORD_ONLY) for each in shown])  # type: ignore[attr-defined]
    return run


def read_request(source: str) -> object:
    """The request in a file, or on standard input ("-"): any JSON, since judging it is the rollout's own business.

    Raises:
        Unusable: there is none.
    """
    name = "standard input" if source == "-" else source
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        request: object = json.loads(text)
    except OSError as error:
        raise Unusable(f"{name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise Unusable(f"{name} is not JSON: {error}") from error
    return request


def console() -> Console:
    """Standard output, as wide as the terminal, or as a line may be."""
    found = Console()
    return found if found.is_terminal else Console(width=_PIPED_COLUMNS)


def print_json(document: Mapping[str, Any]) -> None:
    """One object, and nothing else."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def as_document(view: RolloutView) -> dict[str, Any]:
    """A view as plain JSON."""
    return {"target": view.target, **asdict(view)}


def exit_code(view: RolloutView) -> int:
    """Whether a rollout is, or still may be, a success."""
    return SUCCEEDED if view.outcome is None or view.outcome in _SUCCESSES else ENDED_OTHERWISE


def schema() -> str:
    """The request's JSON Schema, as text."""
    return resources.files("tidegate").joinpath("request.schema.json").read_text(encoding="utf-8")


def version() -> str:
    """Tidegate's version, where it is installed."""
    try:
        return importlib.metadata.version("tidegate")
    except importlib.metadata.PackageNotFoundError:
        return "from source"
