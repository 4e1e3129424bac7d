"""The recorded rollouts that ship, drawn as the simulation draws them: python -m bench.judge.record.

Few and fixed: they show how the rules differ, and that the comparison runs. How often the judge is wrong is the
simulation's business (docs/judge-figures.md).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from bench.judge import simulate
from bench.judge.simulate import RAMP_MINUTES, RAMPS, STEPS, Cell, Drawn
from tidegate.analysis.measurement import Counts

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


def documents() -> dict[Path, str]:
    """Every file with its text."""
    return {FOLDER / f"{label}.json": _text(label) for label in RECORDED}


def _text(label: str) -> str:
    """A minute a line, so that a change can be read."""
    recorded = [_case(label, number, *what) for number, what in enumerate(RECORDED[label], start=1)]
    lines = [
        f'{{"id": {json.dumps(case["id"])}, "name": {json.dumps(case["name"])}, "truth": {json.dumps(case["truth"])},\n'
        ' "minutes": [\n  ' + ",\n  ".join(json.dumps(minute) for minute in case["minutes"]) + "\n ]}"
        for case in recorded
    ]
    return '{"cases": [\n' + ",\n".join(lines) + "\n]}\n"


def _case(label: str, number: int, name: str, rpm: int, error_rate: float) -> dict[str, Any]:
    rng = Cell("ramp", name, rpm, error_rate, 1, SEED).rng
    truth = RAMPS[name].change(simulate.world(rng, RAMP_MINUTES, error_rate), rng)
    weights = [weight for minutes, weight in STEPS for _ in range(minutes)]
    drawn = simulate.draw(rng, truth, weights, rpm)
    return {
        "id": f"{label}-{number}",
        "name": f"{RAMPS[name].says}, {rpm:,} rpm",
        "truth": _truth(label, drawn),
        # CloudWatch is one to three minutes late.
        "minutes": [
            {
                "t": t,
                "w": weight,
                "seen_at": t + 1 + int(rng.integers(1, 4)),
                "b": _counts(minute.stable),
                "c": _counts(minute.candidate),
            }
            for t, (minute, weight) in enumerate(zip(drawn.minutes, weights, strict=True))
        ],
    }


def _truth(label: str, drawn: Drawn) -> dict[str, Any]:
    if label == "good":
        return {"label": label}
    return {"label": label, "onset": 0, "expected_excess": [round(float(hurt), 2) for hurt in drawn.hurt]}


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
