"""Some inputs through every door, the same ones each time; `make fuzz` throws 100,000."""

import pytest

from tests.fuzz.__main__ import NO_ACCOUNT
from tests.fuzz.doors import DOORS
from tests.fuzz.guards import guarded
from tests.fuzz.throw import throw

INPUTS = 3_000


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No account is configured, and what is written is thrown away."""
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in NO_ACCOUNT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_a_door_lets_pass_or_refuses_clearly_whatever_comes(door):
    thrown = throw(door, 1, range(INPUTS * door.share // 1_000))
    assert not thrown.broke
    assert thrown.counts["refused"]


def test_guards_and_commands_do_or_refuse_whatever_they_are_told():
    with guarded() as doors:
        broke = {name: why for door in doors for name, why in throw(door, 1, range(5)).broke.items()}
    assert not broke
