"""Notices on the SNS topic that the stack has by now, if any."""

from __future__ import annotations

from tidegate.aws import sdk, settings
from tidegate.printable import printable

#: SNS API reference, Publish: a subject is ASCII, on one line, of up to 100 characters; a message holds 256 KB.
MAX_SUBJECT_CHARACTERS = 100
_MAX_MESSAGE_CHARACTERS = 60_000


def publish(subject: str, message: str) -> None:
    """Publish on the topic; nothing where there is none.

    Raises:
        RolloutError: SNS did not take it.
    """
    topic = settings.current().notification_topic_arn
    if not topic:
        return
    ascii_subject = " ".join(printable(subject).encode("ascii", "replace").decode().split())
    with sdk.refusals("publish a notice"):
        sdk.hasty_client("sns").publish(
            TopicArn=topic,
            Subject=ascii_subject[:MAX_SUBJECT_CHARACTERS],
            Message=printable(message)[:_MAX_MESSAGE_CHARACTERS],
        )
