"""`make chaos`: play random cases, hold each end against the invariants, and make what fails small.

`--restarts` plays another kind: a rollout is stopped and the next one started within seconds, with its guard late.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

from tests.chaos.case import Case
from tests.chaos.generator import generate
from tests.chaos.invariants import broken
from tests.chaos.kinds import table
from tests.chaos.observe import observe
from tests.chaos.restarts import restart, undone
from tests.chaos.shrink import shrink

RESTART = "restart "
FOUND = Path(__file__).parent / "found"
#: A case takes seconds; one that takes minutes of real time hangs.
_PATIENCE_SECONDS = 120
#: A process grows with every world that it has seen.
_CASES_A_PROCESS = 40

Verdict = tuple[Case, str, dict[str, str], float]


def judge(asked: Case | str) -> Verdict:
    """A case, or the one of that name: how it ended, what it broke, and the processor's seconds.

    A sandbox that fails is broken too.
    """
    began = time.process_time()
    case = asked if isinstance(asked, Case) else _made(asked)
    try:
        with _alarm_clock():
            seen = observe(case)
        outcome, broke = seen.outcome, broken(case, seen)
        if case.name.startswith(RESTART):
            outcome, broke = str(seen.executions[-1].outcome), {**undone(case, seen), **broke}
    except Exception:  # noqa: BLE001 - whatever the sandbox fails with is what was looked for
        outcome, broke = "none", {"sandbox": traceback.format_exc(limit=-3)}
    return case, outcome, broke, time.process_time() - began


def _made(name: str) -> Case:
    return restart(name.removeprefix(RESTART)) if name.startswith(RESTART) else generate(name)


@contextmanager
def _alarm_clock() -> Iterator[None]:
    def ring(*_: object) -> NoReturn:
        raise TimeoutError(f"no end after {_PATIENCE_SECONDS} seconds of real time")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE_SECONDS, _PATIENCE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fails_alike(broke: Mapping[str, str], case: Case) -> bool:
    """Whether a case breaks the first of these invariants too."""
    return next(iter(broke)) in judge(case)[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 where anything was broken."""
    options = _options(arguments)
    if options.replay:
        asked: list[Case | str] = [Case.read(path) for path in options.replay]
    elif options.case:
        asked = list(options.case)
    else:
        kind, count = (RESTART, options.restarts) if options.restarts else ("", options.count)
        asked = [f"{kind}{options.seed}.{number}" for number in range(count)]
    cases: list[Case] = []
    began, ends, spent, failed = time.perf_counter(), Counter[str](), 0.0, list[Verdict]()
    context = multiprocessing.get_context("fork")
    with context.Pool(options.jobs, maxtasksperchild=_CASES_A_PROCESS) as pool:
        for verdict in pool.imap_unordered(judge, asked):
            case, outcome, broke, seconds = verdict
            cases.append(case)
            ends[outcome], spent = ends[outcome] + 1, spent + seconds
            if broke:
                failed.append(verdict)
                _print(f"{case.name} ended {outcome}: {_sentence(broke)}")
    for case, _, broke, _ in failed[: options.shrink]:
        smaller = shrink(case, partial(fails_alike, broke))
        _print(_save(smaller, judge(smaller)[2], options.out))
    _print(table(cases))
    _print(", ".join(f"{count} {outcome}" for outcome, count in ends.most_common()))
    _print(
        f"{len(cases)} rollouts of seed {options.seed}, {len(failed)} broke an invariant;"
        f" {time.perf_counter() - began:.0f} s, {60 * len(cases) / max(spent, 0.1):.0f} rollouts a minute on one core"
    )
    return bool(failed)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="how many rollouts")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="another seed, other rollouts")
    parser.add_argument("--restarts", type=int, default=0, help="so many rollouts restarted within seconds instead")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument("--shrink", type=int, default=3, help="how many failures are made small")
    parser.add_argument("--out", type=Path, default=FOUND, help="where a small failure is written")
    parser.add_argument("--case", action="append", help="play this one alone, such as 7.123")
    parser.add_argument("--replay", action="append", type=Path, help="play a file that was written here before")
    return parser.parse_args(arguments)


def _sentence(broke: Mapping[str, str]) -> str:
    return " | ".join(f"{name}: {what}" for name, what in broke.items())


def _save(case: Case, broke: Mapping[str, str], where: Path) -> str:
    where.mkdir(parents=True, exist_ok=True)
    slug = re.sub(r"[^a-z]+", "-", next(iter(broke), "gone"))
    path = where / f"{case.name.replace('.', '-')}-{slug}.json"
    path.write_text(case.written(broke), encoding="utf-8")
    shown = json.dumps({"request": case.request, "scenario": dict(case.scenario)}, ensure_ascii=False)
    return f"{path}: {_sentence(broke)}\n    {shown}"


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
