"""What a command reads and prints: requests in, JSON or sentences out, and the exit code that says how it went."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import typer

from tidegate.cli.target import EXECUTION_NAME, EXECUTION_NAME_RULE
from tidegate.json_text import Unreadable
from tidegate.printable import printable
from tidegate.request.problems import problems_of
from tidegate.terminal import documents
from tidegate.terminal.exit_codes import ENDED_OTHERWISE, SUCCEEDED, Failed, Stopped, Unusable

if TYPE_CHECKING:
    from rich.console import Console

    from tidegate.views.rollout_view import RolloutView

#: A table that is piped somewhere is not cut to a terminal that is not there.
_PIPED_COLUMNS = 140


class MadeOfOptions(NamedTuple):
    """Annotates a command's parameter whose value `maker` makes; the maker's own parameters are options."""

    maker: Callable[..., object]


def exits_with_code(command: Callable[..., int]) -> Callable[..., None]:
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
            code = _failed(error, as_json=given.get("as_json", False))
        except KeyboardInterrupt:
            code = _failed(Stopped("stopped"), as_json=given.get("as_json", False))
        raise typer.Exit(code)

    shown = [each for name, own in parameters.items() for each in options.get(name, {name: own}).values()]
    # Typer reads the options from both.
    run.__annotations__ = {each.name: each.annotation for each in shown}
    run.__signature__ = inspect.Signature([each.replace(kind=each.KEYWORD_ONLY) for each in shown])  # type: ignore[attr-defined]
    return run


def _failed(error: Failed, *, as_json: bool) -> int:
    problems = error.problems if isinstance(error, Unusable) else ()
    if as_json:
        print_json({"error": str(error), "exit_code": error.exit_code, "problems": problems})
    else:
        say(f"tidegate: {error}", *(f"  {problem}" for problem in problems), err=True)
    return error.exit_code


def read_request(source: str) -> object:
    """The request in a file, or on standard input ("-"): JSON or YAML, of whatever shape.

    Raises:
        Unusable: there is none.
    """
    path = None if source == "-" else source
    try:
        request: object = documents.read(documents.taken(path), path or "")
    except Unreadable as error:
        if error.problems:
            raise Unusable(*malformed(called(source), error.problems)) from error
        raise Unusable(f"{called(source)} {error}") from error
    return request


def called(source: str) -> str:
    """How a request's file, or standard input ("-"), is called in a sentence."""
    return documents.named(None if source == "-" else source)


def understood(source: str) -> object:
    """As `read_request`, of a request whose form is right.

    Raises:
        Unusable: it is not, or there is none.
    """
    request = read_request(source)
    if problems := problems_of(request):
        raise Unusable(*malformed(called(source), problems))
    return request


def malformed(name: str, problems: Sequence[str]) -> tuple[str, Sequence[str]]:
    """What is said of a document with problems: in one sentence where it has one, else each on a line of its own."""
    if len(problems) == 1:
        return f"{name}: {problems[0]}", ()
    return f"{name} has {len(problems):,} problems:", problems


def execution_name(name: str | None) -> str | None:
    """The name that an execution is to have.

    Raises:
        Unusable: it can be none's.
    """
    if name is not None and not EXECUTION_NAME.fullmatch(name):
        raise Unusable(f"--name {name[:100]!r} cannot be an execution's: {EXECUTION_NAME_RULE}")
    return name


def whole_number(option: str, text: str, least: int | None = None, most: int | None = None) -> int:
    """The number that an option is given, of 18 digits at most; where it has bounds, it has both.

    Raises:
        Unusable: it is none, or not between them. Typer would say so in pydantic's words.
    """
    if not re.fullmatch(r"-?[0-9]{1,18}", text) or (
        least is not None and most is not None and not least <= int(text) <= most
    ):
        bounds = "" if least is None else f" from {least:,} to {most:,}"
        raise Unusable(f"{option} {text[:100]!r} must be a whole number{bounds}")
    return int(text)


def say(*lines: str, err: bool = False) -> None:
    """Print lines, whoever wrote what is in them."""
    typer.echo(printable("\n".join(lines)), err=err)


def console() -> Console:
    """Standard output, as wide as the terminal, or as a line may be."""
    from rich.console import Console  # noqa: PLC0415 - takes longer than commands that draw nothing

    found = Console()
    return found if found.is_terminal else Console(width=_PIPED_COLUMNS)


def print_json(document: Mapping[str, Any]) -> None:
    """One object, and nothing else."""
    say(json.dumps(document, indent=2, ensure_ascii=False))


def as_document(view: RolloutView) -> dict[str, Any]:
    """A view as plain JSON."""
    return {"target": view.target, **asdict(view)}


def exit_code(view: RolloutView) -> int:
    """Whether a rollout is, or still may be, a success."""
    return SUCCEEDED if view.outcome is None or view.outcome.is_success else ENDED_OTHERWISE


def version() -> str:
    """Tidegate's version, where it is installed."""
    try:
        return importlib.metadata.version("tidegate")
    except importlib.metadata.PackageNotFoundError:
        return "from source"
