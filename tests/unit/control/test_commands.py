"""What people may say of a rollout, when it counts, and what they are answered where it does not."""

import json

import pytest

from tidegate.control.commands import KINDS, Command, Controls, GivenCommand, Situation, refusal

SAID = {
    "command": "pause",
    "function_name": "checkout",
    "alias_name": "live",
    "author": "ana",
    "reason": "a graph",
}
WORD = GivenCommand("1", "pause", "ana", "a graph", 0.0)


def now(**known):
    usual = {
        "traffic_shifted": True,
        "promoting": False,
        "restoring": None,
        "paused": None,
        "approval_step": None,
        "pausable": True,
    }
    return Situation(**{**usual, **known})


def test_a_command_is_read_and_becomes_a_word():
    command = Command.parse({**SAID, "rollout_id": "r1"})
    assert (command.target, command.rollout_id) == ("checkout:live", "r1")
    given = command.given(12.5, approval_step=2, step=1)
    assert GivenCommand.from_json(given.to_json()) == given
    assert str(given) == "paused by ana (a graph)"


def test_everything_that_is_wrong_with_a_command_is_said_at_once():
    with pytest.raises(ValueError, match="5 problems") as caught:
        Command.parse({"command": "dance", "function_name": "", "alias_name": "live", "author": 7, "when": "now"})
    for part in ("when: unknown key", "command: must be one of", "function_name:", "author:", "reason:"):
        assert part in str(caught.value)


@pytest.mark.parametrize("document", [None, [], "pause", 7])
def test_what_is_no_object_is_no_command(document):
    with pytest.raises(ValueError, match="must be an object such as"):
        Command.parse(document)


@pytest.mark.parametrize("reason", ["", " ", "x" * 301, "two\nlines"])
def test_author_and_reason_are_one_line_each(reason):
    with pytest.raises(ValueError, match="reason:"):
        Command.parse({**SAID, "reason": reason})


def test_what_would_steer_a_terminal_is_kept_as_escapes_and_names_no_alias():
    said = Command.parse({**SAID, "author": "\u200fana", "reason": "look \u202e\x1b[2J"})
    assert (said.author, said.reason) == ("\\u200fana", "look \\u202e\\u001b[2J")
    with pytest.raises(ValueError, match="alias_name: must not have characters that steer a terminal"):
        Command.parse({**SAID, "alias_name": "live\u202e"})


#: Which commands count where: everything else is refused with a sentence.
COUNT = {
    "baking": (now(), {"pause", "advance", "finish", "abort"}),
    "before any traffic": (now(traffic_shifted=False), {"pause", "abort"}),
    "paused": (now(paused=WORD), {"resume", "finish", "abort"}),
    "at a gate": (now(approval_step=1), {"pause", "approve", "reject", "finish", "abort"}),
    "at a gate, paused": (now(approval_step=1, paused=WORD), {"resume", "approve", "reject", "finish", "abort"}),
    "promoting": (now(promoting=True), {"abort"}),
    "promoting, held for proof before": (now(promoting=True, approval_step=3), {"abort", "reject"}),
    "being restored": (now(restoring="an alarm"), {"abort", "reject"}),
    "being finished at a gate": (now(approval_step=1, finishing=WORD), {"pause", "reject", "finish", "abort"}),
    "with no room to pause": (now(pausable=False), {"advance", "finish", "abort"}),
}


@pytest.mark.parametrize("where", COUNT)
def test_a_command_counts_where_it_can_do_something(where):
    situation, count = COUNT[where]
    assert {command for command in KINDS if refusal(command, situation) is None} == count


def test_the_example_of_a_command_is_one():
    with pytest.raises(ValueError, match="It looks like") as refused:
        Command.parse({})
    example = Command.parse(json.loads(str(refused.value).partition("It looks like ")[2]))
    assert (example.command, example.function_name, example.alias_name) == ("pause", "checkout", "live")


def test_nobody_has_said_anything_at_first():
    assert (Controls().count, Controls().pause, Controls().pending) == (0, None, None)
