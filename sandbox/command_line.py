"""The sandbox's commands: demo, run and scenarios; `__main__` runs them."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from sandbox.scenario import Scenario, ScenarioInvalid, find, shipped
from sandbox.story import play, rollout_view
from sandbox.world import STARTED_AT, World
from tidegate.json_text import Unreadable
from tidegate.printable import printable
from tidegate.request.problems import problems_of
from tidegate.terminal import documents
from tidegate.terminal.exit_codes import ENDED_OTHERWISE, SUCCEEDED, UNUSABLE, Unusable
from tidegate.views import live, report, screen
from tidegate.views.rollout_view import RolloutView

DEMO_REQUEST = {"function_name": "checkout", "alias_name": "live"}
DEMO_SCENARIOS = {"good": "good_release", "bad": "fails_5_percent"}
DEMO_SECONDS = 15.0
#: A person needs a while to read how it ended.
READING_SECONDS = 2.0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    chosen = _parser().parse_args(arguments)
    try:
        status: int = chosen.command(chosen)
        sys.stdout.flush()
    except ScenarioInvalid as error:
        for reason in error.reasons:
            print(printable(reason), file=sys.stderr)
        return UNUSABLE
    except Unusable as error:
        print(printable(str(error)), file=sys.stderr)
        return UNUSABLE
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Rollouts on this machine, without AWS.")
    commands = parser.add_subparsers(required=True, metavar="demo | run | scenarios")
    demo = commands.add_parser("demo", help="two rollouts to watch, a good one and a bad one")
    demo.add_argument("--seed", type=int, default=0, help="other callers' luck")
    demo.set_defaults(command=_demo)
    run = commands.add_parser("run", help="one rollout of any request against any scenario")
    run.add_argument("request", type=Path, metavar="REQUEST", help="the request: a file of JSON or YAML")
    run.add_argument(
        "--scenario", type=Path, metavar="FILE", help="what the rollout meets, or the name of one that ships"
    )
    run.add_argument("--seed", type=int, default=0, help="other callers' luck")
    run.add_argument("--json", action="store_true", help="print one object and nothing else")
    run.add_argument("--report", type=Path, metavar="FILE.html", help="write the rollout's report")
    run.set_defaults(command=_run)
    scenarios = commands.add_parser("scenarios", help="the scenarios that ship")
    scenarios.set_defaults(command=_scenarios)
    return parser


def _scenarios(_: argparse.Namespace) -> int:
    scenarios = shipped()
    width = max(map(len, scenarios))
    for name, scenario in scenarios.items():
        print(f"{name:<{width}}  {scenario.description}")
    return SUCCEEDED


def _run(chosen: argparse.Namespace) -> int:
    request, scenario = _request(chosen.request), find(chosen.scenario)
    problems = problems_of(request)
    if problems and not chosen.json:
        raise ScenarioInvalid([f"{documents.named(chosen.request)}: {problem}" for problem in problems])
    if chosen.report:
        documents.require_place(chosen.report)
    follower = _Follower(None if chosen.json else partial(print, flush=True))
    watched = bool(chosen.report) or not chosen.json
    story = play(request, scenario, chosen.seed, follower if watched else None)
    if chosen.json:
        print(json.dumps(story.to_json(), indent=2))
    if chosen.report and follower.last:
        documents.write(chosen.report, report.html(follower.last))
    if problems:
        # Whoever reads the object is told how such a rollout ends, too.
        return UNUSABLE
    return SUCCEEDED if story.status == "SUCCEEDED" else ENDED_OTHERWISE


def _request(path: Path) -> object:
    """The request in a file, JSON or YAML, of whatever shape: judging that is the rollout's own business."""
    try:
        request: object = documents.read(documents.taken(path), path.name)
    except Unreadable as error:
        name = documents.named(path)
        raise ScenarioInvalid([f"{name}: {problem}" for problem in error.problems] or [f"{name} {error}"]) from error
    return request


class _Follower:
    """Says what changes while a rollout runs, line by line; `last` is the newest view."""

    def __init__(self, say: Callable[[str], object] | None) -> None:
        self._say = say
        self._heard = 0
        self.last: RolloutView | None = None

    def __call__(self, world: World) -> None:
        view = rollout_view(world)
        if not screen.has_begun(view):
            return
        if self._say:
            spoken = [(at - STARTED_AT, sentence) for at, sentence in world.spoken[self._heard :]]
            # What people are answered says more than the books' word on what they said.
            for line in live.lines(replace(view, commands=()), self.last, spoken):
                self._say(line)
            self._heard = len(world.spoken)
        self.last = view


# --- The demo ---------------------------------------------------------------------------------------------------------


def _demo(chosen: argparse.Namespace) -> int:
    console = Console()
    reports = Path(tempfile.mkdtemp(prefix="tidegate-"))
    scenarios = shipped()
    for name, scenario in DEMO_SCENARIOS.items():
        console.print(f"\n[bold]A {name} release[/bold]: {scenarios[scenario].description}.\n")
        view = _watch(console, scenarios[scenario], chosen.seed)
        page = reports / f"{name}.html"
        documents.write(page, report.html(view))
        console.print(f"Report: {page}")
    return SUCCEEDED


def _watch(console: Console, scenario: Scenario, seed: int) -> RolloutView:
    """Play a rollout on the terminal, as slowly as a person can follow; line by line where it is none."""
    views: list[RolloutView] = []
    play(DEMO_REQUEST, scenario, seed, lambda world: views.append(rollout_view(world)))
    views = [view for view in views if screen.has_begun(view)]
    screen.show(screen.paced(views, console, DEMO_SECONDS - READING_SECONDS), console)
    if console.is_terminal:
        time.sleep(READING_SECONDS)
    return views[-1]
