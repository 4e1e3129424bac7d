"""Runs tests against one mutant in a fork of its own: what is slow to import is there already.

Started as `python -m tools.mutants.server` in a copy of the project; a line of JSON in, lines of JSON out. Nothing of
`functions/` is imported before the fork, and no file is written for a mutant: the fork's loader compiles the mutated
text in place of the file's.
"""

from __future__ import annotations

import ast
import builtins
import gc
import importlib.machinery
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType
from typing import IO, Any

import pytest

from sandbox.aws import runtime
from sandbox.scenario import Scenario
from sandbox.story import play

CODE = Path.cwd() / "functions"
#: What the fork is called in the code that it looks at.
_PROBE = "_tidegate_seen"
_MEMORY_BYTES = 6 * 2**30
#: How many of the chosen tests are run before the others are collected.
_LIKELY = 6
#: No test that is left is no test that failed.
_LIVES = frozenset({pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED})
_SMALLEST = {"function_name": "checkout", "alias_name": "live", "strategy": "AllAtOnce"}
_ARGUMENTS = (
    *("-q", "-x", "--no-header", "--tb=line", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0"),
    *("-o", "addopts=", "--import-mode=importlib", "-W", "ignore::pytest.PytestAssertRewriteWarning"),
)


def main() -> None:
    """Answer until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _warm_up()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    signal.signal(signal.SIGTERM, _end)
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(_ask(question)), file=answers, flush=True)


#: The fork that lives, if one does.
_FORKS: list[int] = []


def _end(*_: object) -> None:
    """Somebody ends the run: no fork outlives it."""
    for process in _FORKS:
        os.kill(process, signal.SIGKILL)
    os._exit(1)


def _warm_up() -> None:
    """Import what every test needs, and let botocore and moto read their models; none of our own code stays."""
    play(_SMALLEST, Scenario.of({}))
    runtime._IDLE.clear()  # noqa: SLF001 - processes with our code as it is, which no fork may find
    ours = {path.stem for path in CODE.iterdir()}
    for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
        del sys.modules[name]
    _compile_once()
    gc.collect()
    gc.freeze()


def _compile_once() -> None:
    """Compile each of our modules once, for all forks."""
    for path in CODE.rglob("*.py"):
        _CODES[str(path)] = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)


_CODES: dict[str, CodeType] = {}


def _get_code(loader: importlib.machinery.SourceFileLoader, name: str) -> CodeType | None:
    return _CODES.get(loader.path) or _FROM_FILE(loader, name)


_FROM_FILE: Callable[[importlib.machinery.SourceFileLoader, str], CodeType | None] = (
    importlib.machinery.SourceFileLoader.get_code
)


def _ask(question: Mapping[str, Any]) -> dict[str, Any]:
    """Fork, and hear what comes of it; one that says nothing for too long is killed."""
    began = time.perf_counter()
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        _live(question, os.fdopen(writing, "w", encoding="utf-8"))
    os.close(writing)
    _FORKS.append(process)
    ends_at = time.monotonic() + question.get("within", float("inf"))
    said, late = _listen(reading, question["limits"], ends_at)
    if late:
        os.kill(process, signal.SIGKILL)
    os.close(reading)
    _, status = os.waitpid(process, 0)
    _FORKS.clear()
    last = said[-1] if said else {}
    if late and time.monotonic() >= ends_at:
        end = {"end": "unfinished"}
    elif late:
        end = {"end": "timed out", "by": last.get("begins", "")}
    elif "end" in last:
        end = last
    else:
        end = {"end": "killed", "by": f"the interpreter, which ended with {status}, in {last.get('begins', 'no test')}"}
    return {**end, "tests": [one for one in said if "test" in one], "seconds": time.perf_counter() - began}


def _listen(reading: int, limits: Mapping[str, float], ends_at: float) -> tuple[list[dict[str, Any]], bool]:
    said: list[dict[str, Any]] = []
    rest, limit = b"", limits[""]
    deadline = time.monotonic() + limit
    while True:
        ready, _, _ = select.select([reading], [], [], max(0.0, min(deadline, ends_at) - time.monotonic()))
        if not ready:
            return said, True
        chunk = os.read(reading, 1 << 20)
        if not chunk:
            return said, False
        *lines, rest = (rest + chunk).split(b"\n")
        said += [json.loads(line) for line in lines]
        if lines and said:
            limit = limits.get(said[-1].get("begins", ""), limits[""])
            deadline = time.monotonic() + limit


def _live(question: Mapping[str, Any], answers: IO[str]) -> None:
    """The fork's whole life."""
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
        silent = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silent, descriptor)
        sys.dont_write_bytecode = True
        importlib.machinery.SourceFileLoader.get_code = _get_code  # type: ignore[method-assign,assignment]
        for name, text in question.get("texts", {}).items():
            path = str(CODE.parent / name)
            _CODES[path] = compile(text, path, "exec", dont_inherit=True)
        seen: set[str] = set()
        if question.get("probed"):
            setattr(builtins, _PROBE, seen.add)
            for name in question["probed"]:
                path = str(CODE.parent / name)
                _CODES[path] = probed(Path(path).read_text(encoding="utf-8"), name, path)
        _run(question, answers, seen)
    except BaseException as error:  # noqa: BLE001 - no mutant's fault, and told as such
        print(json.dumps({"end": "broken", "by": repr(error)}), file=answers)
    finally:
        answers.flush()
        os._exit(0)


def _run(question: Mapping[str, Any], answers: IO[str], seen: set[str]) -> None:
    if "chosen" not in question:
        all_of_them = [argument for argument in _ARGUMENTS if argument != "-x"]
        listener = _Listener(answers, seen, None)
        listener.end(pytest.main([*all_of_them, *question["files"]], plugins=[listener]))
        return
    # To collect all files takes longer than the few tests that mostly kill.
    parts = [part for part in (question["chosen"][:_LIKELY], question["chosen"][_LIKELY:]) if part]
    for part in parts:
        listener = _Listener(answers, seen, part)
        files = sorted({name.partition("::")[0] for name in part})
        status = pytest.main([*_ARGUMENTS, *files], plugins=[listener])
        if status not in _LIVES or part is parts[-1]:
            listener.end(status)
            return


class _Listener:
    """A plugin of pytest: runs the chosen tests in their order, and says how each ends."""

    def __init__(self, answers: IO[str], seen: set[str], chosen: Sequence[str] | None) -> None:
        self._answers = answers
        self._seen = seen
        self._places = None if chosen is None else {name: place for place, name in enumerate(chosen)}
        self._failed = ""

    def _say(self, **words: Any) -> None:
        print(json.dumps(words), file=self._answers, flush=True)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        places = self._places
        if places is not None:
            items[:] = sorted((one for one in items if one.nodeid in places), key=lambda one: places[one.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._seen.clear()
        self._say(begins=item.nodeid)
        began, failed = time.perf_counter(), self._failed
        try:
            return (yield)
        finally:
            good = failed == self._failed
            self._say(test=item.nodeid, good=good, seconds=time.perf_counter() - began, seen=sorted(self._seen))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._failed = self._failed or f"the import of {report.nodeid}"

    def end(self, status: int) -> None:
        """Say how all of it ended."""
        by = self._failed or f"pytest, which ended with {int(status)}"
        self._say(end="survived" if status in _LIVES else "killed", by=by)


def probed(source: str, name: str, path: str) -> CodeType:
    """The code of a module that says of each statement in a function that it is reached."""
    tree = ast.parse(source)
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        _probe(function, name)
    return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


def _probe(node: ast.AST, name: str) -> None:
    for block in ("body", "orelse", "finalbody"):
        statements = getattr(node, block, None)
        if isinstance(statements, list):
            setattr(node, block, [one for each in statements for one in _with_probe(each, name)])
    for handler in getattr(node, "handlers", []):
        _probe(handler, name)
    for case in getattr(node, "cases", []):
        _probe(case, name)


def _with_probe(statement: ast.stmt, name: str) -> Collection[ast.stmt]:
    call = ast.Call(ast.Name(_PROBE, ast.Load()), [ast.Constant(f"{name}:{statement.lineno}")], [])
    if not isinstance(statement, ast.FunctionDef):
        _probe(statement, name)
    return (ast.copy_location(ast.Expr(call), statement), statement)


if __name__ == "__main__":
    main()
