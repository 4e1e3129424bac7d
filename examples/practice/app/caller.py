"""A minute's worth of callers: invokes the alias again and again, evenly, as the schedule starts it once a minute."""

import json
import os
import time

import boto3

#: Less than a minute, so that one invocation has ended when the next one starts.
SECONDS = 50.0
#: What an order is answered with that was taken.
OK = 200


def handler(_event: object, _context: object) -> dict[str, int]:
    """How many calls were made, and how many of them failed."""
    calls = int(os.environ["REQUESTS_PER_MINUTE"])
    target = boto3.client("lambda")
    began, failed = time.monotonic(), 0
    for number in range(calls):
        time.sleep(max(0.0, began + number * SECONDS / calls - time.monotonic()))
        answer = target.invoke(FunctionName=os.environ["ALIAS_ARN"], Payload=json.dumps({"quantity": number % 5 + 1}))
        # What a function that threw says has no status at all.
        failed += json.loads(answer["Payload"].read()).get("statusCode") != OK
    return {"calls": calls, "failed": failed}
