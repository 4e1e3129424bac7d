"""A frozen class is what the standard library's frozen, slotted dataclass is."""

import copy
from dataclasses import FrozenInstanceError, asdict, field, replace

import pytest

from tidegate.frozen import frozen


@frozen
class Step:
    weight: float
    bake_seconds: int = 60
    names: list[str] = field(default_factory=list)
    secret: str = field(default="s", repr=False)


def test_its_fields_are_given_in_order_by_name_or_by_default():
    assert asdict(Step(10, names=["a"])) == {"weight": 10, "bake_seconds": 60, "names": ["a"], "secret": "s"}
    assert Step(1).names is not Step(1).names


@pytest.mark.parametrize(
    "make",
    [
        Step,
        lambda: Step(1, 2, [], "s", 5),
        lambda: Step(1, weight=1),
        lambda: Step(1, heavy=True),
    ],
)
def test_a_field_too_few_or_too_many_is_refused(make):
    with pytest.raises(TypeError, match="Step"):
        make()


def test_it_cannot_be_changed_nor_given_more():
    step = Step(10)
    with pytest.raises(FrozenInstanceError, match="weight"):
        step.weight = 20
    with pytest.raises(FrozenInstanceError, match="weight"):
        del step.weight
    with pytest.raises(FrozenInstanceError, match="other"):
        step.other = 1
    assert not hasattr(step, "__dict__")


def test_it_is_equal_by_class_and_content():
    @frozen
    class Other:
        weight: float

    @frozen
    class Another:
        weight: float

    assert replace(Step(10), weight=20) == Step(20) != Step(10)
    assert {Other(1), Other(1)} == {Other(1)}
    assert Other(1) != Another(1)


def test_it_is_shown_with_its_content_but_for_what_is_secret():
    assert repr(Step(10)) == "Step(weight=10, bake_seconds=60, names=[])"


def test_it_is_copied():
    step = Step(10, names=["a"])
    copied = copy.deepcopy(step)
    assert copied == step
    assert copied.names is not step.names
