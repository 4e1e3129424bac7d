"""What Tidegate is measured against. Stays with the source: nothing here goes to Lambda.

`rollout` lies at the top of the zip that goes to Lambda, so it is found there from here as well.
"""

import sys
from pathlib import Path

_FUNCTIONS = str(Path(__file__).parents[1] / "functions")
if _FUNCTIONS not in sys.path:
    sys.path.append(_FUNCTIONS)
