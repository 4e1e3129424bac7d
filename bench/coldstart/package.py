"""What Lambda would unpack, for this machine's Python: the zip at /var/task, and the SDK of the runtime beside it."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

from tools import bytecode

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "functions"
#: `sam build` makes the same package for every function, of which this is one.
BUILT = ROOT / ".aws-sam/build/RollBackFunction"
#: What the runtime brings: boto3 with all it needs, and the client of the Runtime API.
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")
RUNTIME_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")


class PackageUnusable(Exception):
    """The package could not be made; the message is the installer's."""


def make(folder: Path) -> None:
    """The zip's content: our source and its requirements, without bytecode, as `sam build` leaves them.

    Not the build itself: that holds pydantic's core for another processor and another Python.

    Raises:
        PackageUnusable: pip could not install the requirements.
    """
    shutil.copytree(FUNCTIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    install = [
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--no-deps",
        "--target",
        str(folder),
    ]
    pip = [sys.executable, "-m", "pip", *install, "--requirement", str(FUNCTIONS / "requirements.txt")]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise PackageUnusable(f"the requirements of the zip could not be installed: {done.stderr.strip()}")
    shutil.rmtree(folder / "bin", ignore_errors=True)  # commands, which `sam build` leaves out
    if has_bytecode(BUILT):
        bytecode.add(folder)


def has_bytecode(folder: Path) -> bool:
    """Whether the folder brings bytecode."""
    return next(folder.rglob("*.pyc"), None) is not None


def is_built(built: Path) -> bool:
    """Whether a build is of our source as it is now."""
    sources = [path for path in FUNCTIONS.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return all(_same(path, built / path.relative_to(FUNCTIONS)) for path in sources)


def _same(source: Path, built: Path) -> bool:
    return built.is_file() and source.read_bytes() == built.read_bytes()


def make_runtime(folder: Path) -> None:
    """The SDK and the runtime's client, bytecode included, and nothing else of this environment.

    Links, one per package: what else is installed here must not be found, let alone searched.
    """
    folder.mkdir()
    for name in (*RUNTIME, *RUNTIME_CLIENT):
        found = importlib.metadata.distribution(name)
        for top in sorted({path.parts[0] for path in found.files or () if path.parts[0] not in {"..", "__pycache__"}}):
            (folder / top).symlink_to(Path(str(found.locate_file(top))))
