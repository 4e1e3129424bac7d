"""The function to practise on: three releases of it, told apart by one environment variable."""

import os
import random

#: How many of a hundred requests each release fails.
FAILING_PERCENT = {"first": 0.0, "good": 0.0, "bad": 10.0}


class OutOfStock(Exception):
    """What the bad release fails with."""


def handler(event: dict[str, int], _context: object) -> dict[str, object]:
    """Event: `quantity`, optional. Lambda counts an exception as an error of the version that served."""
    release = os.environ["RELEASE"]
    if random.random() * 100 < FAILING_PERCENT[release]:  # noqa: S311 - chance, no secret
        raise OutOfStock(f"release {release} cannot count")
    return {"statusCode": 200, "release": release, "total_cents": event.get("quantity", 1) * 250}
