"""The locks of all aliases, read."""

from __future__ import annotations

from tidegate.aws import table
from tidegate.ending.lock import Lock
from tidegate.ending.record import LOCK, RUNNING
from tidegate.errors import LedgerUnreadable


def read(target: str) -> Lock | None:
    """The alias's lock, or None where it is free.

    Raises:
        LedgerUnreadable: the item is no lock.
    """
    item = table.read(target, LOCK, f"read the lock of {target}")
    return Lock.parse(item) if item else None


def running() -> tuple[list[Lock], LedgerUnreadable | None]:
    """Every lock, without its verdicts, and perhaps a moment old.

    A lock that cannot be read is left out, so that the others are looked after, and comes as an error beside them.
    """
    locks, unreadable = [], None
    for item in table.watched(RUNNING):
        try:
            locks.append(Lock.parse(item))
        except LedgerUnreadable as error:
            unreadable = error
    return locks, unreadable
