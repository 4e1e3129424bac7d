"""The plan of an ordinary rollout, from which tests make others."""

from tidegate.planning.plan import Plan
from tidegate.planning.strategy import DEFAULT_STEPS

#: The default rollout of checkout:live, from version 1, started at second 0.
PLAN = Plan(
    rollout_id="first",
    execution_arn="arn:aws:states:us-east-1:123456789012:execution:tidegate-rollout:first",
    region="us-east-1",
    function_name="checkout",
    alias_name="live",
    started_at=0.0,
    stable="1",
    revision_id="r1",
    steps=DEFAULT_STEPS,
    poll_seconds=60,
    extension_poll_seconds=60,
    longest_seconds=3420,
    max_step_backs=2,
    restore_command="aws lambda update-alias …",
)
