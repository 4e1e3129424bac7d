"""Make a case that fails smaller for as long as it still fails the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from tests.chaos.case import Case

T = TypeVar("T")
Fails = Callable[[Case], bool]

#: What every request must say.
_NEEDED = frozenset({"function_name", "alias_name"})


def shrink(case: Case, fails: Fails, patience: int = 120) -> Case:
    """The smallest case found that `fails`; plays at most `patience` others.

    First the faults and the timeline, together, by delta debugging (Zeller and Hildebrandt, "Simplifying and isolating
    failure-inducing input", 2002), then each key of the request and of the scenario, then the numbers of the faults.
    """
    tries = _Tries(fails, patience)
    entries = [("faults", fault) for fault in case.faults] + [("timeline", action) for action in case.timeline]
    kept = _minimal(entries, lambda some: tries(_with_entries(case, some)))
    case = _with_entries(case, kept)
    changed = True
    while changed:
        changed = False
        for smaller in (*_without_keys(case), *_plainer(case)):
            if tries(smaller):
                case, changed = smaller, True
                break
    return case


class _Tries:
    """Asks whether a case fails, until patience has run out: then none does."""

    def __init__(self, fails: Fails, patience: int) -> None:
        self._fails = fails
        self._left = patience

    def __call__(self, case: Case) -> bool:
        self._left -= 1
        return self._left >= 0 and self._fails(case)


def _minimal(entries: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """Those entries of which none can be left out: each part alone, then all but each part, in ever smaller parts."""
    parts = 2
    while len(entries) > 1:
        size = -(-len(entries) // parts)
        cuts = [entries[at : at + size] for at in range(0, len(entries), size)]
        rests = [[*entries[: at * size], *entries[(at + 1) * size :]] for at in range(len(cuts))]
        if smaller := next((some for some in (*cuts, *rests) if len(some) < len(entries) and fails(some)), None):
            entries, parts = smaller, 2
        elif size == 1:
            break
        else:
            parts = min(2 * parts, len(entries))
    return [] if len(entries) == 1 and fails([]) else entries


def _with_entries(case: Case, entries: Sequence[tuple[str, Mapping[str, Any]]]) -> Case:
    scenario = {key: value for key, value in case.scenario.items() if key not in {"faults", "timeline"}}
    for kind in ("timeline", "faults"):
        if some := [entry for of, entry in entries if of == kind]:
            scenario[kind] = some
    return replace(case, scenario=scenario)


def _without_keys(case: Case) -> Iterator[Case]:
    if isinstance(case.request, dict):
        for request in _without_one(case.request):
            yield replace(case, request=request)
    for scenario in _without_one({key: value for key, value in case.scenario.items() if key != "faults"}):
        yield replace(case, scenario={**scenario, **({"faults": case.faults} if case.faults else {})})


def _without_one(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for key, value in document.items():
        if key in _NEEDED:
            continue
        yield {each: kept for each, kept in document.items() if each != key}
        if isinstance(value, dict):
            yield from ({**document, key: smaller} for smaller in _without_one(value) if smaller)


def _plainer(case: Case) -> Iterator[Case]:
    """The same with one number of one fault, or the moment of one action, made plainer."""
    for kind, plain in (("faults", {"times": 1, "skip": 0}), ("timeline", {})):
        entries = list(case.scenario.get(kind, ()))
        for index, entry in enumerate(entries):
            plainer = [{**entry, key: value} for key, value in plain.items() if entry.get(key, value) != value]
            if "at_second" in entry and entry["at_second"] != round(entry["at_second"]):
                plainer.append({**entry, "at_second": float(round(entry["at_second"]))})
            for one in plainer:
                changed = [*entries[:index], one, *entries[index + 1 :]]
                yield replace(case, scenario={**case.scenario, kind: changed})
