"""Why a command of `tidegate` could not do its work, each with the exit code that says so to a pipeline.

0  promoted, unchanged, accepted; or there was something to show
1  the rollout ended otherwise, or would
2  the input or the usage cannot be understood       Unusable
3  not accepted, or nothing is there                 NothingThere
4  AWS did not answer, or refused                    AwsFailed
130  Ctrl-C                                          Stopped
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

SUCCEEDED, ENDED_OTHERWISE, UNUSABLE, NOT_ACCEPTED, AWS_FAILED = range(5)
#: As a shell reports a program that Ctrl-C ended.
INTERRUPTED = 130


class Failed(Exception):
    """The message is a sentence: what, about which resource, and what to do."""

    exit_code: ClassVar[int] = ENDED_OTHERWISE


class WouldBeRejected(Failed):
    """The rollout would end without having moved any traffic."""


class Unusable(Failed):
    """What was typed, or a file, cannot be understood; `problems` are all reasons, where there are more than one."""

    exit_code = UNUSABLE

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class NothingThere(Failed):
    """There is no such rollout, or it may not be started."""

    exit_code = NOT_ACCEPTED


class Stopped(Failed):
    """Somebody pressed Ctrl-C."""

    exit_code = INTERRUPTED


class AwsFailed(Failed):
    """AWS did not answer, or refused."""

    exit_code = AWS_FAILED


@contextmanager
def stopping(means: str) -> Iterator[None]:
    """Within it, Ctrl-C means something for a rollout on AWS: what, is said.

    Raises:
        Stopped: it was pressed.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(means) from None
