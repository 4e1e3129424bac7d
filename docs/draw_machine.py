"""The state machine as a picture: its states and edges are the ASL's, their places those of the tables below.

A state or an edge that the ASL has and the tables lack is an error, and so is the opposite. Retries are left out, and
the tasks whose every failure leads to RollBack lie in one area that has one edge for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from docs.drawing import Palette, svg, text

ASL: Final = Path(__file__).parents[1] / "statemachine/rollout.asl.json"

_SIZE: Final = (768, 790)
_FIRST_ROW: Final = 42
_ROW: Final = 64
_TASK_HEIGHT: Final = 44
_CHOICE_HEIGHT: Final = 34
_TIP: Final = 14
_BEND: Final = 7
#: Centre and width of the columns: what is done on request, the way forward, the way back.
_REQUEST, _FORWARD, _BACK = (130, 144), (328, 172), (658, 160)
#: Left, top, right and bottom of the area, and the rows in it.
_AREA: Final = (12, 74, 498, 714)
_AREA_ROWS: Final = range(1, 11)

_STYLE: Final = (
    ".name{font-weight:600}.what{font-size:13px}.edge{stroke-width:2;stroke-linejoin:round}.box{stroke-width:1.5}"
    ".label{font-size:14px;font-style:italic}.area{stroke-width:1.5;stroke-dasharray:6 5}.tint{opacity:.07}"
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a state is drawn, and what it does in a few words."""

    column: tuple[int, int]
    row: int
    does: str = ""

    @property
    def x(self) -> float:
        return self.column[0]

    @property
    def y(self) -> float:
        return _FIRST_ROW + _ROW * self.row


@dataclass(frozen=True, slots=True)
class _Route:
    """How an edge runs: from one side of a state, along a lane at `lane`, to a side of the other.

    `leaves` and `enters` move its ends up or down; `words` stand at `at`.
    """

    color: str
    sides: str
    lane: float | None = None
    leaves: float = 0
    enters: float = 0
    words: str = ""
    at: tuple[float, float, str] = (0, 0, "start")


_PLACES: Final = {
    "PlanRollout": _Place(_FORWARD, 0, "check, lock, plan"),
    "PublishVersion": _Place(_FORWARD, 1, "freeze the code"),
    "AnythingNew?": _Place(_FORWARD, 2),
    "VerifyCandidate": _Place(_FORWARD, 3, "smoke tests first"),
    "FirstRelease?": _Place(_FORWARD, 4),
    "ShiftTraffic": _Place(_FORWARD, 5, "set the next weight"),
    "StepHook?": _Place(_FORWARD, 6),
    "Bake": _Place(_FORWARD, 7, "until the next look"),
    "CheckHealth": _Place(_FORWARD, 8, "measure and judge"),
    "Verdict?": _Place(_FORWARD, 9),
    "Promote": _Place(_FORWARD, 10, "all to the candidate"),
    "Promoted": _Place(_FORWARD, 11, "the candidate serves"),
    "Flinch": _Place(_REQUEST, 4, "risk a tenth"),
    "StepBack": _Place(_REQUEST, 5, "compare again"),
    "RunHook": _Place(_REQUEST, 6, "your function"),
    "HookPassed?": _Place(_REQUEST, 7),
    "Rejected": _Place(_BACK, 0, "traffic never moved"),
    "Unchanged": _Place(_BACK, 2, "nothing to release"),
    "RollbackFailed": _Place(_BACK, 4, "a person is needed"),
    "RollBack": _Place(_BACK, 5, "all traffic back"),
    "HowItEnded?": _Place(_BACK, 6),
    "RolledBack": _Place(_BACK, 7, "as it was before"),
    "Interrupted": _Place(_BACK, 8, "theirs stays"),
}

_DOWN: Final = _Route("candidate", "bottom top")
_ROUTES: Final = {
    ("PlanRollout", "PublishVersion"): _DOWN,
    ("PublishVersion", "AnythingNew?"): _DOWN,
    ("AnythingNew?", "VerifyCandidate"): _DOWN,
    ("VerifyCandidate", "FirstRelease?"): _DOWN,
    ("FirstRelease?", "ShiftTraffic"): _DOWN,
    ("ShiftTraffic", "StepHook?"): _DOWN,
    ("StepHook?", "Bake"): _DOWN,
    ("Bake", "CheckHealth"): _DOWN,
    ("CheckHealth", "Verdict?"): _DOWN,
    ("Verdict?", "Promote"): _Route("candidate", "bottom top", words="done", at=(338, 654, "start")),
    ("Promote", "Promoted"): _DOWN,
    ("AnythingNew?", "Unchanged"): _Route("soft", "right left", words="no", at=(428, 164, "start")),
    ("FirstRelease?", "Promote"): _Route(
        "soft", "left left", lane=24, enters=10, words="a new alias", at=(232, 292, "end")
    ),
    ("StepHook?", "RunHook"): _Route("soft", "left right"),
    ("RunHook", "HookPassed?"): _Route("soft", "bottom top"),
    ("HookPassed?", "Bake"): _Route("soft", "right left"),
    ("HookPassed?", "CheckHealth"): _Route("soft", "bottom left", lane=130, enters=-9),
    ("Verdict?", "RunHook"): _Route(
        "soft", "left left", lane=42, words="ask, flinch, step back", at=(50, 612, "start")
    ),
    ("Verdict?", "StepBack"): _Route("soft", "left left", lane=42),
    ("StepBack", "ShiftTraffic"): _Route("soft", "right left"),
    ("Verdict?", "Flinch"): _Route("soft", "left left", lane=42),
    ("Flinch", "ShiftTraffic"): _Route("soft", "right left", enters=-9),
    ("Promote", "CheckHealth"): _Route(
        "soft", "left left", lane=222, leaves=-9, enters=9, words="paused", at=(216, 668, "end")
    ),
    ("Promote", "Bake"): _Route("soft", "right right", lane=434, words="busy", at=(440, 668, "start")),
    ("Verdict?", "Bake"): _Route("soft", "right right", lane=434, leaves=-8, words="wait", at=(440, 560, "start")),
    ("Verdict?", "ShiftTraffic"): _Route(
        "candidate", "right right", lane=484, enters=0, words="next", at=(478, 386, "end")
    ),
    ("Verdict?", "RollBack"): _Route(
        "bad", "right left", lane=540, leaves=8, enters=11, words="harm", at=(504, 644, "start")
    ),
    ("PlanRollout", "Rejected"): _Route("bad", "right left", words="any failure", at=(496, 34, "middle")),
    ("RollBack", "HowItEnded?"): _Route("bad", "bottom top"),
    ("RollBack", "RollbackFailed"): _Route("bad", "top bottom"),
    ("HowItEnded?", "RolledBack"): _Route("bad", "bottom top"),
    ("HowItEnded?", "Interrupted"): _Route("bad", "right right", lane=754),
    ("HowItEnded?", "Rejected"): _Route("bad", "right right", lane=754),
    ("HowItEnded?", "Unchanged"): _Route("bad", "right right", lane=754),
    ("HowItEnded?", "Promoted"): _Route("bad", "right right", lane=754),
    ("HowItEnded?", "RollbackFailed"): _Route("bad", "right right", lane=754),
}


class NotPlacedError(Exception):
    """The picture and the state machine differ; the message says in what."""


def machine(palette: Palette) -> str:
    """The whole state machine.

    Raises:
        NotPlacedError: the ASL has what the tables lack, or lacks what they have.
    """
    return drawn(palette, json.loads(ASL.read_text(encoding="utf-8"))["States"])


def drawn(palette: Palette, states: Mapping[str, Any]) -> str:
    """Any states that the tables know, all of them.

    Raises:
        NotPlacedError: as `machine`.
    """
    _compare("states", set(states), set(_PLACES))
    _compare("edges", set(_edges(states)), set(_ROUTES))
    inside = {
        name
        for name, place in _PLACES.items()
        if states[name]["Type"] == "Task" and place.column != _BACK and place.row in _AREA_ROWS
    }
    _compare("tasks of the area", {name for name in states if _rolls_back(states[name])}, inside)
    return svg(palette, _SIZE, _said(states), _STYLE, [*_area(), *_lines(), *_boxes(states), *_legend()])


def _compare(what: str, real: set[Any], placed: set[Any]) -> None:
    differences = {"without a place": real - placed, "not in the ASL": placed - real}
    if any(differences.values()):
        said = "; ".join(f"{how}: {sorted(map(str, those))}" for how, those in differences.items() if those)
        raise NotPlacedError(f"{what} of the state machine's picture in docs/draw_machine.py: {said}")


def _rolls_back(state: Mapping[str, Any]) -> bool:
    return any(each["ErrorEquals"] == ["States.ALL"] and each["Next"] == "RollBack" for each in state.get("Catch", ()))


def _edges(states: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Every edge but those that the area's one edge stands for."""
    for name, state in states.items():
        ways = [state, *state.get("Choices", ()), {"Next": state.get("Default")}, *state.get("Catch", ())]
        kept = ways[: -len(state["Catch"])] if _rolls_back(state) else ways
        caught = [way for way in state.get("Catch", ()) if way["ErrorEquals"] != ["States.ALL"]]
        yield from {(name, way["Next"]) for way in (*kept, *caught) if way.get("Next")}


def _said(states: Mapping[str, Any]) -> str:
    forward = [name for name, place in _PLACES.items() if place.column == _FORWARD and states[name]["Type"] != "Choice"]
    return f"The state machine: {', '.join(forward)}. From PublishVersion to Promote any failure leads to RollBack."


# --- Shapes -----------------------------------------------------------------------------------------------------------


def _area() -> list[str]:
    left, top, right, bottom = _AREA
    size = f"x='{left}' y='{top}' width='{right - left}' height='{bottom - top}' rx='12'"
    y, end = _PLACES["RollBack"].y - 9, _BACK[0] - _BACK[1] / 2
    return [
        f"<rect class='bad tint' {size}/>",
        f"<rect class='bad-line area' {size}/>",
        *_arrow("bad", [(right, y), (end, y)]),
        text((right + end) / 2, y - 26, "any", "label bad", "middle"),
        text((right + end) / 2, y - 9, "failure", "label bad", "middle"),
    ]


def _boxes(states: Mapping[str, Any]) -> list[str]:
    return [part for name, place in _PLACES.items() for part in _box(name, place, states[name]["Type"])]


def _box(name: str, place: _Place, kind: str) -> list[str]:
    half = place.column[1] / 2
    if kind == "Choice":
        inner, rise = half - _TIP, _CHOICE_HEIGHT / 2
        shape = f"M{place.x - half:g} {place.y:g}l{_TIP} {-rise:g}h{2 * inner:g}l{_TIP} {rise:g}l{-_TIP} {rise:g}"
        outline = (
            f"<path class='page' d='{shape}h{-2 * inner:g}Z'/><path class='box soft-line' d='{shape}h{-2 * inner:g}Z'/>"
        )
        return [outline, text(place.x, place.y + 5, name, "name", "middle")]
    tone = {"Succeed": "good", "Fail": "bad"}.get(kind, "card")
    rounding = 8 if tone == "card" else _TASK_HEIGHT / 2
    size = (
        f"x='{place.x - half:g}' y='{place.y - _TASK_HEIGHT / 2:g}' width='{2 * half:g}' height='{_TASK_HEIGHT}'"
        f" rx='{rounding:g}'"
    )
    line = "soft" if tone == "card" else tone
    ink, soft = ("ink", "soft") if tone == "card" else ("page", "page")
    return [
        f"<rect class='{tone}' {size}/><rect class='box {line}-line' {size}/>",
        text(place.x, place.y - 2, name, f"name {ink}", "middle"),
        text(place.x, place.y + 15, place.does, f"what {soft}", "middle"),
    ]


def _lines() -> list[str]:
    # The way forward lies on top where edges cross.
    ordered = sorted(_ROUTES.items(), key=lambda item: ("soft", "bad", "candidate").index(item[1].color))
    parts = []
    for (source, target), route in ordered:
        leave, enter = route.sides.split()
        x, y = _side(source, leave, route.leaves)
        end_x, end_y = _side(target, enter, route.enters)
        lane = x if route.lane is None else route.lane
        parts += _arrow(route.color, [(x, y), (lane, y), (lane, end_y), (end_x, end_y)])
        if route.words:
            parts.append(text(*route.at[:2], route.words, f"label {route.color}", route.at[2]))
    return parts


def _side(name: str, side: str, shifted: float) -> tuple[float, float]:
    place = _PLACES[name]
    question = name.endswith("?")
    half, rise = place.column[1] / 2, (_CHOICE_HEIGHT if question else _TASK_HEIGHT) / 2
    if side in {"top", "bottom"}:
        return place.x, place.y + (rise if side == "bottom" else -rise)
    # A question's side slants.
    reach = half - (_TIP * abs(shifted) / rise if question else 0)
    return place.x + (reach if side == "right" else -reach), place.y + shifted


def _arrow(color: str, points: list[tuple[float, float]]) -> list[str]:
    """A line with round bends along the points, and its head."""
    path = [points[0], *(point for before, point in pairwise(points) if point != before)]
    (from_x, from_y), (x, y) = path[-2:]
    right, down = (x > from_x) - (x < from_x), (y > from_y) - (y < from_y)
    path[-1] = (x - 6 * right, y - 6 * down)
    line = f"M{path[0][0]:g} {path[0][1]:g}"
    for before, bend, after in zip(path, path[1:], path[2:], strict=False):
        (in_x, in_y), (out_x, out_y) = _near(bend, before), _near(bend, after)
        line += f"L{in_x:g} {in_y:g}Q{bend[0]:g} {bend[1]:g} {out_x:g} {out_y:g}"
    line += f"L{path[-1][0]:g} {path[-1][1]:g}"
    wide, long = 5, 9
    head = (
        f"M{x:g} {y:g}L{x - long * right - wide * down:g} {y - long * down - wide * right:g}"
        f"L{x - long * right + wide * down:g} {y - long * down + wide * right:g}Z"
    )
    return [f"<path class='edge {color}-line' d='{line}'/><path class='{color}' d='{head}'/>"]


def _near(bend: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """The point on the way from a bend where its rounding ends."""
    across, along = other[0] - bend[0], other[1] - bend[1]
    away = min(_BEND / (abs(across) + abs(along)), 0.5)
    return bend[0] + across * away, bend[1] + along * away


def _legend() -> list[str]:
    rows = (("candidate", "the way forward"), ("soft", "again, or a short cut"), ("bad", "the way back"))
    x, y = _BACK[0] - _BACK[1] / 2, _FIRST_ROW + _ROW * 9 - 6
    return [
        part
        for number, (color, words) in enumerate(rows)
        for part in (
            *_arrow(color, [(x, y + 24 * number), (x + 28, y + 24 * number)]),
            text(x + 36, y + 24 * number + 5, words, "what soft"),
        )
    ]
