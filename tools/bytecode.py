"""Bytecode for the zip: Lambda cannot write any, so without it Python compiles every module at every cold start.

`make build` runs this with the Python that the functions run on. What no handler imports, or hardly ever, is left as
source: the zip has a limit of its own.
"""

from __future__ import annotations

import compileall
import py_compile
import re
import sys
from importlib.util import cache_from_source
from pathlib import Path
from py_compile import PycInvalidationMode

_UNUSED = re.compile(
    r"/annotated_types/test|/aws_lambda_powertools/(event_handler|tracing|utilities/(?!typing|__init__))"
    r"|/aws_lambda_powertools/metrics/provider/datadog|/pydantic/(deprecated|experimental|mypy|v1)|/ruamel/"
    r"|/tidegate/(cli|terminal|views)/"
)


def add(folder: Path) -> None:
    """Compile what handlers import; never checked against the source, whose time a zip does not keep."""
    compileall.compile_dir(folder, quiet=1, rx=_UNUSED, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    for source in (*folder.glob("*.py"), *(folder / "tidegate").rglob("*.py")):
        if not _UNUSED.search(source.as_posix()):
            _strip_docstrings(source)


def _strip_docstrings(source: Path) -> None:
    """Our own modules' bytecode without docstrings: the source beside it has them, and nobody asks for them at work."""
    target = cache_from_source(str(source))
    py_compile.compile(
        str(source), cfile=target, doraise=True, optimize=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        add(Path(name))
