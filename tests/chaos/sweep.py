"""`make sweep`: play every crash point, and write docs/crash-points.md."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.crash_page import page
from tests.chaos.crash_points import STORIES, End, Point, end_of, points
from tests.chaos.observe import observe

PAGE = Path(__file__).parents[2] / "docs/crash-points.md"
_POINTS_A_PROCESS = 60


def sweep(jobs: int, every: int = 1) -> list[End]:
    """Every point's end, or every so many-th's."""
    chosen = [point for story, whole in STORIES.items() for point in points(story, observe(whole))][::every]
    context = multiprocessing.get_context("fork")
    with context.Pool(jobs, maxtasksperchild=_POINTS_A_PROCESS) as pool:
        return list(pool.imap(_told, chosen, chunksize=4))


def _told(point: Point) -> End:
    end = end_of(point)
    if end.broke:
        sys.stdout.write(f"{point.case.name} ended {end.outcome}: {dict(end.broke)}\n")
        sys.stdout.flush()
    return end


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 where a point broke an invariant."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.sweep", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument("--every", type=int, default=1, help="play only every so many-th point, and write nothing")
    parser.add_argument("--out", type=Path, default=PAGE, help="where the page goes")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    ends = sweep(options.jobs, options.every)
    broken = sum(bool(end.broke) for end in ends)
    if options.every == 1:
        options.out.write_text(page(ends), encoding="utf-8")
    sys.stdout.write(f"{len(ends)} points, {broken} broke an invariant; {time.perf_counter() - began:.0f} s\n")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
