"""What an alarm does when it enters a state: a notice on every SNS topic that it names for that state.

CloudWatch user guide, "Alarm actions": only a transition acts, a state that persists does not act again. Other actions
than notices are noted in the alarm's history as failed: the sandbox has nobody to do them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from sandbox.aws.boundary import caller, identity
from sandbox.aws.stack import ACCOUNT_ID, REGION, client

_ACTIONS: Final = {"OK": "OKActions", "ALARM": "AlarmActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}


@dataclass(frozen=True, slots=True)
class Action:
    """One action of one transition: `arn` is whom it is for, `message` what a topic's subscribers read."""

    arn: str
    subject: str
    message: str

    def perform(self, note: Callable[[str, str], None]) -> None:
        """Do it, as an actor; `note(summary, state)` is told how that went. Nothing is tried twice."""
        caller.set(None)  # whoever changed the alarm has nothing to do with what it does
        identity.set(None)
        if self.arn.split(":")[2] != "sns":
            note(f"Failed to execute action {self.arn}. The sandbox knows notices alone.", "Failed")
            return
        try:
            client("sns").publish(TopicArn=self.arn, Subject=self.subject, Message=self.message)
        except ClientError as error:
            note(f'Failed to execute action {self.arn}. Received error: "{error}"', "Failed")
        else:
            note(f"Successfully executed action {self.arn}", "Succeeded")


def actions(described: Mapping[str, Any], previous: str) -> Iterator[Action]:
    """What an alarm does that has just come from another state; `described` is the alarm as DescribeAlarms shows it."""
    state, name = described["StateValue"], described["AlarmName"]
    if not described["ActionsEnabled"]:
        return
    message = {
        "AlarmName": name,
        "AlarmDescription": described.get("AlarmDescription"),
        "AWSAccountId": ACCOUNT_ID,
        "NewStateValue": state,
        "NewStateReason": described["StateReason"],
        "StateChangeTime": described["StateUpdatedTimestamp"].strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000",
        "Region": REGION,
        "AlarmArn": described["AlarmArn"],
        "OldStateValue": previous,
    }
    for arn in described[_ACTIONS[state]]:
        yield Action(arn, f'{state}: "{name}" in {REGION}', json.dumps(message))
