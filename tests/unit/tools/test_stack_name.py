"""The stack's name: what is too long for its state machine is refused in words, before anything is made."""

import pytest

from tools.stack_name import LONGEST, configured, main, problem


@pytest.mark.parametrize("name", ["t", "tidegate", "Tidegate-2", "t" * 60, "t" * LONGEST])
def test_a_name_that_will_do(name, capsys):
    assert main([name]) == 0
    assert capsys.readouterr().err == ""


def test_a_name_of_73_characters_is_refused_with_the_reason_and_what_to_do(capsys):
    name = "t" * 73
    assert main([name]) == 2
    said = capsys.readouterr().err
    assert said == (
        f"the stack's name {name} has 73 characters, and 72 are the most: its state machine is called {name}-rollout,"
        " and such a name holds 80. Choose a shorter one: make deploy STACK=…\n"
    )


@pytest.mark.parametrize("name", ["", "2tidegate", "-t", "tide gate", "tide_gate", "tidegate\n"])
def test_what_is_no_name_of_a_stack_is_refused(name):
    assert "a letter comes first" in problem(name)


def test_every_configured_name_is_looked_at(tmp_path):
    path = tmp_path / "samconfig.toml"
    path.write_text(
        'version = 0.1\n[default.deploy.parameters]\nstack_name = "one"\n[prod.global.parameters]\nstack_name = "two"\n'
        "[prod.build.parameters]\ncached = true\n"
    )
    assert list(configured(path)) == ["one", "two"]


def test_the_configured_name_will_do():
    assert list(configured()) == ["tidegate"]
    assert main([]) == 0
