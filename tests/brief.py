"""Short rollouts, for tests to which neither the steps nor the judge matter: promoted after five or six minutes."""

from typing import Any

BRIEF: dict[str, Any] = {
    "function_name": "checkout",
    "alias_name": "live",
    "steps": [{"weight": 10, "bake_seconds": 60}, {"weight": 100, "bake_seconds": 60}],
    "health": {"judge": False},
}

#: The default weights, each for a minute: set in seconds 0.9, 61.2 and 121.5; promoted in second 362.3.
THREE_MINUTES = {**BRIEF, "steps": [{"weight": weight, "bake_seconds": 60} for weight in (10, 50, 100)]}
