"""The bytecode that the zip brings: ours has no docstrings, and is otherwise what Python would have made."""

import subprocess
import sys
from importlib.util import cache_from_source

import pytest

from tools import bytecode

SOURCE = '''"""A module."""

import inspect
from dataclasses import dataclass

asked = []
inspect.signature = asked.append


@dataclass(frozen=True, slots=True)
class Answer:
    """To everything."""

    value: int = 42

    def fail(self) -> None:
        """Line 18."""
        raise ValueError("no docstring")
'''


@pytest.fixture
def package(tmp_path):
    """A handler beside the package, both with bytecode."""
    for place in ("handler.py", "tidegate/answer.py"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(SOURCE)
    (tmp_path / "tidegate/__init__.py").write_text('"""A package."""\n')
    bytecode.add(tmp_path)
    return tmp_path


def run(folder, code):
    """What Python says that finds nothing but this folder, and writes no bytecode of its own."""
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-B", "-c", code], cwd=folder, env={}, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("module", ["handler", "tidegate.answer"])
def test_our_own_bytecode_has_no_docstrings_and_asks_no_class_for_its_signature(package, module):
    asked = f"import {module} as m; print(m.__doc__, m.Answer.__doc__, m.Answer.fail.__doc__, m.asked, m.Answer())"
    assert run(package, asked) == ". . . [] Answer(value=42)\n"


def test_it_is_what_runs_and_a_traceback_names_the_line_of_the_source(package):
    source = package / "handler.py"
    assert b"To everything" not in (package / cache_from_source("handler.py")).read_bytes()
    told = run(package, "import handler; handler.Answer().fail()")
    assert f'File "{source}", line 18, in fail' in told
    assert told.endswith("ValueError: no docstring\n")
    source.write_text(SOURCE.replace("42", "43"))
    assert run(package, "import handler; print(handler.Answer())") == "Answer(value=42)\n"


def test_what_only_a_browser_reads_is_left_out(tmp_path):
    pages = tmp_path / "aws_lambda_powertools/event_handler/openapi/swagger_ui"
    pages.mkdir(parents=True)
    for name in ("swagger-ui-bundle.min.js", "swagger-ui.min.css", "html.py"):
        (pages / name).write_text("")
    bytecode.add(tmp_path)
    assert [path.name for path in pages.iterdir() if path.is_file()] == ["html.py"]
