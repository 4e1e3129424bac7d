"""The report: one page that stands alone, shows every number, and trusts no text."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tidegate.ending.outcome import Outcome
from tidegate.views.charts import interval_percent
from tidegate.views.report import html
from tidegate.views.rollout_view import (
    CheckView,
    CommandView,
    Counts,
    EvidenceView,
    LastStepView,
    MinuteView,
    RolloutView,
    ShiftView,
    StepView,
    TallyView,
    VerdictView,
    verdict_view,
)

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
    outcome=Outcome.ROLLED_BACK,
    cause="errors above the limit",
)

#: Half of the first key, the second one turned.
SUSPECT = EvidenceView(
    metric="errors",
    minutes=9,
    stable=TallyView(11_160, 33),
    candidate=TallyView(1_240, 51),
    worse=2.3,
    worse_needed=4.6,
    intolerable=2.3,
    intolerable_needed=2.3,
    p_worse=0.013,
    p_intolerable=0.12,
    excess_at_most_percent=1.234,
    state="suspect",
)
NEVER = replace(SUSPECT, metric="orders failed", minutes=0)
TRIPPED = LastStepView("slow", TallyView(3_000, 12), 0.5, wealth=6.9, needed=4.6, tripped=True)


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


SAID = {
    "how it ended and why": (
        "Rolled back",
        "Version 1 serves all traffic again.",
        "errors above the limit",
        "2 min 10 s",
        "2023-11-14 22:13:20 UTC",
    ),
    "every check beside its limit": (
        "✕ errors 7.51 % limit 5 %",
        "✓ slower than 800 ms 0.4 % limit 1 %",
        "✕ checkout-errors ALARM limit OK",
        "? errors – limit 5 %",
    ),
    "totals of both versions": ("9 of 120 failed", "1 of 1,080 failed", "10.0 % of 1,200"),
}


@pytest.mark.parametrize("what", SAID)
def test_the_page_says_how_it_ended_and_every_limit_and_both_totals(what):
    text = Page(html(ROLLED_BACK)).text
    assert [said for said in SAID[what] if said not in text] == []


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


def looked(*looks, **more):
    """The rollout with evidence (lists of evidence and guards) at one look a minute."""
    verdicts = tuple(
        VerdictView(
            60.0 * (number + 1),
            0,
            10,
            "wait",
            "bakes on",
            evidence=tuple(one for one in look if isinstance(one, EvidenceView)),
            last_step=tuple(one for one in look if isinstance(one, LastStepView)),
        )
        for number, look in enumerate(looks)
    )
    return replace(ROLLED_BACK, **{"verdicts": verdicts, "now": ROLLED_BACK.started_at + 600, **more})


def line_of(page, name):
    """The points of every line of that name, run by run."""
    path = re.search(f"class='line {name}' d='([^']+)'", page)
    runs = path[1].split("M")[1:] if path else []
    return [[tuple(map(float, point.split())) for point in run.split("L")] for run in runs]


def test_evidence_is_drawn_beside_what_convicts():
    page = html(looked([SUSPECT]))
    threshold = re.findall(r"class='limit' [^>]*y1='([\d.]+)'", page)
    (((x, worse),),) = line_of(page, "worse")
    ((second,),) = line_of(page, "intolerable")
    assert second == (x, float(threshold[-1]))
    assert worse > second[1]
    assert "aria-label='Evidence on errors, in percent of what convicts'" in page
    assert "50 % of what convicts, p = 0.013; 51 of 1,240 against 33 of 11,160" in page


def test_evidence_in_the_candidates_favour_is_drawn_as_none():
    page = html(looked([SUSPECT], [replace(SUSPECT, worse=-20.0, intolerable=400.0)]))
    (((_, first), (_, none)),) = line_of(page, "worse")
    ((_, (_, most)),) = line_of(page, "intolerable")
    assert most < first < none
    assert f"y1='{none}'" in page
    assert f"y1='{most}'" in page


def test_every_metric_has_a_chart_and_a_rollout_without_a_judge_none():
    page = html(looked([SUSPECT, replace(SUSPECT, metric="slow")]))
    assert "Evidence on errors" in page
    assert "Evidence on slow requests" in page
    assert "Evidence on" not in html(ROLLED_BACK)


def test_the_guard_is_drawn_while_it_watches():
    page = html(looked([TRIPPED], [TRIPPED], [SUSPECT], [TRIPPED]))
    assert [len(run) for run in line_of(page, "guard")] == [2, 1]
    assert "At full weight there is nobody to compare with" in page
    assert "At full weight" not in html(looked([SUSPECT]))


def decided(view, *decisions):
    """The rollout with these decisions, verdict by verdict."""
    pairs = zip(view.verdicts, decisions, strict=True)
    return replace(view, verdicts=tuple(replace(verdict, decision=decision) for verdict, decision in pairs))


def marks_by_chart(page):
    """How many marks each chart has, by its label."""
    charts = re.findall(r"<svg [^>]*aria-label='([^']+)'>(.*?)</svg>", page)
    return {label.partition(",")[0]: drawing.count("<g class='mark ") for label, drawing in charts}


def test_turning_back_is_marked_where_the_evidence_is():
    guilty = replace(SUSPECT, worse=4.6)
    page = html(decided(looked([TRIPPED], [SUSPECT], [guilty]), "step_back", "wait", "roll_back"))
    assert page.count("<line class='back step_back'") == 1
    assert page.count("<line class='back roll_back'") == 1
    assert page.count("<g class='mark ") == 4


def test_only_the_metric_that_convicted_is_marked():
    slow = replace(SUSPECT, metric="slow", worse=9.2)
    marks = marks_by_chart(html(decided(looked([SUSPECT, slow]), "roll_back")))
    assert next(iter(marks.values())) == 1  # the traffic
    assert marks["Evidence on errors"] == 0
    assert marks["Evidence on slow requests"] == 1


def test_a_limit_or_an_alarm_that_ends_it_marks_the_traffic_and_no_evidence():
    flat = replace(SUSPECT, worse=-1.0, intolerable=-1.0)
    slow = replace(flat, metric="slow")
    page = html(decided(looked([flat, slow]), "roll_back"))
    assert page.count("<g class='mark ") == 1
    assert "class='back" not in page


def test_an_end_without_a_verdict_is_marked_on_the_traffic():
    stopped = looked([SUSPECT], outcome=Outcome.STOPPED_AND_RESTORED, cause="execution ABORTED")
    page = html(stopped)
    assert page.count("<g class='mark ") == 1
    assert "<title>10:00 Stopped and restored. execution ABORTED</title>" in page
    assert "<g class='mark " not in html(replace(stopped, outcome=None))
    assert "<g class='mark " not in html(replace(stopped, outcome=Outcome.REJECTED, shifts=(), minutes=()))


def test_people_are_named_with_their_reasons():
    words = (CommandView(125, "pause", "ana", "a graph"), CommandView(600, "approve", HOSTILE, HOSTILE))
    page = html(replace(ROLLED_BACK, commands=words))
    text = Page(page).text
    assert "Commands At Command By Because 02:05 pause ana a graph 10:00 approve" in text
    assert text.count(HOSTILE.strip()) == 2
    assert "<script" not in page
    assert "Commands" not in html(ROLLED_BACK)


def test_what_a_person_has_to_do_stands_alone():
    command = "aws lambda update-alias --routing-config '{}'"
    cause = f"Run: {command}\nbecause access is denied"
    page = html(replace(ROLLED_BACK, outcome=Outcome.STOPPED, cause=cause, restore_command=command))
    assert "<blockquote>access is denied</blockquote>" in page
    assert "Restore version 1 with:" in page
    assert page.count("<pre>aws lambda update-alias --routing-config &#x27;{}&#x27;</pre>") == 1
    assert "<pre>" not in html(replace(ROLLED_BACK, restore_command=command))


def test_a_verdict_shows_each_metrics_numbers_once():
    view = looked([SUSPECT, TRIPPED])
    compared = CheckView("errors compared", 4.11, 0.455, "%", "suspect")
    text = Page(html(replace(view, verdicts=(replace(view.verdicts[0], checks=(compared,)),)))).text
    assert "! errors p = 0.013 51 of 1,240 against 33 of 11,160" in text
    assert "! slow requests, guard 12 of 3,000 at most 0.5 %" in text
    assert "compared" not in text


def test_what_was_not_compared_has_no_p_value():
    nothing = replace(SUSPECT, minutes=0, stable=TallyView(0, 0), candidate=TallyView(0, 0), p_worse=1.0)
    text = Page(html(looked([nothing]))).text
    assert "errors – nothing compared yet" in text


@pytest.mark.parametrize(
    ("p", "told"), [(1.0, "p = 1"), (0.02, "p = 0.02"), (0.001, "p = 0.001"), (1e-12, "p &lt; 0.001")]
)
def test_a_p_value_is_told_shortly(p, told):
    assert f"<strong>{told}</strong>" in html(looked([replace(SUSPECT, p_worse=p)]))


@pytest.mark.parametrize(
    ("proven", "title", "sentence"),
    [
        (
            True,
            "Promoted Proven",
            "What was measured speaks for version 2: errors, <b>. Beside what these count, failures",
        ),
        (False, "Promoted Unproven", "Nothing spoke against version 2, but not enough could be seen"),
    ],
)
def test_a_promotion_says_what_it_rests_on(proven, title, sentence):
    names = ("errors", "<b>") if proven else ()
    text = Page(html(looked([SUSPECT], outcome=Outcome.PROMOTED, proven=proven, proven_by=names))).text
    assert title in text
    assert sentence in text
    assert ("with 95 % confidence: errors at most 1.2 % of its requests." in text) is not proven


def test_a_promotion_of_before_has_no_names_to_say():
    text = Page(html(looked([SUSPECT], outcome=Outcome.PROMOTED, proven=True))).text
    assert "What was measured speaks for version 2. Beside" in text


def test_a_promotion_says_which_metric_was_not_compared():
    text = Page(html(looked([SUSPECT, NEVER], outcome=Outcome.PROMOTED, proven=True, proven_by=("errors",)))).text
    assert "Not compared: orders failed." in text


def test_the_signs_beside_the_evidence_are_explained():
    assert "✕ convicted, – proves nothing" in Page(html(looked([SUSPECT]))).text


@pytest.mark.parametrize("by_callers", [True, False])
def test_what_callers_saw_is_told_from_what_the_judge_sees(by_callers):
    text = Page(html(replace(ROLLED_BACK, by_callers=by_callers))).text
    assert ("as callers saw them; the judge sees Lambda's Errors" in text) is by_callers


def test_what_was_not_promoted_is_neither_proven_nor_unproven():
    assert "proven" not in Page(html(ROLLED_BACK)).text.lower()


def test_warnings_are_listed():
    page = html(replace(ROLLED_BACK, warnings=("too little traffic", "no alarm")))
    assert page.count("<li>") == 2
    assert "too little traffic" in Page(page).text
    assert "<li>" not in html(ROLLED_BACK)


def test_each_rate_has_its_interval():
    page = html(ROLLED_BACK)
    assert "01:30 version 2: 15.00 % (8.10 to 26.11 %), 9 of 60 failed" in page
    assert page.count("<path class='band candidate'") == 2  # errors and slow requests


def test_slow_requests_are_drawn_as_well():
    slow = tuple(replace(minute, candidate=Counts(60, 0, 15)) for minute in ROLLED_BACK.minutes)
    assert "version 2: 25.00 % (15.78 to 37.23 %), 15 of 60 were slow" in html(replace(ROLLED_BACK, minutes=slow))


@pytest.mark.parametrize(("bad", "requests"), [(0, 10), (1, 1), (9, 60), (5_000, 5_000), (3, 100_000)])
def test_the_interval_ends_where_the_score_test_would_refute(bad, requests):
    for end in interval_percent(bad, requests):
        share = end / 100
        deviation = math.sqrt(share * (1 - share) / requests)
        assert abs(bad / requests - share) == pytest.approx(1.959964 * deviation, abs=1e-7)


RECORD = {
    "at": 1_700_000_064.5,
    "step": 1,
    "weight_percent": 50,
    "action": "step_back",
    "reason": "the guard tripped",
    "proven": False,
    "checks": [{"name": "errors", "value": 1.0, "limit": 5.0, "unit": "%", "finding": "healthy", "of": 100}],
}
JUDGED = {
    "evidence": [
        {
            "metric": "errors",
            "minutes": 9,
            "stable": [11_160, 33],
            "candidate": [1_240, 51],
            "worse": 2.3,
            "worse_needed": 4.6,
            "intolerable": 2.3,
            "intolerable_needed": 2.3,
            "p_worse": 0.013,
            "p_intolerable": 0.12,
            "excess_at_most_percent": 1.234,
            "gaps": 0,
            "state": "suspect",
        }
    ],
    "last_step": [
        {
            "metric": "slow",
            "candidate": [3_000, 12],
            "expected_at_most_percent": 0.5,
            "wealth": 6.9,
            "needed": 4.6,
            "tripped": True,
        }
    ],
}


def test_a_verdict_is_read_as_the_ledger_keeps_it():
    verdict = verdict_view({**RECORD, **JUDGED}, 1_700_000_000)
    assert verdict.at_second == 64.5
    assert verdict.decision == "step_back"
    assert verdict.checks == (CheckView("errors", 1.0, 5.0, "%", "healthy"),)
    assert verdict.evidence == (SUSPECT,)
    assert verdict.last_step == (TRIPPED,)


def test_a_verdict_from_before_there_was_a_judge_is_read_too():
    verdict = verdict_view(RECORD, 1_700_000_000)
    assert (verdict.evidence, verdict.last_step) == ((), ())


@pytest.mark.parametrize("field", ["function_name", "alias_name", "stable", "candidate", "cause"])
def test_hostile_text_stays_text(field):
    page = html(replace(looked([SUSPECT, TRIPPED], proven=True), **{field: HOSTILE}))
    assert "<script" not in page
    assert "alert('x')" not in page
    assert Page(page).open == []


def test_hostile_verdicts_stay_text():
    check = CheckView(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    evidence, last = replace(SUSPECT, metric=HOSTILE, state=HOSTILE), replace(TRIPPED, metric=HOSTILE)
    verdict = VerdictView(60, 0, 10, HOSTILE, HOSTILE, (check,), (evidence,), (last,))
    page = html(replace(ROLLED_BACK, verdicts=(verdict,), warnings=(HOSTILE,), proven=False))
    assert "<script" not in page
    assert "alert('x')" not in page
    assert Page(page).open == []


@pytest.mark.parametrize(
    "view",
    [
        replace(ROLLED_BACK, outcome=None, cause=None),
        replace(ROLLED_BACK, minutes=(), verdicts=(), shifts=(), outcome=Outcome.REJECTED),
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
    assert page.count("class='dot candidate'") <= 2 * 240
    assert page.count("text-anchor='middle'") < 40


def test_of_too_much_evidence_the_strongest_is_drawn():
    looks = [[replace(SUSPECT, worse=9.2 if number == 333 else 0.0)] for number in range(1_000)]
    (points,) = line_of(html(looked(*looks, now=ROLLED_BACK.started_at + 60_000)), "worse")
    assert len(points) <= 240
    assert min(y for _, y in points) < max(y for _, y in points)
