"""Whether a stack may be called so: `python -m tools.stack_name [NAME]`, without one every name in samconfig.toml.

CloudFormation allows 128 characters. The state machine is called `NAME-rollout`, which may have 80 (Step Functions API
reference, CreateStateMachine), so 72 are left. A template cannot say so: its rules see no pseudo parameter, and no
intrinsic function cuts a text. Exit status: 0 where the name will do, 2 where it will not.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

LONGEST: Final = 80 - len("-rollout")
CONFIGURATION: Final = Path(__file__).parent.parent / "samconfig.toml"

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")


def problem(name: str) -> str | None:
    """What is wrong with a stack's name, and what to do; None where nothing is."""
    if not _NAME.fullmatch(name):
        return f"{name!r} is no stack's name: a letter comes first, then letters, digits and hyphens"
    if len(name) > LONGEST:
        return (
            f"the stack's name {name} has {len(name)} characters, and {LONGEST} are the most: its state machine is"
            f" called {name}-rollout, and such a name holds 80. Choose a shorter one: make deploy STACK=…"
        )
    return None


def configured(path: Path = CONFIGURATION) -> Iterator[str]:
    """Every stack's name in a samconfig.toml, of whichever environment and command."""
    for environment in tomllib.loads(path.read_text(encoding="utf-8")).values():
        for command in environment.values() if isinstance(environment, dict) else ():
            if name := command.get("parameters", {}).get("stack_name"):
                yield str(name)


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    names = arguments or list(configured())
    found = [said for name in names if (said := problem(name))]
    sys.stderr.writelines(f"{said}\n" for said in found)
    return 2 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
