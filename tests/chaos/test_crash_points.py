"""docs/crash-points.md is what the sandbox says today: the calls all, their ends by sample (`make sweep` plays all)."""

from collections import Counter

import pytest

from tests.chaos.crash_page import cell, documented, documented_ends
from tests.chaos.crash_points import HURTS, STORIES, calls, end_of, points
from tests.chaos.observe import observe
from tests.chaos.sweep import PAGE

SAMPLES = 6


@pytest.fixture(scope="module", params=STORIES)
def story(request):
    return request.param, observe(STORIES[request.param])


def test_the_page_has_every_call_of_the_canonical_rollout(story):
    name, whole = story
    made = Counter((str(call.caller), call.name) for call, _ in calls(whole))
    found = documented(PAGE.read_text(), name)
    found.pop(("every handler", "lambda.UpdateAlias, always from the second on"))
    assert found == made, "run `make sweep`"


@pytest.mark.parametrize("sample", range(SAMPLES))
def test_a_point_ends_safe_and_as_the_page_says(story, sample):
    name, whole = story
    all_points = list(points(name, whole))
    point = all_points[sample * len(all_points) // SAMPLES]
    end = end_of(point)
    assert end.broke == {}
    if point.table == "calls":
        assert cell(end) in documented_ends(PAGE.read_text(), name, point.row, point.column), "run `make sweep`"


def test_a_write_that_is_denied_for_ever_ends_with_the_command_to_run(story):
    name, whole = story
    *_, denied = points(name, whole)
    seen = observe(denied.case)
    assert "aws lambda update-alias" in seen.executions[0].cause


def test_every_hurt_is_a_column_of_the_page():
    assert all(f"| {hurt} |" in PAGE.read_text() or f" {hurt} |" in PAGE.read_text() for hurt in HURTS)
