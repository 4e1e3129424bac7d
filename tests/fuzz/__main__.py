"""`make fuzz`: 100,000 inputs through every door, nothing but results and clear errors; counts a door in a table."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "functions"))

from tests.fuzz.doors import DOORS
from tests.fuzz.guards import guarded
from tests.fuzz.throw import throw

#: So that no input of the command line reaches anybody's account.
NO_ACCOUNT = {
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def main() -> int:
    """Throw them, and say what came of it; 1 where anything broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="how many inputs in all")
    parser.add_argument("--seed", type=int, default=0, help="other inputs")
    parser.add_argument("--case", metavar="DOOR.SEED.NUMBER", help="that input alone")
    chosen = parser.parse_args()
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        os.environ.pop(name, None)
    os.environ |= NO_ACCOUNT
    os.chdir(tempfile.mkdtemp(prefix="tidegate-fuzz-"))
    door_name, seed, number = chosen.case.rsplit(".", 2) if chosen.case else (None, chosen.seed, 0)
    broke: dict[str, str] = {}
    total = 0
    print(f"{'door':<18}{'inputs':>9}{'passed':>9}{'refused':>9}{'broke':>7}{'seconds':>9}{'slowest':>9}")
    with guarded() as guards:
        doors = (*DOORS, *guards)
        shares = sum(door.share for door in doors)
        for door in doors:
            if door_name not in {None, door.name}:
                continue
            count = max(1, round(chosen.count * door.share / shares))
            numbers = range(int(number), int(number) + 1) if chosen.case else range(count)
            began = time.perf_counter()
            thrown = throw(door, int(seed), numbers)
            broke |= thrown.broke
            total += len(numbers)
            passed, refused = thrown.counts["passed"], thrown.counts["refused"]
            print(
                f"{door.name:<18}{len(numbers):>9,}{passed:>9,}{refused:>9,}{len(thrown.broke):>7,}"
                f"{time.perf_counter() - began:>9.0f}{thrown.slowest_seconds:>8.2f}s",
                flush=True,
            )
    print(f"{total:,} inputs, {len(broke):,} broke something")
    for name, why in list(broke.items())[:10]:
        print(f"\n{name}\n{why}")
    return 1 if broke else 0


if __name__ == "__main__":
    sys.exit(main())
