"""Mistakes in the code that moves traffic, and whether a test notices each: python -m tools.mutants.

Mistakes that have a name run first, then as many of all others as there is time for, an even share of every function.
What survives and is not accepted, with a reason, in tools/mutants/accepted.toml is told with its diff, and the exit
status is 1; so it is where a named mistake cannot be made any more, an accepted one is not there, or a test fails
without any mistake.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tools.mutants import accepted, mistakes, named, targets
from tools.mutants.hunt import Choice, Hunt, Verdict, drawn, project, servers, survey
from tools.mutants.mistakes import Mutant

ROOT = Path(__file__).parents[2]
#: What is kept of the time for those that survive their first turn.
_LAST_PART = 0.2
_NOTICE_EVERY = 100


def main(arguments: list[str] | None = None) -> int:
    """Hunt; the exit status."""
    chosen = _parser().parse_args(arguments)
    # So that the copy and the servers do not outlive a run that somebody ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    with project(ROOT) as copy:
        paths = sorted((copy / "functions").rglob("*.py"))
        sources = {str(path.relative_to(copy)): path.read_text(encoding="utf-8") for path in paths}
        known, faults = named.mutants(sources)
        found = [one for file in targets.files(copy) for one in mistakes.mutants(file, sources[file])]
        allowed = accepted.read()
        there, kept = {one.key for one in found}, {one.key for one in allowed}
        faults += [
            f"{one.file} {one.function}: accepted, and no mutant any more: {one.before}"
            for one in allowed
            if one.key not in there
        ]
        first = [one for one in known if _is_chosen(one, chosen.only) and not chosen.accepted]
        others = [one for one in found if _is_chosen(one, chosen.only) and (one.key in kept) == chosen.accepted]
        others = [] if chosen.named else others
        if chosen.list:
            for one in (*first, *others):
                print(f"{one.file} {one.function}: {one.name or one.kind}: {one.before}  →  {one.after}")
            print(f"{len(first)} named, {len(others)} others")
            return 0
        with servers(copy, chosen.jobs) as started:
            files = sorted({*targets.files(copy), *(one.file for one in known)})
            tests, failing = survey(started, copy, files, ROOT / ".pytest_cache" / "tidegate-mutants.json")
            faults += [f"fails without any mistake: {test}" for test in failing]
            print(f"{len(tests)} tests passed without a mistake, {time.monotonic() - began:.0f} s", flush=True)
            hunt = Hunt(started, sources, Choice(tests))
            ends = _hunt(hunt, first, drawn(others, chosen.seed), began + 60 * chosen.minutes)
        survivors = [verdict for verdict in ends.values() if verdict.end == "survived"]
        for verdict in sorted(survivors, key=lambda one: (not one.mutant.name, one.mutant.file, one.mutant.lines)):
            _tell(verdict, sources)
        for fault in faults:
            print(fault)
        counts = Counter(verdict.end for verdict in ends.values())
        print(
            f"{len(ends)} of {len(first) + len(others)} mutants: {counts['killed']} killed,"
            f" {counts['timed out']} timed out, {counts['survived']} survived; {len(kept)} accepted;"
            f" {time.monotonic() - began:.0f} s"
        )
    return 1 if survivors or faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20, metavar="N", help="how long all of it may take (20)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many at a time (2)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="which of all mutants come first (0)")
    parser.add_argument(
        "--only", action="append", default=[], metavar="FILE[:FUNCTION]", help="no others; may be given several times"
    )
    parser.add_argument("--named", action="store_true", help="only those that have a name")
    parser.add_argument("--accepted", action="store_true", help="those that are accepted, instead of the others")
    parser.add_argument("--list", action="store_true", help="what would be tried, and nothing else")
    return parser


def _is_chosen(mutant: Mutant, only: Sequence[str]) -> bool:
    for one in only:
        file, _, function = one.partition(":")
        if mutant.file.endswith(file) and (not function or function in {mutant.function, mutant.name}):
            return True
    return not only


def _hunt(hunt: Hunt, first: Sequence[Mutant], others: Sequence[Mutant], until: float) -> dict[Mutant, Verdict]:
    """Everybody's end. Those that have a name are tried to the last test, whatever it takes."""
    ends: dict[Mutant, Verdict] = {}

    def hear(verdicts: Iterable[Verdict]) -> list[Mutant]:
        doubtful = []
        for verdict in verdicts:
            ends[verdict.mutant] = verdict
            if verdict.end == "survived" and verdict.met < verdict.of:
                doubtful.append(verdict.mutant)
            elif verdict.mutant.name:
                print(f"{verdict.mutant.name}: {verdict.end}{verdict.by and f' by {verdict.by}'}", flush=True)
            if len(ends) % _NOTICE_EVERY == 0:
                print(f"{len(ends)} mutants", file=sys.stderr, flush=True)
        return doubtful

    hear(hunt.turn(hear(hunt.turn(first)), last=True))
    now = time.monotonic()
    doubtful = hear(hunt.turn(others, until - _LAST_PART * (until - now)))
    hear(hunt.turn(doubtful, until, last=True))
    return ends


def _tell(verdict: Verdict, sources: dict[str, str]) -> None:
    mutant = verdict.mutant
    met = f"{verdict.met} of {verdict.of} tests" if verdict.of else "no test runs it"
    print(f"\nsurvived: {mutant.file} {mutant.function}: {mutant.name or mutant.kind} ({met})")
    print(mutant.diff(sources[mutant.file]))
    if not mutant.name:
        print(accepted.entry(mutant))


if __name__ == "__main__":
    sys.exit(main())
