"""The cold starts alone: python -m bench.coldstart [--repeats N]."""

from __future__ import annotations

import argparse
import sys

from bench.coldstart.measure import measure


def main(arguments: list[str] | None = None) -> int:
    """Print a line per handler; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.coldstart", description=__doc__)
    parser.add_argument("--repeats", type=int, default=10, metavar="N", help="cold starts of each handler (10)")
    for one in measure(max(1, parser.parse_args(arguments).repeats)):
        compiled = "" if one.compiled_ratio is None else f", {one.compiled_ratio:.2f} with bytecode"
        limit = f", at most {one.limit}" if one.limit else ""
        print(f"{one.handler:<18} {one.init_ms:6.0f} ms of {one.baseline_ms:.0f}: {one.ratio:.2f}{compiled}{limit}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
