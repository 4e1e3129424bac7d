"""Drawn rollouts under the real control logic: what a look decides is what is drawn next, and what comes of it."""

from dataclasses import replace

import numpy as np
import pytest

from bench.judge import drawing, loop, page, peers, simulate
from bench.judge.drawing import NO_NOISE, Drawing, Noise, World
from bench.judge.figures import Figures
from bench.judge.interval import Mean, Share
from bench.judge.loop import Course
from bench.judge.scenarios import SCENARIOS
from bench.judge.simulate import STEPS, Cell
from tidegate.analysis.measurement import Shift

COURSE = Course(STEPS["ramp"], 1000, 0.01)


def result(scenario, *, part="ramp", rpm=1000, rate=0.01, replicates=3, seed=3):
    return simulate.run(Cell(part, scenario, rpm, rate, replicates, seed))


@pytest.fixture(scope="module")
def drawn():
    """Every scenario at a thousand requests a minute, some of them more than once."""
    several = {"identical", "catastrophe", "late_catastrophe", "material"}
    return {name: result(name, replicates=3 if name in several else 1) for name in SCENARIOS}


# --- The loop ---------------------------------------------------------------------------------------------------------


def test_identical_versions_are_promoted_and_a_catastrophe_is_rolled_back(drawn):
    assert drawn["identical"].rolled_back == Share(0, 3)
    assert drawn["identical"].proven == Share(3, 3)
    assert drawn["identical"].hurt.found == 0
    broken = drawn["catastrophe"]
    assert (broken.rolled_back, broken.missed) == (Share(3, 3), Share(0, 3))
    assert broken.why == {"convicted": 3}
    assert max(broken.minutes) <= 4
    assert 0 < broken.hurt.found < 4 * 100 * 1.5


def test_what_a_look_decides_is_what_is_drawn_from_then_on(drawn):
    late = drawn["late_catastrophe"]
    assert late.moved["step_back"] == 3
    assert late.rolled_back == Share(3, 3)
    # Between its step back and its rollback it had a tenth of the traffic, and not all of it.
    assert late.hurt.found < 0.75 * 1000 * (max(late.minutes) - 24)


def test_what_is_missed_hurts_until_somebody_notices():
    (missed,) = [result("x5", rpm=10, rate=0.001, replicates=1)]
    assert missed.missed == Share(1, 1)
    assert missed.minutes == (np.inf,)
    assert missed.hurt.found == pytest.approx(10 * (0.001 * 4) * (0.1 * 12 + 0.5 * 12 + 36), rel=0.5)


class Repeatable(Drawing):
    """Each minute drawn by itself from a generator of its own, so that it rests on its weights alone."""

    def until(self, end, shifts):
        while (number := len(self.minutes)) < end:
            self.rng, self.hidden = (np.random.default_rng([number, which]) for which in (1, 2))
            self.minutes += self._drawn(number, number + 1, shifts)
        return self.minutes[:end]


class EveryLook(loop._Loop):
    _may_leap = False


@pytest.mark.parametrize("name", ["clumps10", "burst15", "leak", "late_x5"])
def test_looks_that_are_not_taken_would_have_changed_nothing(name):
    ended = []
    for kind in (loop._Loop, EveryLook):
        rng, scenario = np.random.default_rng(7), SCENARIOS[name]
        plan = loop.plan_of(COURSE, scenario, drawing.day_before(rng, 0.01, COURSE.rpm, scenario.noise))
        world = scenario.world(rng, 200, 0.01, COURSE.minutes)
        under_way = kind(plan, COURSE, Repeatable(rng, world, drawing.requests(rng, world, COURSE.rpm)), begins=17.5)
        ended.append(under_way.run())
    leapt, looked = ended
    assert leapt.looks < looked.looks
    assert replace(leapt, looks=0) == replace(looked, looks=0)


def test_a_seed_draws_the_same_again_and_a_rollout_rests_on_no_other(drawn):
    assert result("material") == drawn["material"]
    assert result("material", replicates=1).minutes == drawn["material"].minutes[:1]
    assert result("material", seed=4).hurt != drawn["material"].hurt


# --- What is drawn ----------------------------------------------------------------------------------------------------


def counts_of(scenario, shifts, minutes=60, rpm=20_000):
    rng = np.random.default_rng(5)
    world = SCENARIOS[scenario].world(rng, minutes, 0.01)
    return Drawing(rng, world, drawing.requests(rng, world, rpm)).until(minutes, shifts)


def slow_share(minutes, metric="slow"):
    bad, of = (sum(one.candidate.trials(metric)[i] for one in minutes) for i in (1, 0))
    return bad / of


def test_a_weight_that_moves_within_a_minute_has_its_part_of_it():
    shifts = (Shift(15.0, 10), Shift(90.0, 50))
    assert drawing.shares(shifts, 0, 3) == pytest.approx([0.1 * 45 / 60, (0.1 + 0.5) / 2, 0.5])


def test_what_was_drawn_at_another_weight_is_drawn_anew():
    rng = np.random.default_rng(5)
    world = World.of_identical(rng, 20, 0.01)
    one = Drawing(rng, world, drawing.requests(rng, world, 10_000))
    before = list(one.until(20, (Shift(0.0, 10),)))
    one.forget(600.0)
    after = one.until(20, (Shift(0.0, 10), Shift(600.0, 100)))
    assert after[:10] == before[:10]
    assert all(minute.stable.requests == 0 for minute in after[10:])


def test_a_request_is_slow_by_each_quantile_as_often_as_that_says():
    minutes = counts_of("identical", (Shift(0.0, 50),))
    found = [slow_share(minutes, metric) for metric in ("slow", "slow p90", "slow p50")]
    assert found == pytest.approx([0.01, 0.1, 0.5], rel=0.05)
    assert slow_share(counts_of("slow", (Shift(0.0, 50),))) == pytest.approx(0.02, rel=0.05)


def test_a_compiler_s_slowness_fades_and_comes_again_with_more_traffic():
    minutes = counts_of("jit", (Shift(0.0, 10), Shift(1200.0, 50)))
    first, faded, again = (slow_share(minutes[i : i + 3]) for i in (0, 15, 20))
    assert first == pytest.approx(0.01 + 0.06 * 11 / 12, rel=0.1)
    assert faded == pytest.approx(0.01, rel=0.2)
    assert again == pytest.approx(0.01 + 0.06 * 0.8 * 11 / 12, rel=0.1)


def test_noise_is_as_wide_as_it_says_and_known_to_the_plan_where_the_stable_version_has_it():
    wide = Noise(correlation=0.01)
    for noise, least, most in (
        (NO_NOISE, 0.0, 0.0005),
        (wide, 0.004, 0.02),
        (replace(wide, stable=False), 0.0, 0.0005),
    ):
        known = drawing.day_before(np.random.default_rng(2), 0.01, 60_000, noise)
        assert least <= known.correlation <= most
        assert known.errors / known.requests == pytest.approx(0.0105, rel=0.05)


def test_retries_send_what_fails_again():
    calm, storm = (counts_of(name, (Shift(0.0, 10),)) for name in ("burst", "storm"))
    assert max(one.stable.requests for one in storm) > 1.3 * max(one.stable.requests for one in calm)


def test_half_of_a_minute_is_never_more_than_all_of_it():
    rng = np.random.default_rng(1)
    for minute in counts_of("identical", (Shift(0.0, 50),), rpm=100):
        part = drawing.half(rng, minute)
        for whole, kept in ((minute.stable, part.stable), (minute.candidate, part.candidate)):
            for metric in ("errors", "slow", "slow p90", "slow p50"):
                assert kept.trials(metric)[1] <= min(whole.trials(metric)[1], kept.requests)
            assert kept.requests <= whole.requests
            assert kept.slow <= kept.others["slow p90"][1] <= kept.others["slow p50"][1]


def test_what_is_long_ago_is_read_by_the_quarter_hour():
    minutes = counts_of("identical", (Shift(0.0, 50),))
    read = drawing.coarser(minutes, 31 * 60.0)
    assert [one.seconds for one in read] == [900, 900, *[60] * 30]
    for metric in ("errors", "slow p50"):
        trials = [one.stable.trials(metric) for one in minutes[:15]]
        assert read[0].stable.trials(metric) == tuple(map(sum, zip(*trials, strict=True)))


# --- What is said of it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "least", "most"),
    [
        (Share(0, 10), 0, 0.3085),
        (Share(1, 10), 0.0025, 0.4450),
        (Share(5, 10), 0.1871, 0.8129),
        (Share(10, 10), 0.6915, 1),
        (Share(0, 0), 0, 1),
    ],
)
def test_an_interval_is_that_of_clopper_and_pearson(share, least, most):
    assert (share.at_least, share.at_most) == pytest.approx((least, most), abs=1e-4)


def test_a_mean_says_how_far_it_may_be_off():
    assert str(Mean.of([90.0, 110.0])) == "100 ± 20"
    assert str(Mean.of([3.0])) == "3 ± 0"


def test_a_limit_says_whether_it_holds_with_the_interval_beside(drawn):
    (holds,) = Figures((drawn["identical"],), 3, 3).limits()
    assert str(holds).startswith("holds: identical versions over the whole grid, rolled back: 0 % (0–70.8 %), at most")
    broken = replace(drawn["catastrophe"], cell=drawn["identical"].cell)
    (breaks,) = Figures((broken,), 3, 3).limits()
    assert str(breaks).startswith("does not hold")


def test_the_page_has_every_scenario_and_the_rules_of_which_the_readme_has_the_table(drawn):
    scores = peers.scores([replace(cell, replicates=1) for cell in peers.cells(1, 3)[::12]], processes=1)
    halves = result("identical", part="halves", replicates=1)
    text = page.markdown(Figures((halves, *drawn.values()), 3, 3, scores))
    assert all(f"| {one.says} |" in text for one in SCENARIOS.values())
    table = page.rules_table(text).splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in table[2:]] == list(peers.SAYS.values())
    with pytest.raises(ValueError, match="each of these lines once"):
        page.rules_table("nothing here")


def test_the_grid_has_each_scenario_and_as_many_replicates_of_identical_versions_as_were_asked_for():
    grid = simulate.cells(1000, 1)
    assert {cell.scenario for cell in grid} == SCENARIOS.keys()
    assert sum(cell.replicates for cell in grid if (cell.part, cell.scenario) == ("ramp", "identical")) == 20_000
