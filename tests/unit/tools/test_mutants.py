"""The tool behind `make mutants`: which mistakes it makes, and that those with a name can still be made."""

from collections import Counter
from pathlib import Path

import pytest

from tools.mutants import accepted, named, server, targets
from tools.mutants.hunt import Choice, Passed, Verdict, drawn, first_turn
from tools.mutants.mistakes import mutants

ROOT = Path(__file__).parents[3]
SOURCE = '''"""A module."""

LIMITS = ("low", "high")


def guard(found, limit=3):
    """Whether it may go on."""
    if found is None or not found.ready:
        raise ValueError("there is nothing yet")
    for one in found:
        if one.weight > limit:
            continue
        note(one, convicts=True, by=found)
    try:
        return ask("attribute_exists(a) AND b = :b", LIMITS)
    except KeyError:
        return False
'''


def changes(function):
    return {(one.before, one.after) for one in mutants("a.py", SOURCE) if one.function == function}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("if found is None or not found.ready:", "if (found is None or not found.ready) and False:"),
        ("if found is None or not found.ready:", "if not found.ready:"),
        ("if found is None or not found.ready:", "if found is None or (found.ready):"),
        ('raise ValueError("there is nothing yet")', "pass"),
        ("for one in found:", "for one in [*found][:1]:"),
        ("if one.weight > limit:", "if one.weight >= limit:"),
        ("continue", "break"),
        ("note(one, convicts=True, by=found)", "pass"),
        ("note(one, convicts=True, by=found)", "note(one, convicts=False, by=found)"),
        ("note(one, convicts=True, by=found)", "note(one, convicts=True)"),
        ('return ask("attribute_exists(a) AND b = :b", LIMITS)', "return ask('b = :b', LIMITS)"),
        ("except KeyError:", "except ():"),
        ("return False", "return True"),
        ("def guard(found, limit=3):", "def guard(found, limit=4):"),
    ],
)
def test_a_mistake_is_made(before, after):
    assert (before, after) in changes("guard")


def test_what_stands_outside_functions_is_met_by_who_reads_it():
    (left_out, *_) = (one for one in mutants("a.py", SOURCE) if one.kind == "member left out")
    assert (left_out.function, left_out.before, left_out.after) == (
        "<module>",
        'LIMITS = ("low", "high")',
        'LIMITS = ("high")',
    )
    assert SOURCE.splitlines()[left_out.lines[0] - 1].strip().startswith("return ask(")


def test_sentences_are_left_alone_and_every_mutant_is_another_program():
    every = mutants("a.py", SOURCE)
    assert not any("nothing yet" in one.before and "pass" not in one.after for one in every)
    assert len({one.of(SOURCE) for one in every}) == len(every)
    for one in every:
        compile(one.of(SOURCE), "a.py", "exec")


def test_every_beginning_of_a_draw_has_its_share_of_every_function_and_a_seed_repeats_it():
    every = [one for name in targets.files(ROOT)[:3] for one in mutants(name, (ROOT / name).read_text())]
    order = drawn(every, seed=3)
    assert order == drawn(every, seed=3) != drawn(every, seed=4)
    assert Counter(order) == Counter(every)
    whole, part = (Counter(one.file for one in some) for some in (every, order[: len(every) // 4]))
    assert all(abs(part[name] - whole[name] / 4) < len(every) / 20 for name in whole)


def test_who_killed_its_neighbours_comes_first_and_then_the_quick_ones():
    mutant = next(one for one in mutants("a.py", SOURCE) if one.after == "pass")
    ran = frozenset(f"a.py:{line}" for line in mutant.lines)
    names = ("tests/workflow/b.py::slow", "tests/workflow/b.py::killer", "tests/unit/b.py::one", "tests/aws/b.py::two")
    tests = [Passed(name, 4.0 if "workflow" in name else 9.0, ran) for name in names]
    choice = Choice([*tests, Passed("tests/unit/b.py::elsewhere", 1.0, frozenset({"a.py:1"}))])
    assert [test.name for test in choice.of(mutant)] == [names[2], names[3], names[1], names[0]]
    choice.learn(Verdict(mutant, "killed", names[1], 1, 4, 1.0))
    assert [test.name for test in choice.of(mutant)] == [names[1], names[2], names[3], names[0]]
    assert [test.name for test in first_turn(choice.of(mutant))] == [names[1], names[0]]


def test_a_probe_tells_which_statements_are_reached(monkeypatch):
    seen = set()
    monkeypatch.setattr("builtins._tidegate_seen", seen.add, raising=False)
    space = {"note": lambda *_, **__: None, "ask": lambda *_: {}["nothing"]}
    exec(server.probed(SOURCE, "a.py", "a.py"), space)  # noqa: S102 - it is written above
    with pytest.raises(ValueError, match="nothing yet"):
        space["guard"](None)
    assert seen == {"a.py:7", "a.py:8", "a.py:9"}


def test_every_mistake_with_a_name_can_be_made():
    sources = {str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "functions").rglob("*.py")}
    made, missing = named.mutants(sources)
    assert missing == []
    for one in made:
        compile(one.of(sources[one.file]), one.file, "exec")


def test_what_is_accepted_has_a_reason(tmp_path):
    mutant = mutants("a.py", SOURCE)[0]
    kept = tmp_path / "accepted.toml"
    kept.write_text(accepted.entry(mutant).replace('reason = ""', 'reason = "nobody could tell"'))
    assert [one.key for one in accepted.read(kept)] == [mutant.key]
    kept.write_text(accepted.entry(mutant))
    with pytest.raises(ValueError, match="needs a reason"):
        accepted.read(kept)
    accepted.read()
