"""count_durable: how executions of a durable function end, by version and minute of start, while it is rolled out."""

from __future__ import annotations

import time

from tidegate.application.telemetry import Document, best_effort, task
from tidegate.application.counting import Counting, count_batch
from tidegate.aws import durable
from tidegate.json_text import as_object


@task("count_durable")
def handler(event: Document) -> Document:
    """Event: a batch of SQS's, each body EventBridge's "Durable Execution Status Change". Result: `batchItemFailures`.

    What is no such event, or of nothing that is being rolled out, is dropped. Where no rollout counts executions, the
    rule that sends them is disabled: nothing is sent while nothing happens, and it ends with the first event that is.

    Raises:
        RolloutError: it cannot be said what is rolled out; the whole batch comes again.
    """
    rollouts, unreadable = durable.counting()
    if not rollouts and not unreadable:
        with best_effort("disable the rule"):
            durable.disable_rule_if_unused()
        return {"batchItemFailures": []}
    failed = count_batch(as_object(event).get("Records"), Counting.of(rollouts), time.time())
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}
