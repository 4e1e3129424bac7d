"""Many rollouts at once under AWS's own quotas: python -m bench.scale N... [--seed S] [--json | --markdown].

Each N is played twice: to the ends of all, and until an alarm that all watch has restored all. Always exits with 0.
"""

from __future__ import annotations

import argparse
import json

from bench import row
from bench.scale import crowd, figures


def main(arguments: list[str] | None = None) -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description="Many rollouts at once, under quotas.")
    parser.add_argument("rollouts", type=int, nargs="+", metavar="N", help="how many rollouts start at once")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="other traffic and jitter (0)")
    printed = parser.add_mutually_exclusive_group()
    printed.add_argument("--json", action="store_true", help="print a list of objects, and nothing else")
    printed.add_argument("--markdown", action="store_true", help="print a table such as that of docs/figures.md")
    chosen = parser.parse_args(arguments)
    played = []
    for number in chosen.rollouts:
        played.append(crowd.play(number, seed=chosen.seed))
        if not (chosen.json or chosen.markdown):
            print(figures.text(played[-1]), flush=True)
    if chosen.markdown:
        print(row.markdown([each for one in played for each in figures.crowd_rows(one)]))
    elif chosen.json:
        print(json.dumps([each.to_json() for each in played], indent=2))


if __name__ == "__main__":
    main()
