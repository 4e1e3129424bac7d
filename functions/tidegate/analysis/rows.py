"""Rows of the judge's table that are long enough: where requests are rare, several minutes are one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from tidegate.analysis.e_process import Tally
from tidegate.analysis.judge import Row
from tidegate.analysis.measurement import Minute, Shift

#: Evidence is spread anew after each row, at a price: so a row is closed once it has so many requests of both versions,
#: which says nothing of how many failed, or has lasted so long.
ROW_REQUESTS: Final = 10
LONGEST_ROW_SECONDS: Final = 300


def long_enough(minutes: Iterable[Minute], rows: Iterable[Row], shifts: Sequence[Shift]) -> Iterator[Row]:
    """Rows of neighbouring minutes at one weight, each long enough; a minute with a count missing is a row of its own
    kind.
    """
    begins = [0.0, *(shift.at - shift.at % 60 for shift in shifts)]

    def place(pair: tuple[Minute, Row]) -> tuple[object, ...]:
        minute, row = pair
        return max(begin for begin in begins if begin <= minute.at), row.comparable, row.tally is None

    for _, group in groupby(zip(minutes, rows, strict=True), key=place):
        for part in _closed(group):
            yield part[0] if len(part) == 1 else _one_row(part)


def _closed(group: Iterable[tuple[Minute, Row]]) -> Iterator[list[Row]]:
    """The rows of each stretch that is long enough; the last one may not be so yet."""
    part: list[Row] = []
    requests, began_at = 0, 0.0
    for minute, row in group:
        if part and (requests >= ROW_REQUESTS or minute.end - began_at > LONGEST_ROW_SECONDS):
            yield part
            part, requests = [], 0
        began_at = began_at if part else minute.at
        part.append(row)
        requests += minute.stable.requests + minute.candidate.requests
    yield part


def _one_row(part: Sequence[Row]) -> Row:
    tallies = [row.tally for row in part if row.tally]
    together = Tally(
        sum(one.stable for one in tallies),
        sum(one.candidate for one in tallies),
        sum(one.stable_bad for one in tallies),
        sum(one.candidate_bad for one in tallies),
    )
    return replace(
        part[-1],
        tally=together if tallies else None,
        throttled=any(row.throttled for row in part),
        settled=all(row.settled for row in part),
        minutes=len(part),
    )
