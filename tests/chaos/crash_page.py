"""docs/crash-points.md: every crash point and its end, as tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from sandbox.aws.interpreter import MOTO_VERSION
from tests.chaos.crash_points import EVENTS, HELD, HELD_ALWAYS, HURTS, LEDGER_GONE, NOTHING_ELSE, End

STOPS = (NOTHING_ELSE, *EVENTS, LEDGER_GONE)
_TITLES = {
    "good": "A candidate that is well: undisturbed it is promoted",
    "bad": "A candidate that fails half of its requests from its second minute on: undisturbed it is rolled back",
}
_HEAD = f"""\
# Crash points

<!-- generated: make sweep writes it, do not edit -->

The canonical rollout (10, 50, 100 %, one alarm, one smoke test) is played in the sandbox once for every point at which
it can be hurt. Afterwards, and after sixteen minutes of sweeping, the alias serves one version at 100 %, the lock is
free, and history and events say how it ended (`tests/chaos/invariants.py`). The sandbox stands on moto {MOTO_VERSION}.

* *promoted*: the candidate serves alone. After a Stop: it came when the last word had been spoken.
* *rolled back*, *rejected*: the stable version serves alone, by the state machine's own doing.
* *restored*: the execution was stopped, and a guard or the sweeper saw to it that the stable version serves alone.
* *rollback failed*: a person must run the command in the execution's cause, unless a guard gets through later.

Each AWS call: one attempt is *refused* (AccessDeniedException, which nobody repeats), the handler *died before* or
*after* it, or its *answer* was *lost*. *times* says how many such calls ended alike. The sweeper calls on and on; the
calls of its first visits stand for all.
"""


def page(ends: Sequence[End]) -> str:
    """The whole page."""
    broken = [end for end in ends if end.broke]
    parts = [_HEAD, f"**{len(ends):,} points, {len(ends) - len(broken):,} ended safe.**"]
    parts += ["\n".join(f"* {end.point.case.name}: {', '.join(end.broke)}" for end in broken)] if broken else []
    for story, title in _TITLES.items():
        own = [end for end in ends if end.point.story == story]
        parts += [f"## {title}", "\n".join(_calls(own))]
        parts += ["### Stop, in every state", "\n".join(_counted(own, "stops", ("", "state"), STOPS))]
        parts += ["### Stop while a write is on its way"]
        parts += ["\n".join(_counted(own, "held", ("handler", "call"), (HELD, HELD_ALWAYS)))]
    return "\n\n".join(parts) + "\n"


def cell(end: End) -> str:
    """One point's end."""
    return f"**{end.outcome}: {', '.join(end.broke)}**" if end.broke else end.outcome


def documented(text: str, story: str) -> Counter[tuple[str, str]]:
    """How many calls of each handler and name the page's table of calls has for a story."""
    return Counter({row: sum(times for times, _ in rows) for row, rows in _documented(text, story).items()})


def documented_ends(text: str, story: str, row: tuple[str, str], hurt: str) -> set[str]:
    """The ends that the page gives to calls of a handler and name that were hurt in one way."""
    return {cells[tuple(HURTS).index(hurt)] for _, cells in _documented(text, story)[row]}


def _documented(text: str, story: str) -> dict[tuple[str, str], list[tuple[int, list[str]]]]:
    section = text.partition(f"## {_TITLES[story]}\n")[2].partition("\n### ")[0]
    found: dict[tuple[str, str], list[tuple[int, list[str]]]] = {}
    for line in re.findall(r"^\| (.+) \|$", section, re.MULTILINE)[1:]:
        handler, call, times, *cells = line.split(" | ")
        found.setdefault((handler, call), []).append((int(times), cells))
    return found


# --- Tables -----------------------------------------------------------------------------------------------------------


def _calls(ends: Sequence[End]) -> Iterator[str]:
    """A row for every call; those of one handler and name that ended alike share one."""
    alike: Counter[tuple[str, ...]] = Counter()
    for _, group in groupby([end for end in ends if end.point.table == "calls"], lambda end: end.point.number):
        hurt = {end.point.column: end for end in group}
        row = next(iter(hurt.values())).point.row
        alike[*row, *(cell(hurt[column]) if column in hurt else "" for column in HURTS)] += 1
    yield from _header("handler", "call", "times", *HURTS)
    for (handler, call, *cells), times in alike.items():
        yield _line(handler, call, str(times), *cells)


def _counted(ends: Sequence[End], table: str, left: tuple[str, str], columns: Sequence[str]) -> Iterator[str]:
    """A row for every place, and in each column how many plays ended how."""
    own = [end for end in ends if end.point.table == table]
    yield from _header(*(name for name in left if name), *columns)
    for row in dict.fromkeys(end.point.row for end in own):
        counts = [
            Counter(cell(end) for end in own if end.point.row == row and end.point.column == name) for name in columns
        ]
        places = [place for name, place in zip(left, row, strict=True) if name]
        yield _line(
            *places, *(", ".join(f"{many} {outcome}" for outcome, many in count.most_common()) for count in counts)
        )


def _header(*names: str) -> Iterator[str]:
    yield _line(*names)
    yield "|" + "---|" * len(names)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
