"""What every story does, held against what is kept of it: python -m tests.stories [--write].

Plays every shipped scenario, and runs the workflow tests, whose stories are many. A story that is played otherwise than
it was is told, with both; one that is not played any more, or is new, is named. The exit status is 1 then.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from sandbox.scenario import shipped
from sandbox.world import World
from tests.stories.record import FOLDER, seen

KEPT = Path(__file__).parent / "kept.jsonl"
ROOT = Path(__file__).parents[2]
REQUEST = {"function_name": "checkout", "alias_name": "live"}
Stories = dict[str, dict[str, Any]]


def main() -> int:
    """Play all of it, and compare or write it down; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.stories", description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="keep what they do now")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        status = _tests(Path(folder))
        lines = [line for file in Path(folder).glob("*.jsonl") for line in file.read_text("utf-8").splitlines()]
    now = gathered([*map(json.loads, lines), *_scenarios()])
    if chosen.write:
        KEPT.write_text("".join(json.dumps(now[key]) + "\n" for key in sorted(now)), "utf-8")
        print(f"{len(now)} stories kept")
        return status
    kept = {story["key"]: story for story in map(json.loads, KEPT.read_text("utf-8").splitlines())}
    differences = list(compared(kept, now))
    print("\n".join(differences))
    print(f"{len(kept)} stories kept, {len(now)} played, {len(differences)} differences")
    return 1 if differences else status


def _tests(folder: Path) -> int:
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "tests.stories.record", "tests/workflow"]
    return subprocess.run(pytest, cwd=ROOT, env={**os.environ, FOLDER: str(folder)}, check=False).returncode  # noqa: S603 - our own


def _scenarios() -> list[dict[str, Any]]:
    """Every shipped scenario, at the smallest request, to its end and what follows that."""
    told = []
    for name, scenario in shipped().items():
        with World(scenario, REQUEST) as world:
            world.follow(world.start())
            world.settle()
            told.append({**seen(world), "key": name})
    return told


def gathered(played: list[dict[str, Any]]) -> Stories:
    """By key what each story did; a test may do more to a world than was put into it, so that may be several things."""
    stories: Stories = {}
    did: dict[str, dict[str, Any]] = defaultdict(dict)
    for story in played:
        stories[story["key"]] = story
        did[story["key"]][json.dumps(story["did"], sort_keys=True)] = story["did"]
    return {
        key: {"key": key, "asked": story["asked"], "did": [did[key][each] for each in sorted(did[key])]}
        for key, story in stories.items()
    }


def compared(kept: Stories, now: Stories) -> list[str]:
    """What is not as it was, a paragraph for each story."""
    told = [f"not played any more: {json.dumps(kept[key]['asked'])}" for key in sorted(kept.keys() - now.keys())]
    told += [f"new: {json.dumps(now[key]['asked'])}" for key in sorted(now.keys() - kept.keys())]
    for key in sorted(kept.keys() & now.keys()):
        before, after = (_whole(stories[key]["did"]) for stories in (kept, now))
        if before != after:
            gone = "\n".join(f"  - {each}" for each in sorted(before - after))
            come = "\n".join(f"  + {each}" for each in sorted(after - before))
            told.append(f"{key}: {json.dumps(now[key]['asked'])}\n{gone}\n{come}")
    return told


def _whole(did: list[dict[str, Any]]) -> set[str]:
    return {json.dumps(each, sort_keys=True) for each in did}


if __name__ == "__main__":
    sys.exit(main())
