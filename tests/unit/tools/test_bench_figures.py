"""The page of figures: every limit has its row, and what is measured cannot leave a mark of its own on the rest."""

import json
from datetime import date

import pytest

from bench import page, rollouts, row
from bench.__main__ import cold_start_row, judge_rows, not_started, package_row
from bench.coldstart import measure, package
from bench.coldstart.emulator import NoColdStart, binary
from bench.coldstart.measure import LIMITS, ROLLBACK_PATH, ColdStart
from bench.judge import cases, record
from bench.row import Row
from bench.scale import figures as scale
from tidegate.planning.pace import HISTORY_BUDGET
from tidegate.views import cost

HEAD = f"| {' | '.join(row.HEADS)} |"


def written():
    """The generated table of docs/figures.md: every row's cells by its figure."""
    text = page.PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(page.MARKS[0])
    generated, mark, after = rest.partition(page.MARKS[1])
    assert before.strip()
    assert mark
    assert after.strip()
    lines = [line for line in generated.splitlines() if line.startswith("|")]
    assert lines[0] == HEAD
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]
    assert all(len(each) == len(row.HEADS) for each in cells)
    return {each[0]: dict(zip(row.HEADS, each, strict=True)) for each in cells}


LIMITED = {
    **{f"cold start, {handler}": f"{limit}" for handler, limit in LIMITS.items()},
    **{f"history events, {name}": f"{HISTORY_BUDGET:,}" for name in rollouts.REQUESTS},
    "the zip": "5 MB",
    "API calls per poll": "4",
    **{f"{number} starts at once": f"{number} promoted" for number in scale.ROLLOUTS},
    **{f"from alarm to all restored, {number} started at once": "60 s" for number in scale.ROLLOUTS},
}


@pytest.mark.parametrize(("figure", "limit"), LIMITED.items())
def test_every_limit_has_a_row_with_its_verdict(figure, limit):
    found = written()[figure]
    assert found["limit"] == limit
    assert found["verdict"] in {"holds", "MISSED", "not measured"}
    assert found["measured"] or found["verdict"] == "not measured"
    assert found["note"] or found["verdict"] == "holds"


def test_no_limit_is_on_the_page_alone():
    assert {figure for figure, found in written().items() if found["limit"]} == LIMITED.keys()


def test_the_page_has_what_carries_no_limit_too():
    figures = written()
    for name in rollouts.REQUESTS:
        assert "$" in figures[f"state transitions and dollars, {name}"]["measured"]
    for figure in ("from alarm to restored", "thirty minutes in the sandbox", "rule, tidegate's judge"):
        assert figures[figure]["measured"]


def test_what_the_plan_alone_says_is_on_the_page_as_the_plan_says_it_now():
    figures = written()
    for one in rollouts.planned_rows():
        found = figures[one.figure]
        assert (found["measured"], found["note"]) == (one.measured, one.note), "run make bench"


def test_the_readme_prices_a_rollout_as_the_plan_does():
    readme = " ".join((page.PAGE.parents[1] / "README.md").read_text(encoding="utf-8").split())
    day, month, gate = (rollouts.planned(rollouts.REQUESTS[name]) for name in ROLLOUTS_OF_THE_README)
    said = [cost.price(day.well.dollars), cost.price(month.well.dollars), cost.price(gate.at_most.dollars)]
    expected = "of a day {}, of thirty days {}, one that waits a day for an approval up to {}."
    assert expected.format(*said) in readme


ROLLOUTS_OF_THE_README = (rollouts.DAY, "30 days at 10 %", "a gate of 24 hours")


def test_the_page_names_what_it_was_measured_on():
    text = page.PAGE.read_text(encoding="utf-8")
    assert all(word in text for word in ("Measured on 2", " cores, ", "Python 3.", "moto "))


def test_every_handler_on_the_way_back_has_the_stricter_limit():
    assert {*ROLLBACK_PATH, "plan_rollout"} == LIMITS.keys()
    assert LIMITS.keys() <= measure.handlers().keys()
    assert {LIMITS[handler] for handler in ROLLBACK_PATH} == {1.15}


def test_every_handler_of_the_template_gets_its_whole_environment():
    for handler, variables in measure.handlers().items():
        assert (package.FUNCTIONS / f"{handler}.py").is_file()
        assert variables["ROLLOUT_TABLE"] == "RolloutTable"
        assert variables["HISTORY_RETENTION_DAYS"] == "365"
        assert variables["SETTINGS_PARAMETER"] == "/tidegate/settings/tidegate"


def test_a_machine_without_the_emulator_still_says_every_limit():
    with pytest.raises(NoColdStart, match="does not run on Plan9 mips") as refused:
        binary("Plan9", "mips")
    found = not_started(refused.value)
    assert [each.figure for each in found] == [f"cold start, {handler}" for handler in LIMITS]
    assert all(each.verdict == "not measured" and "Plan9" in each.note for each in found)


@pytest.mark.parametrize(
    ("init_ms", "compiled_ms", "verdict", "says"),
    [
        (114, 110, "holds", ""),
        (130, 110, "MISSED", "the whole miss"),
        (130, 120, "MISSED", "imports more"),
        (130, None, "MISSED", "imports more"),
    ],
)
def test_a_handler_that_starts_late_says_why(init_ms, compiled_ms, verdict, says):
    found = cold_start_row(ColdStart("sweep", init_ms, 100, compiled_ms))
    assert (found.verdict, found.measured) == (verdict, f"{init_ms / 100:.2f}")
    assert says in found.note


def test_a_build_of_another_source_is_not_weighed(tmp_path):
    assert package_row(tmp_path).verdict == "not measured"


def test_every_planned_rollout_keeps_its_history_budget():
    for name, request in rollouts.REQUESTS.items():
        plan = rollouts.planned(request)
        assert 0 < plan.history_events <= HISTORY_BUDGET, name
        assert plan.well.dollars <= plan.at_most.dollars, name


def test_a_new_table_leaves_the_words_around_it():
    first = Row("a figure", "2", "1", holds=False, note="because | of that")
    text = f"words before\n{page.MARKS[0]}\nstale words\n{page.MARKS[1]}\nwords after\n"
    new = page.renewed(text, [first], page.machine(date(2026, 1, 2), 3))
    assert new.startswith("words before\n")
    assert new.endswith("\nwords after\n")
    assert "stale words" not in new
    assert "* a figure: 2, where the limit is 1: because | of that" in new
    assert "| a figure | 2 | 1 | MISSED | because \\| of that |" in new
    assert page.renewed(new, [first], page.machine(date(2026, 1, 2), 3)) == new


def test_a_page_that_lost_its_marks_is_not_overwritten():
    with pytest.raises(ValueError, match=r"docs/figures\.md must have each of these lines once"):
        page.renewed("nothing here", [], "")


def test_the_table_fits_a_terminal_line_by_line():
    lines = row.text([Row("a", "1"), Row("bcd", "22", "3", holds=True, note="x")]).splitlines()
    assert lines == [
        "figure  measured  limit  verdict  note",
        "------  --------  -----  -------  ----",
        "a       1",
        "bcd     22        3      holds    x",
    ]


@pytest.mark.parametrize("path", record.documents())
def test_the_recorded_rollouts_are_those_of_the_seed(path):
    assert path.read_text(encoding="utf-8") == record.documents()[path]
    found = cases.read(path)
    assert {case.truth.label for case in found} == {path.stem}
    assert json.loads(path.read_text(encoding="utf-8"))["cases"]


def test_every_rule_has_a_row():
    found = {each.figure: each for each in judge_rows()}
    assert "0 of 6 good ones rolled back" in found["rule, tidegate's judge"].measured
    assert {"rule, codedeploy", "rule, kayenta", "rule, argo", "rule, flagger"} <= found.keys()
