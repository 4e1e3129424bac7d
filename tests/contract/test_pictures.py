"""The pictures of the documentation show what is: `make docs` draws them from the state machine and the sandbox."""

import re
from xml.etree import ElementTree as ET

import pytest

from docs import draw_machine, generate
from docs.drawing import PALETTES
from sandbox.command_line import DEMO_REQUEST
from tests.contract.artifacts import MACHINE, ROOT

PICTURES = sorted((ROOT / "docs/pictures").iterdir())


def words(name):
    """Every line of text in a picture."""
    root = ET.parse(ROOT / "docs/pictures" / name).getroot()  # noqa: S314 - our own file
    return [
        "".join(each.itertext()).replace("\N{NO-BREAK SPACE}", " ") for each in root.iter() if each.tag[-4:] == "text"
    ]


def test_the_pictures_are_what_make_docs_draws():
    drawn = {path: text.splitlines() for path, text in generate.pictures().items()}
    assert {path: path.read_text(encoding="utf-8").splitlines() for path in PICTURES} == drawn


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_a_picture_loads_nothing_and_runs_nothing(picture):
    text = picture.read_text(encoding="utf-8")
    assert re.findall(r"https?://[^'\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<script|@import|@font-face|href=|<image|<foreignObject| on\w+=", text)


@pytest.mark.parametrize("look", ["light", "dark"])
def test_every_state_is_drawn_once(look):
    said = words(f"state-machine-{look}.svg")
    assert {state: said.count(state) for state in MACHINE["States"]} == dict.fromkeys(MACHINE["States"], 1)


def test_a_state_without_a_place_is_named():
    states = MACHINE["States"] | {"Ponder": {"Type": "Wait", "Next": "Bake"}}
    with pytest.raises(draw_machine.NotPlacedError, match=r"without a place: .*Ponder"):
        draw_machine.drawn(PALETTES[0], states)


def test_an_edge_that_is_not_drawn_is_named():
    states = MACHINE["States"] | {"Bake": MACHINE["States"]["Bake"] | {"Next": "Promote"}}
    with pytest.raises(draw_machine.NotPlacedError, match="'Bake', 'Promote'"):
        draw_machine.drawn(PALETTES[0], states)


def test_a_task_whose_failures_lead_elsewhere_is_named():
    bare = {key: value for key, value in MACHINE["States"]["CheckHealth"].items() if key != "Catch"}
    with pytest.raises(draw_machine.NotPlacedError, match=r"tasks of the area.*CheckHealth"):
        draw_machine.drawn(PALETTES[0], MACHINE["States"] | {"CheckHealth": bare})


def test_the_rollout_that_is_drawn_set_no_alarm_and_no_limit():
    assert set(DEMO_REQUEST) == {"function_name", "alias_name"}
    assert any("No alarm or limit had been set" in line for line in words("rollout-light.svg"))
