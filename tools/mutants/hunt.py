"""Spends the time that there is: which mutants are tried, against which tests, in which order."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tools.mutants import targets
from tools.mutants.mistakes import Mutant

#: What the tests of a mutant's first turn take without it. Who survives meets the others later, while time is left.
FIRST_TURN_SECONDS = 10.0
#: A test may take so many times its usual time, and so much more, before it counts as hanging.
_PATIENCE, _GRACE_SECONDS = 8.0, 20.0
_DEPENDED = ("functions", "sandbox", "statemachine", "tests", "tidegate")
_IGNORED = (
    *(".git", ".venv", ".aws-sam", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__"),
    *("*.pyc", "node_modules"),
)


@dataclass(frozen=True, slots=True)
class Passed:
    """A test as it passed without a mutant: how long it took, and which statements it ran, as `file:line`."""

    name: str
    seconds: float
    ran: frozenset[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: `killed`, `timed out` or `survived`; by which test, and how many it has met of all."""

    mutant: Mutant
    end: str
    by: str
    met: int
    of: int
    seconds: float


@contextmanager
def project(root: Path) -> Iterator[Path]:
    """A copy of the project, as it is now: somebody may go on writing in the other one."""
    with tempfile.TemporaryDirectory(prefix="tidegate-mutants-") as folder:
        copy = Path(folder).resolve() / "project"
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns(*_IGNORED))
        yield copy


class Server:
    """One process of `tools.mutants.server`."""

    def __init__(self, copy: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tools.mutants.server"],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"the server of forks ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one question."""
        if self._process.stdin:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


@contextmanager
def servers(copy: Path, jobs: int) -> Iterator[list[Server]]:
    """So many servers, started together."""
    started: list[Server] = []
    threads = [threading.Thread(target=lambda: started.append(Server(copy))) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        yield started
    finally:
        for server in started:
            server.close()


def ask_all(
    servers_: Sequence[Server],
    questions: Iterable[tuple[Any, Callable[[], Mapping[str, Any]]]],
    until: float | None = None,
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Each question's subject and its answer, as they come; no question is asked after `until` (time.monotonic)."""
    waiting = iter(questions)
    lock = threading.Lock()
    answers: queue.Queue[tuple[Any, dict[str, Any]] | BaseException | None] = queue.Queue()

    def work(server: Server) -> None:
        try:
            while until is None or time.monotonic() < until:
                with lock:
                    subject, question = next(waiting, (None, None))
                if question is None:
                    break
                asked = question()
                # No test runs it: nothing could notice.
                answers.put(
                    (
                        subject,
                        server.ask(asked)
                        if asked.get("files", asked.get("chosen"))
                        else {"end": "survived", "seconds": 0.0},
                    )
                )
        except BaseException as error:  # noqa: BLE001 - raised below, where somebody hears it
            answers.put(error)
        answers.put(None)

    for server in servers_:
        threading.Thread(target=work, args=(server,), daemon=True).start()
    ended = 0
    while ended < len(servers_):
        answer = answers.get()
        if isinstance(answer, BaseException):
            raise answer
        if answer is None:
            ended += 1
        else:
            yield answer


# --- The tests --------------------------------------------------------------------------------------------------------


def survey(servers_: Sequence[Server], copy: Path, probed: Sequence[str], kept: Path) -> tuple[list[Passed], list[str]]:
    """Run every test once without a mutant: what each ran of the probed files, and those that fail as it is.

    `kept` is a file from which what is known already comes, where nothing has changed since, and into which it goes.
    """
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    digests = _digests(copy, probed)
    answers = {part: known[digest] for part, digest in digests.items() if digest in known}
    question = {"probed": probed, "limits": {"": 600.0}}
    left = [part for part in digests if part not in answers]
    for part, answer in ask_all(servers_, [(part, partial(_about, question, part)) for part in left]):
        answers[part] = answer
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps({digests[name]: one for name, one in answers.items()}), encoding="utf-8")
    tests, failing = [], []
    for part, answer in answers.items():
        for one in answer["tests"]:
            if one["good"]:
                tests.append(Passed(one["test"], one["seconds"], frozenset(one["seen"])))
            else:
                failing.append(one["test"])
        if not answer["tests"]:
            failing.append(f"{part} ({answer['end']} by {answer['by']})")
    return sorted(tests, key=lambda test: test.name), sorted(failing)


def _about(question: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    return {**question, "files": [part]}


def _digests(copy: Path, probed: Sequence[str]) -> dict[str, str]:
    """For every part of the tests a word that changes with it, and with whatever it may depend on."""
    parts = targets.tests(copy)
    own = {(copy / part.partition("::")[0]) for part in parts}
    depended = [path for folder in _DEPENDED for path in sorted((copy / folder).rglob("*")) if path.is_file()]
    common = hashlib.sha256("\n".join(probed).encode())
    for path in [*depended, copy / "template.yaml"]:
        if path not in own:
            common.update(str(path.relative_to(copy)).encode() + path.read_bytes())
    digests = {}
    for part in parts:
        digest = common.copy()
        digest.update(part.encode() + (copy / part.partition("::")[0]).read_bytes())
        digests[part] = digest.hexdigest()
    return digests


@dataclass(slots=True)
class Choice:
    """Which tests a mutant meets, likeliest killers first.

    Those that killed its like; then layer by layer, first those that run what few run of its function, then the quick.
    """

    tests: Sequence[Passed]
    kills: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    runners: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.runners = Counter(place for test in self.tests for place in test.ran)

    def of(self, mutant: Mutant) -> list[Passed]:
        """Every test that runs what the mutant changes."""
        places = {f"{mutant.file}:{line}" for line in mutant.lines}
        hidden = {f"{mutant.file}:{line}" for line in mutant.unnoticed_by}
        anywhere = f"{mutant.file}:"
        around = {f"{mutant.file}:{line}" for line in range(mutant.around[0], mutant.around[1] + 1)}
        ran = [
            test
            for test in self.tests
            if (test.ran & places if places else any(place.startswith(anywhere) for place in test.ran))
        ]
        # In tenths: tests that run nearly the same are told apart by how long they take.
        rarity = {test.name: round(10 * sum(1 / self.runners[place] for place in test.ran & around)) for test in ran}
        killers = self.kills[mutant.file, mutant.function]
        turns: Counter[str] = Counter()
        ranked = []
        for test in sorted(ran, key=lambda test: (-rarity[test.name], test.seconds, test.name)):
            base = test.name.partition("[")[0]
            # Of one test's many parameters one comes before another test's first.
            likely = (-killers[test.name], bool(test.ran & hidden), targets.layer(test.name), turns[base])
            ranked.append(((*likely, -rarity[test.name], test.seconds), test))
            turns[base] += 1
        return [test for _, test in sorted(ranked, key=lambda pair: pair[0])]

    def learn(self, verdict: Verdict) -> None:
        """Remember who killed."""
        if verdict.end != "survived":
            self.kills[verdict.mutant.file, verdict.mutant.function][verdict.by] += 1


def first_turn(tests: Sequence[Passed]) -> list[Passed]:
    """As many of them as the first turn has time for; at least one."""
    chosen: list[Passed] = []
    spent = 0.0
    for test in tests:
        if chosen and spent + test.seconds > FIRST_TURN_SECONDS:
            continue
        chosen.append(test)
        spent += test.seconds
    return chosen


# --- The mutants ------------------------------------------------------------------------------------------------------


def drawn(mutants: Sequence[Mutant], seed: int) -> list[Mutant]:
    """All of them, so that any beginning of the list has its share of every function."""
    draw = random.Random(f"mutants {seed}")  # noqa: S311 - a run must be repeatable, not secret
    groups: dict[tuple[str, str], list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        groups[mutant.file, mutant.function].append(mutant)
    places = []
    for group in groups.values():
        draw.shuffle(group)
        # Where each stands in its group, evenly: of a function with 100 mutants 10 are met while one with 10 meets 1.
        places += [((number + draw.random()) / len(group), mutant) for number, mutant in enumerate(group)]
    return [mutant for _, mutant in sorted(places, key=lambda pair: pair[0])]


@dataclass(slots=True)
class Hunt:
    """A run: the servers, the files' texts, what is known of the tests, and which each mutant has met by now."""

    servers: Sequence[Server]
    sources: Mapping[str, str]
    choice: Choice
    met: dict[Mutant, set[str]] = field(default_factory=lambda: defaultdict(set))

    def turn(self, mutants: Iterable[Mutant], until: float | None = None, *, last: bool = False) -> Iterator[Verdict]:
        """Let each mutant meet tests that it has not met; their ends as they come. `last`: all that there are.

        Who is not through with them at `until` (time.monotonic) has no end here.
        """
        asked = ((mutant, partial(self._question, mutant, until, last=last)) for mutant in mutants)
        for mutant, answer in ask_all(self.servers, asked, until):
            if answer["end"] == "unfinished":
                continue
            if answer["end"] == "broken":
                raise RuntimeError(f"{mutant.file} {mutant.function}: {mutant.after}: {answer['by']}")
            verdict = Verdict(
                mutant,
                answer["end"],
                answer.get("by", ""),
                len(self.met[mutant]),
                len(self.choice.of(mutant)),
                answer["seconds"],
            )
            self.choice.learn(verdict)
            yield verdict

    def _question(self, mutant: Mutant, until: float | None, *, last: bool) -> Mapping[str, Any]:
        met = self.met[mutant]
        left = [test for test in self.choice.of(mutant) if test.name not in met]
        tests = left if last else first_turn(left)
        met |= {test.name for test in tests}
        limits = {test.name: _GRACE_SECONDS + _PATIENCE * test.seconds for test in tests}
        return {
            "texts": {mutant.file: mutant.of(self.sources[mutant.file])},
            "chosen": [test.name for test in tests],
            "limits": {"": 60.0, **limits},
            **({} if until is None else {"within": max(0.0, until - time.monotonic())}),
        }
