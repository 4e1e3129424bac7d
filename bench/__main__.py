"""Every figure in one table: python -m bench [--repeats N] [--wall-repeats N] [--write].

`--write` renews docs/figures.md. A limit that is missed is said in the table, with the reason, and changes no exit
status: that is 0 where everything could be measured or was said not to be, and 1 where a rollout ended unexpectedly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench import page, rollouts, row
from bench.coldstart import package
from bench.coldstart.emulator import NoColdStart
from bench.coldstart.measure import LIMITS, ColdStart, measure
from bench.coldstart.package import PackageUnusable
from bench.judge import cases, record, replay, score
from bench.row import Row
from bench.scale import figures
from tools.weigh_build import LIMIT_BYTES, zipped_bytes

_MEGABYTE = 1e6


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and write; the exit status."""
    chosen = _parser().parse_args(arguments)
    rows = [*_cold_start_rows(chosen.repeats, _say), package_row()]
    try:
        rows += rollouts.rows(chosen.wall_repeats, _say)
        rows += figures.rows(_say)
    except rollouts.Unexpected as error:
        print(error, file=sys.stderr)
        return 1
    rows += judge_rows()
    measured_on = page.machine(datetime.now(UTC).date(), chosen.repeats)
    print(f"{measured_on}\n\n{row.text(rows)}")
    if chosen.write:
        page.PAGE.write_text(page.renewed(page.PAGE.read_text(encoding="utf-8"), rows, measured_on), encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=_positive, default=10, metavar="N", help="cold starts of each handler (10)")
    parser.add_argument("--wall-repeats", type=_positive, default=3, metavar="N", help="timed sandbox rollouts (3)")
    parser.add_argument("--write", action="store_true", help="renew docs/figures.md")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


def _cold_start_rows(repeats: int, say: Callable[[str], None]) -> list[Row]:
    """A row for each handler; where nothing starts on this machine, the limits are still there, not measured."""
    try:
        return [cold_start_row(one) for one in measure(repeats, say)]
    except (NoColdStart, PackageUnusable) as error:
        return not_started(error)


def not_started(error: Exception) -> list[Row]:
    """Why no limit of a cold start is known."""
    why = " ".join(str(error).split())
    return [Row(f"cold start, {handler}", "", f"{limit}", None, why) for handler, limit in LIMITS.items()]


def cold_start_row(one: ColdStart) -> Row:
    """One handler against the baseline, and what a miss is made of."""
    holds = None if one.limit is None else one.ratio <= one.limit
    note = f"INIT {one.init_ms:.0f} ms, a handler that only makes a boto3 client {one.baseline_ms:.0f} ms"
    if one.compiled_ratio is not None:
        note += f"; with bytecode in the zip {one.compiled_ratio:.2f}"
        if holds is False and one.limit is not None:
            note += (
                ": Python compiles the zip's source at each cold start, which is the whole miss"
                if one.compiled_ratio <= one.limit
                else ": Python compiles the zip's source at each cold start, and imports more than it may besides"
            )
    elif holds is False:
        note += "; it imports more than it may (python -X importtime says what)"
    return Row(
        f"cold start, {one.handler}", f"{one.ratio:.2f}", f"{one.limit}" if one.limit is not None else "", holds, note
    )


def package_row(built: Path = package.BUILT) -> Row:
    """What `sam build` made, if it has run since the source changed."""
    limit = f"{LIMIT_BYTES / _MEGABYTE:.0f} MB"
    if not package.is_built(built):
        return Row("the zip", "", limit, None, "no build of this source is here: run make build")
    size, files = zipped_bytes(built), _files(built)
    return Row("the zip", f"{size / _MEGABYTE:.2f} MB, {files} files", limit, size <= LIMIT_BYTES, "by sam build")


def _files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def judge_rows() -> list[Row]:
    """The judge and every peer's rule, on the recorded rollouts that ship."""
    found = [case for path in sorted(record.FOLDER.glob("*.json")) for case in cases.read(path)]
    return [
        Row(
            f"rule, {rule}" if rule != replay.RULE else "rule, tidegate's judge",
            f"{one.false_rollbacks} of {one.good} good ones rolled back, {one.misses} of {one.bad} bad ones missed",
            note=f"median {'–' if one.median_minutes is None else f'{one.median_minutes:g}'} minutes from harm to"
            f" rollback, {one.requests_hurt:,} requests hurt; recorded rollouts drawn with seed {record.SEED}",
        )
        for rule, one in score.scores(found, replay.replay_all(found)).items()
    ]


if __name__ == "__main__":
    sys.exit(main())
