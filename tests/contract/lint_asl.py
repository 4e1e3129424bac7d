"""Runs statelint on a state machine definition as SAM deploys it: `python tests/contract/lint_asl.py FILE`.

statelint 3.1 knows neither SAM's `${...}` placeholders nor a Wait whose `Seconds` is a JSONata expression, which
Step Functions takes [Amazon States Language, Wait state, "Seconds"]. The placeholders are filled in before it looks,
and that one complaint is accepted; every other one is an error. Exit status: 0 clean, 1 otherwise.
"""

import re
import sys
from pathlib import Path

from statelint.linter import Linter

PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
ACCEPTED = re.compile(r'\.Seconds is "\{% .* %\}" but should be an Integer$')


def problems(definition: str) -> list[str]:
    """What statelint has against a definition, but for the one complaint that is its own mistake."""
    deployed = PLACEHOLDER.sub(r"arn:aws:lambda:us-east-1:123456789012:function:\1:1", definition)
    return [problem for problem in Linter.validate(deployed) if not ACCEPTED.search(problem)]


if __name__ == "__main__":
    found = problems(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stderr.writelines(f"{problem.strip()}\n" for problem in found)
    sys.exit(bool(found))
