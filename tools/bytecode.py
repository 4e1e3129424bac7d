"""Bytecode for the zip: Lambda cannot write any, so without it Python compiles every module at every cold start.

`make build` runs this with the Python that the functions run on. What no handler imports, or hardly ever, is left as
source, and what only a browser reads is left out: the zip has a limit of its own.
"""

from __future__ import annotations

import ast
import compileall
import marshal
import re
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path
from py_compile import PycInvalidationMode

_UNUSED = re.compile(
    r"/annotated_types/test|/aws_lambda_powertools/(event_handler|tracing|utilities/(?!typing|__init__))"
    r"|/aws_lambda_powertools/metrics/provider/datadog|/pydantic/(deprecated|experimental|mypy|v1)|/ruamel/"
    r"|/tidegate/(cli|terminal|views)/"
)
#: Scripts and styles of a page that Powertools can serve: half a megabyte, zipped.
_OF_A_BROWSER = "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.min.*"
_UNCHECKED_HASH = (0b01).to_bytes(4, "little")


def add(folder: Path) -> None:
    """Compile what handlers import; never checked against the source, whose time a zip does not keep."""
    for asset in folder.glob(_OF_A_BROWSER):
        asset.unlink()
    compileall.compile_dir(folder, quiet=1, rx=_UNUSED, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    for source in (*folder.glob("*.py"), *(folder / "tidegate").rglob("*.py")):
        if not _UNUSED.search(source.as_posix()):
            Path(cache_from_source(str(source))).write_bytes(_without_docstrings(source))


def _without_docstrings(source: Path) -> bytes:
    """Our own modules' bytecode with a dot for each docstring: the source beside it has them, and nobody asks for them
    at work.

    A class that had none at all would get one from `dataclass`, which looks its signature up at every cold start.
    """
    text = source.read_bytes()
    tree = ast.parse(text)
    for node in ast.walk(tree):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                match node.body:
                    case [ast.Expr(ast.Constant(str()) as docstring), *_]:
                        docstring.value = "."
    code = compile(tree, str(source), "exec", dont_inherit=True)
    # A pyc by its hash, which is not checked (PEP 552).
    return MAGIC_NUMBER + _UNCHECKED_HASH + source_hash(text) + marshal.dumps(code)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        add(Path(name))
