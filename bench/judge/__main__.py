"""The judge's command line: the judge beside its peers on recorded rollouts, or the judge alone on drawn ones.

    python -m bench.judge --cases FILE.json [--without-flinch] [--json]
    python -m bench.judge --simulate [--replicates N] [--seed S] [--only SCENARIO] [--json] [--write FILE.md]

`--cases` prints a table of every rule, and of the regimes that the cases name, or with `--json` one object: the judge's
own figures, the same by regime in "regimes", and every rule's in "rules". Its exit status is 0, or 2 with
every reason on stderr where the file cannot be used. `--simulate` prints what docs/judge-figures.md holds, or with
`--json` every cell; its exit status is 1 where a limit does not hold. `make docs` then renews the README's table.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench.judge import cases, page, peers, replay, score, simulate
from bench.judge.cases import CasesUnusable
from bench.judge.figures import Figures
from bench.judge.scenarios import SCENARIOS

SUCCEEDED, BROKEN, UNUSABLE = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    chosen = _parser().parse_args(arguments)
    return _simulate(chosen) if chosen.simulate else _cases(chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.judge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--cases", type=Path, metavar="FILE.json", help="replay recorded rollouts, with every rule")
    what.add_argument("--simulate", action="store_true", help="draw rollouts, and judge them")
    parser.add_argument("--json", action="store_true", help="print one object and nothing else")
    parser.add_argument(
        "--without-flinch", action="store_true", help="with --cases: the recorded weights, whatever comes"
    )
    parser.add_argument("--replicates", type=_positive, default=100, metavar="N", help="rollouts in most cells (100)")
    parser.add_argument("--seed", type=_natural, default=1, metavar="S", help="the draw's luck (1)")
    parser.add_argument(
        "--only",
        action="append",
        choices=SCENARIOS,
        metavar="SCENARIO",
        help="simulate this one's cells alone",
    )
    parser.add_argument("--write", type=Path, metavar="FILE.md", help="write the simulation's figures")
    return parser


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _cases(chosen: argparse.Namespace) -> int:
    try:
        found = cases.read(chosen.cases)
    except CasesUnusable as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return UNUSABLE
    outcomes = replay.replay_all(found, flinches=not chosen.without_flinch)
    scores, regimes = score.scores(found, outcomes), score.regimes(found, outcomes[replay.RULE])
    if chosen.json:
        overall = {**scores[replay.RULE].figures(), "regimes": {name: one.figures() for name, one in regimes.items()}}
        print(json.dumps({**overall, "rules": {rule: one.to_json() for rule, one in scores.items()}}, indent=2))
    else:
        print(score.table(scores))
        if regimes:
            print("", score.table_of_regimes({**regimes, "all of them": scores[replay.RULE]}), sep="\n")
    return SUCCEEDED


def _simulate(chosen: argparse.Namespace) -> int:
    if chosen.write and not chosen.write.absolute().parent.is_dir():
        print(f"{chosen.write}: there is no such folder to write it to", file=sys.stderr)
        return UNUSABLE
    if chosen.write and chosen.only:
        print("--write needs every scenario: leave --only out", file=sys.stderr)
        return UNUSABLE
    figures = _figures(chosen.replicates, chosen.seed, chosen.only)
    text = page.markdown(figures)
    if chosen.write:
        chosen.write.write_text(text, encoding="utf-8")
    print(json.dumps(figures.to_json(), indent=2) if chosen.json else text)
    return SUCCEEDED if all(limit.holds for limit in figures.limits()) else BROKEN


def _figures(replicates: int, seed: int, only: list[str] | None) -> Figures:
    todo = [cell for cell in simulate.cells(replicates, seed) if not only or cell.scenario in only]
    results = simulate.simulate(todo, say=_say)
    scores = {} if only else peers.scores(peers.cells(replicates, seed), say=_say)
    return Figures(tuple(results), replicates, seed, scores)


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
