"""Mistakes that lived once, or that nobody may ever make: they always run, and first.

Each is a pattern and what stands in its place, in one function. Where a function is written anew, so is its mistake.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tools.mutants.mistakes import Edit, Mutant, changed_lines, edited


class NotThere(Exception):
    """A named mistake cannot be made any more: its function or its text is not there, or not once."""


@dataclass(frozen=True, slots=True)
class Change:
    """`pattern`, a regular expression that is met once in `function` of `file`, replaced as `re.sub` does."""

    file: str
    function: str
    pattern: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Named:
    """A mistake that has a name, of one change or several."""

    name: str
    changes: tuple[Change, ...]


def _named(name: str, *changes: tuple[str, str, str, str]) -> Named:
    return Named(name, tuple(Change(f"functions/{file}", *more) for file, *more in changes))


_FINISHES = (
    "    if progress.finish is not None and progress.shifts:\n"
    '        return _decided("promote", f"{progress.finish}, unproven", progress)\n'
)

NAMED = (
    _named(
        "finish above harm",
        ("tidegate/control/decision.py", "decide", r"(?m)^    if harmful := ", rf"{_FINISHES}    if harmful := "),
    ),
    _named(
        "an approval survives a step back",
        ("tidegate/control/decision.py", "_step_back", r"\bapproved=approved,", "approved=progress.approved,"),
    ),
    _named(
        "a finish survives the decision to step back",
        ("tidegate/control/decision.py", "_step_back", r"\bfinish=None,", "finish=progress.finish,"),
    ),
    _named(
        "a finish survives another weight",
        ("tidegate/control/progress.py", "Progress.after_shift", r"\bfinish=None,", "finish=before.finish,"),
    ),
    _named(
        "Promote says promoted whatever was recorded",
        ("promote.py", "handler", r"if found\.outcome is not Outcome\.PROMOTED:", "if False:"),
    ),
    _named(
        "Promote does not look for a restore at the end",
        ("promote.py", "handler", r"(?m)^( +)_require_unrestored\(.*\)$", r"\1pass"),
    ),
    _named(
        "guard_alarm counts alarms from before the rollout",
        ("guard_alarm.py", "_Fired.rule", r" or self\.at < lock\.plan\.started_at", ""),
    ),
    _named(
        "guard_alarm believes alarms of other accounts",
        ("guard_alarm.py", "_Fired.is_where", r"\(self\.account, self\.region\)", "(execution.account, self.region)"),
    ),
    _named(
        "guard_alarm believes alarms of other regions",
        ("guard_alarm.py", "_Fired.is_where", r"\(self\.account, self\.region\)", "(self.account, execution.region)"),
    ),
    _named(
        "the sweeper restores while another rollout runs",
        ("sweep.py", "_take_back", r" or locks\.read\(rollout\.target\) is not None", ""),
    ),
    _named(
        "the sweeper reconciles a rollout that runs",
        (
            "tidegate/ending/execution_end.py",
            "ExecutionEnd.parse",
            r"return None",
            'return cls("failed", "", "it runs", ended_at=ended_at)',
        ),
    ),
    _named(
        "the sweeper reconciles whoever holds the lock by now",
        ("sweep.py", "_reconcile", r" or lock\.execution_arn != seen\.execution_arn", ""),
    ),
    _named(
        "a guard or a sweep stops at its first failure",
        ("tidegate/application/many.py", "_attempt", r"return Tried\(item, error=error\)", "raise"),
    ),
    _named(
        "what is known to be open waits for its turn",
        ("sweep.py", "_part", r"if not is_open\(item\)", ""),
        ("sweep.py", "_part", r"\*shuffled\(filter\(is_open, items\), _target\), ", ""),
    ),
    _named(
        "a denied fence is a denial",
        ("tidegate/application/restoration.py", "_write", r"if alias\.routing == whole:", "if False:"),
    ),
    _named(
        "a denied fence at the revision of the last write is a denial",
        ("tidegate/application/restoration.py", "_restore_as_left", r"if now\.routing == stable:", "if False:"),
    ),
    _named(
        "an unmarked undo does not ask the records",
        (
            "tidegate/application/restoration.py",
            "_closed_promotion",
            r"if recorded := history\.recorded\(plan\):",
            "if False:",
        ),
    ),
    _named(
        "a lost lock is no end",
        ("tidegate/ending/restore_intent.py", "RestoreIntent.ended_before", r"return self\.recorded", "return None"),
    ),
    _named(
        "a lock that another rollout has is no end",
        (
            "tidegate/ending/restore_intent.py",
            "RestoreIntent.ended_before",
            r"self\.holder is Holder\.ANOTHER",
            "False",
        ),
    ),
    _named(
        "who lost the lock to another rollout rolls back",
        ("tidegate/ending/conclusion.py", "conclude", r"if known\.reason\.lock_lost", "if False"),
    ),
    _named(
        "gives up silently",
        ("tidegate/application/reconciliation.py", "reconcile", r"_give_up\(known\.snapshot, ending\)", "pass"),
    ),
)


def mutants(sources: Mapping[str, str]) -> tuple[list[Mutant], list[str]]:
    """Every named mistake, in its order; and why those that are missing cannot be made."""
    made, missing = [], []
    for named in NAMED:
        try:
            made.append(_mutant(named, sources))
        except NotThere as error:
            missing.append(str(error))
    return made, missing


def _mutant(named: Named, sources: Mapping[str, str]) -> Mutant:
    file, function = named.changes[0].file, named.changes[0].function
    source = sources.get(file, "")
    edits, lines = [], []
    for change in named.changes:
        edit, line = _edit(named.name, change, sources)
        edits.append(edit)
        lines.append(line)
    before, after = changed_lines(source, edited(source, edits))
    return Mutant(file, function, "named", tuple(edits), tuple(lines), before, after, named.name)


def _edit(name: str, change: Change, sources: Mapping[str, str]) -> tuple[Edit, int]:
    where = f"{name}: {change.file} {change.function}"
    if change.file not in sources:
        raise NotThere(f"{where}: there is no such file")
    data = sources[change.file].encode()
    found = function_of(sources[change.file], change.function)
    if found is None:
        raise NotThere(f"{where}: there is no such function")
    starts = [0]
    for one in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(one))
    start, end = starts[found.lineno - 1], starts[found.end_lineno or found.lineno]
    text = data[start:end].decode()
    matches = [*re.finditer(change.pattern, text)]
    if len(matches) != 1:
        raise NotThere(f"{where}: {change.pattern!r} is met {len(matches)} times")
    (match,) = matches
    line = found.lineno + text[: match.start()].count("\n")
    edit = Edit(
        start + len(text[: match.start()].encode()),
        start + len(text[: match.end()].encode()),
        match.expand(change.replacement),
    )
    statements = [one.lineno for one in ast.walk(found) if isinstance(one, ast.stmt) and one is not found]
    return edit, max((one for one in statements if one <= line), default=line)


def function_of(source: str, name: str) -> ast.FunctionDef | None:
    """A function by its qualified name."""
    place: ast.AST | None = ast.parse(source)
    for part in name.split("."):
        children = ast.iter_child_nodes(place) if place is not None else iter(())
        kinds = (ast.FunctionDef, ast.ClassDef)
        place = next((one for one in children if isinstance(one, kinds) and one.name == part), None)
    return place if isinstance(place, ast.FunctionDef) else None
