"""Runs statelint on state machine definitions as they are deployed: `python tools/lint_asl.py FILE…`.

statelint 3.1 does not know a Wait whose `Seconds` is a JSONata expression, which Step Functions takes [Amazon States
Language, Wait state, "Seconds"]. That one complaint is accepted; every other one is an error. Exit status: 0 clean, 1
otherwise.
"""

import re
import sys
from pathlib import Path

from statelint.linter import Linter

ACCEPTED = re.compile(r'\.Seconds is "\{% .* %\}" but should be an Integer$')


def problems(definition: str) -> list[str]:
    """What statelint has against a definition, but for the one complaint that is its own mistake."""
    return [problem for problem in Linter.validate(definition) if not ACCEPTED.search(problem)]


if __name__ == "__main__":
    found = [f"{name}: {each.strip()}\n" for name in sys.argv[1:] for each in problems(Path(name).read_text())]
    sys.stderr.writelines(found)
    sys.exit(bool(found))
