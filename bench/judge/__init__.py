"""The judge beside its peers: the same recorded rollouts, every rule polled minute by minute.

`rollout` lies at the top of the zip that goes to Lambda, so it is found there from here as well.
"""

import sys
from pathlib import Path

_FUNCTIONS = str(Path(__file__).parents[2] / "functions")
if _FUNCTIONS not in sys.path:
    sys.path.append(_FUNCTIONS)
