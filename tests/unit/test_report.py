"""The report: one page that stands alone, shows every number, and trusts no text."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tidegate.report import html
from tidegate.view import CheckView, Counts, MinuteView, RolloutView, ShiftView, StepView, VerdictView

HOSTILE = """<script>alert('x')</script> & "quotes" """

ROLLED_BACK = RolloutView(
    function_name="checkout",
    alias_name="live",
    stable="1",
    candidate="2",
    steps=(StepView(10, 300), StepView(100, 300)),
    step=0,
    weight_percent=0,
    started_at=1_700_000_000,
    now=1_700_000_130,
    shifts=(ShiftView(5, 10), ShiftView(127, 0)),
    minutes=(
        MinuteView(0, 10, Counts(540, 1), Counts(60, 0)),
        MinuteView(1, 10, Counts(540, 0), Counts(60, 9)),
    ),
    verdicts=(
        VerdictView(66, 0, 10, "wait", "10 % bakes on", (CheckView("errors", None, 5.0, "%", "unknown"),)),
        VerdictView(
            126,
            0,
            10,
            "roll_back",
            "errors above the limit",
            (
                CheckView("errors", 7.512, 5.0, "%", "harmful"),
                CheckView("slower than 800 ms", 0.4, 1.0, "%", "healthy"),
                CheckView("checkout-errors", "ALARM", "OK", "", "harmful"),
            ),
        ),
    ),
    outcome="rolled_back",
    cause="errors above the limit",
)


class Page(HTMLParser):
    """What a browser would find: tags opened and not closed, links to elsewhere, the text read."""

    VOID = frozenset({"meta", "circle", "line"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [name for name, _ in attrs if name in {"src", "href", "srcset", "action", "style"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "title"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def test_the_page_stands_alone():
    page = html(ROLLED_BACK)
    assert Page(page).links == []
    assert not re.search(r"https?:|url\(|@import|<script", page)
    assert "prefers-color-scheme: dark" in page


def test_the_page_says_how_it_ended_and_why():
    text = Page(html(ROLLED_BACK)).text
    assert "Rolled back" in text
    assert "Version 1 serves all traffic again." in text
    assert "errors above the limit" in text
    assert "2 min 10 s" in text
    assert "2023-11-14 22:13:20 UTC" in text


def test_every_check_stands_beside_its_limit():
    text = Page(html(ROLLED_BACK)).text
    assert "✕ errors 7.51 % 5 %" in text
    assert "✓ slower than 800 ms 0.4 % 1 %" in text
    assert "✕ checkout-errors ALARM OK" in text
    assert "? errors – 5 %" in text


def test_figures_are_totals_of_both_versions():
    text = Page(html(ROLLED_BACK)).text
    assert "9 of 120 failed" in text
    assert "1 of 1,080 failed" in text
    assert "10.0 % of 1,200" in text


def test_the_weight_is_drawn_to_the_second_and_back_to_zero():
    path = re.search(r"class='line candidate' d='([^']+)'", html(ROLLED_BACK))
    assert path
    assert path[1].count("V") == 2
    heights = re.findall(r"V([\d.]+)", path[1])
    assert float(heights[0]) < float(heights[1])


def test_decisions_are_marked_and_waits_are_not():
    page = html(ROLLED_BACK)
    assert page.count("<g class='mark ") == 1
    assert "<g class='mark roll_back'><title>02:06 roll back: errors above the limit</title>" in page


@pytest.mark.parametrize("field", ["function_name", "alias_name", "stable", "candidate", "outcome", "cause"])
def test_hostile_text_stays_text(field):
    page = html(replace(ROLLED_BACK, **{field: HOSTILE}))
    assert "<script" not in page
    assert "alert('x')" not in page
    assert Page(page).open == []


def test_hostile_verdicts_stay_text():
    check = CheckView(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    page = html(replace(ROLLED_BACK, verdicts=(VerdictView(60, 0, 10, HOSTILE, HOSTILE, (check,)),)))
    assert "<script" not in page
    assert "alert('x')" not in page
    assert Page(page).open == []


@pytest.mark.parametrize(
    "view",
    [
        replace(ROLLED_BACK, outcome=None, cause=None),
        replace(ROLLED_BACK, minutes=(), verdicts=(), shifts=(), outcome="rejected"),
        replace(ROLLED_BACK, candidate=None, steps=(), now=ROLLED_BACK.started_at),
    ],
    ids=["running", "rejected", "no candidate"],
)
def test_a_rollout_that_knows_little_still_has_a_page(view):
    page = html(view)
    assert Page(page).open == []
    assert "nan" not in page
    assert "None" not in page.replace("None: the rollout ended", "")


def test_a_version_without_requests_breaks_the_line_instead_of_drawing_zero():
    served = Counts(10, 1)
    minutes = tuple(MinuteView(t, 10, Counts(100), Counts() if t == 2 else served) for t in range(5))
    lines = re.findall(r"class='line candidate' d='([^']+)'", html(replace(ROLLED_BACK, minutes=minutes)))
    assert lines[1].count("M") == 2
    assert lines[1].count("L") == 2


def test_a_rollout_of_weeks_is_thinned_to_what_a_screen_shows():
    minutes = tuple(MinuteView(t, 10, Counts(10), Counts(1)) for t in range(20_000))
    view = replace(ROLLED_BACK, minutes=minutes, now=ROLLED_BACK.started_at + 20_000 * 60)
    page = html(view)
    assert page.count("class='dot candidate'") <= 240
    assert page.count("text-anchor='middle'") < 30
