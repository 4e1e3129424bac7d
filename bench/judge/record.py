"""The recorded rollouts that ship, drawn as the simulation draws them: python -m bench.judge.record.

Few and fixed: they show how the rules differ, and that the comparison runs. How often the judge is wrong is the
simulation's business (docs/judge-figures.md).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.judge.drawing import DAY_MINUTES, Drawing, requests, shares
from bench.judge.scenarios import RAMP_MINUTES
from bench.judge.simulate import STEPS, Cell
from tidegate.analysis.measurement import Counts, Shift

FOLDER: Final = Path(__file__).parent / "recorded"
SEED: Final = 11
#: By file: what a candidate is like, requests a minute, and the share of them that the stable version fails.
RECORDED: Final[dict[str, tuple[tuple[str, int, float], ...]]] = {
    "good": (
        ("identical", 100, 0.01),
        ("identical", 10_000, 0.01),
        ("burst", 1_000, 0.001),
        ("burst", 10_000, 0.01),
        ("cold", 1_000, 0.001),
        ("blip", 1_000, 0.001),
    ),
    "bad": (
        ("catastrophe", 10, 0.001),
        ("third", 100, 0.01),
        ("x5", 1_000, 0.01),
        ("x5", 10_000, 0.0),
        ("leak", 1_000, 0.001),
        ("slow", 10_000, 0.001),
    ),
}
#: The weights of a recorded rollout: those of the ramp, each from a whole minute on.
_SHIFTS: Final = tuple(
    Shift(sum(step.bake_seconds for step in STEPS["ramp"][:number]), step.weight_percent)
    for number, step in enumerate(STEPS["ramp"][:-1])
)


def documents() -> dict[Path, str]:
    """Every file with its text."""
    return {FOLDER / f"{label}.json": _text(label) for label in RECORDED}


def _text(label: str) -> str:
    """A minute a line, so that a change can be read."""
    recorded = [
        {"id": f"{label}-{number}", **drawn(cell, cell.rng())}
        for number, cell in enumerate((Cell("ramp", *what, 1, SEED) for what in RECORDED[label]), start=1)
    ]
    lines = [
        f'{{"id": {json.dumps(case["id"])}, "name": {json.dumps(case["name"])}, "truth": {json.dumps(case["truth"])},\n'
        ' "minutes": [\n  ' + ",\n  ".join(json.dumps(minute) for minute in case["minutes"]) + "\n ]}"
        for case in recorded
    ]
    return '{"cases": [\n' + ",\n".join(lines) + "\n]}\n"


def drawn(cell: Cell, rng: np.random.Generator) -> dict[str, Any]:
    """One of a cell's rollouts up to its last step, at the weights of its plan, as a case without an id."""
    world = cell.about.world(rng, RAMP_MINUTES, cell.error_rate)
    drawing = Drawing(rng, world, requests(rng, world, cell.rpm))
    minutes, weights = drawing.until(RAMP_MINUTES, _SHIFTS), shares(_SHIFTS, 0, RAMP_MINUTES)
    hurt = [minute.candidate.requests * excess for minute, excess in zip(minutes, world.excess, strict=True)]
    return {
        "name": f"{cell.about.says}, {cell.rpm:,} rpm",
        "truth": _truth(hurt) if cell.about.kind == "harmful" else {"label": "good"},
        # CloudWatch is one to three minutes late.
        "minutes": [
            {
                "t": t,
                "w": float(weight),
                "seen_at": t + 1 + int(rng.integers(1, 4)),
                "b": _counts(minute.stable),
                "c": _counts(minute.candidate),
            }
            for t, (minute, weight) in enumerate(zip(minutes, weights, strict=True))
        ],
        "history": {
            "requests": cell.rpm * DAY_MINUTES,
            "errors": round(cell.rpm * DAY_MINUTES * cell.error_rate),
            "requests_per_minute": float(cell.rpm),
            "p99_known": True,
        },
    }


def _truth(hurt: list[float]) -> dict[str, Any]:
    return {"label": "bad", "onset": 0, "expected_excess": [round(float(one), 2) for one in hurt]}


def _counts(counts: Counts) -> dict[str, int | None]:
    """A version without a request has no datapoint at all."""
    if not counts.requests:
        return {"n": None, "errors": None, "slow": None}
    return {"n": counts.requests, "errors": counts.errors, "slow": counts.slow}


if __name__ == "__main__":
    for path, text in documents().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {path.name}\n")
