"""Inputs thrown at a door, each by its number, so that one that got through can be thrown again."""

from __future__ import annotations

import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from tests.fuzz.doors import PASSED, REFUSED, Door

#: What a single input may take, in seconds of the processor: more is an input that stops others.
PATIENCE_SECONDS = 2.0


@dataclass(slots=True)
class Thrown:
    """What came of a door's inputs: how many passed and were refused, and what broke, by the input's name."""

    counts: Counter[str] = field(default_factory=Counter)
    broke: dict[str, str] = field(default_factory=dict)
    slowest_seconds: float = 0.0


def throw(door: Door, seed: int, numbers: range) -> Thrown:
    """Throw those inputs of that seed."""
    thrown = Thrown()
    for number in numbers:
        name = f"{door.name}.{seed}.{number}"
        given = door.make(Random(name))  # noqa: S311 - the same again for the same name
        began = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # jmespath's, of old spellings
                result = door.enter(given)
            if result not in {PASSED, REFUSED}:
                thrown.broke[name] = result
        except Exception:  # noqa: BLE001 - whatever it is, it was looked for
            result = "broke"
            thrown.broke[name] = f"{repr(given)[:600]}\n{traceback.format_exc(limit=-6)[-3_000:]}"
        took = time.process_time() - began
        if took > PATIENCE_SECONDS:
            thrown.broke[name] = f"took {took:.1f} s: {repr(given)[:600]}"
        thrown.slowest_seconds = max(thrown.slowest_seconds, took)
        thrown.counts[result] += 1
    return thrown
