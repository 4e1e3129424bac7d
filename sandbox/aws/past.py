"""What something was at an earlier moment, for answers that are older than they should be."""

from __future__ import annotations

from bisect import bisect_right
from typing import Generic, TypeVar

T = TypeVar("T")


class Past(Generic[T]):
    """What something was, and since when (epoch seconds). None: it was not there, as before the first entry."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, T | None]] = []

    def note(self, at: float, value: T | None) -> None:
        """It is this from then on; moments never go back."""
        self._entries.append((at, value))

    def at(self, moment: float) -> T | None:
        following = self._following(moment)
        return self._entries[following - 1][1] if following else None

    def forget_before(self, moment: float) -> None:
        """Nobody will ask for an earlier moment than this one."""
        del self._entries[: max(self._following(moment) - 1, 0)]

    def _following(self, moment: float) -> int:
        return bisect_right(self._entries, moment, key=lambda entry: entry[0])
