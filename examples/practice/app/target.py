"""The function to practise on: three releases of it, told apart by one environment variable."""

import json
import os
import random
import time

#: How many of a hundred requests each release fails.
FAILING_PERCENT = {"first": 0.0, "good": 0.0, "bad": 10.0}


def handler(event: dict[str, int], _context: object) -> dict[str, object]:
    """Event: `quantity`, optional. A failure is an answer, as an API's is: to Lambda the function has not failed."""
    release = os.environ["RELEASE"]
    failed = random.random() * 100 < FAILING_PERCENT[release]  # noqa: S311 - chance, no secret
    count("OrdersFailed", int(failed))
    if failed:
        return {"statusCode": 500, "release": release, "error": f"release {release} cannot count"}
    return {"statusCode": 200, "release": release, "total_cents": event.get("quantity", 1) * 250}


def count(metric: str, value: int) -> None:
    """A metric of this version's: a line in the log in CloudWatch's embedded metric format, 0 where all is well."""
    named = {"function": os.environ["AWS_LAMBDA_FUNCTION_NAME"], "version": os.environ["AWS_LAMBDA_FUNCTION_VERSION"]}
    made = {"Namespace": "Practice", "Dimensions": [list(named)], "Metrics": [{"Name": metric, "Unit": "Count"}]}
    about = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [made]}
    print(json.dumps({"_aws": about, **named, metric: value}))  # noqa: T201 - this is how a metric is made
