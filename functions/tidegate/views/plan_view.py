"""A plan, before anything moves: its steps, what each will be able to see, how long it takes, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import zip_longest
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tidegate.analysis.metric import CustomMetric, foremost
from tidegate.duration import format_duration
from tidegate.planning.forecast import StepForecast, bad_of
from tidegate.planning.pace import MIN_POLL_SECONDS, SETTLE_SECONDS
from tidegate.planning.plan import Plan
from tidegate.printable import printable
from tidegate.routing import ALL_PERCENT
from tidegate.views import cost
from tidegate.views import rollout_view as views

Record = Mapping[str, Any]
#: What the last weight takes at least, however short its bake: enough requests at it; the judge's proof, for which it
#: warms up anew; and all of that proof, where no weight before was compared for as long as this.
_SEEN_SECONDS, _PROVEN_SECONDS, _PROVEN_ALONE_SECONDS, _COMPARED_SECONDS = 240, 360, 540, 300


def render(plan: Plan, differences: Sequence[Record]) -> RenderableType:
    """The plan as PlanRollout makes it, and what the candidate has that the stable version has not."""
    parts: list[RenderableType] = [_heading(plan), Text(), _steps(plan), Text()]
    parts += [Text(printable(line)) for line in _sums(plan)]
    parts += [Text(printable(f"warning: {warning}"), style="yellow") for warning in plan.warnings]
    parts += [Text(), *_differences(plan, differences)]
    return Group(*parts)


def costs(plan: Plan) -> dict[str, float]:
    """The estimate in dollars: if all goes well, and at most."""
    return {"dollars": round(cost.of_plan(plan).dollars, 6), "dollars_at_most": round(cost.at_most(plan).dollars, 6)}


def _heading(plan: Plan) -> Text:
    stable = f"version {plan.stable}" if plan.stable else "nothing yet: the alias is made by this rollout"
    candidate = f"version {plan.version}" if plan.version else "a new version of $LATEST"
    profile = f", with profile {plan.profile}" if plan.profile else ""
    return Text(f"{plan.target} on {stable}; candidate: {candidate}{profile}")


def _steps(plan: Plan) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in ("weight", "begins", "bakes", "looks", "its requests"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("what is seen")
    begins = 0
    for step, expected in zip_longest(plan.steps, plan.expectations[: len(plan.steps)]):
        table.add_row(
            views.percent(step.weight_percent),
            ("approved " if step.approval else "") + f"+{views.timer(begins)}",
            format_duration(step.bake_seconds),
            str(cost.looks(plan, step.bake_seconds)),
            f"{expected.candidate_requests:,}" if expected else "–",
            _seen(plan, step.weight_percent, expected),
        )
        begins += step.bake_seconds
    return table


def _seen(plan: Plan, weight_percent: float, expected: StepForecast | None) -> str:
    """What the step can detect by its own requests alone."""
    judge = plan.health.judge
    metric = foremost(judge.judged()) if judge else None
    if metric is None or expected is None:
        return "alarms and limits alone"
    what = bad_of(metric)
    if weight_percent >= ALL_PERCENT:
        # Nobody is left to compare with: it is held against the way up, or against the day before.
        return f"more {what} than version {plan.stable} had before"
    harm = expected.smallest_harm_percent
    return f"{what} above {harm:.2g} %" if harm is not None else "nothing: too few requests"


def well_seconds(plan: Plan) -> int:
    """How long it takes if all goes well, with requests enough and nobody waited for; hooks' own time left out."""
    *before, last = (step.bake_seconds for step in plan.steps)
    least = max([_SEEN_SECONDS, *(rule.times.needs_seconds or 0 for rule in plan.alarms)])
    if plan.health.judge:
        least = _PROVEN_SECONDS if max(before, default=0) >= _COMPARED_SECONDS else _PROVEN_ALONE_SECONDS
    settled = last + SETTLE_SECONDS
    return sum(before) + max(settled, min(least, settled + plan.health.max_extension_seconds))


def _slow(plan: Plan) -> Iterator[str]:
    """From where on a request is slow, by each quantile that is judged and known."""
    quantiles = plan.health.judge.quantiles if plan.health.judge else ()
    limits = {quantile: limit for quantile in quantiles if (limit := plan.baseline.slow_above_ms(quantile)) is not None}
    if limits:
        yield f"judges slow: above {', '.join(f'{limit:,.4g} ms ({quantile})' for quantile, limit in limits.items())}"


def _metrics(plan: Plan) -> Iterator[str]:
    """What was found of each metric of the user's, and what each step sees by it."""
    for metric in plan.health.judge.metrics if plan.health.judge else ():
        if plan.baseline.of(metric.name).trials:
            yield f"judges {metric.name}: {_found(plan, metric)}; {_sight(plan, metric)}"


def _found(plan: Plan, metric: CustomMetric) -> str:
    found, whose = plan.baseline.of(metric.name), f"version {plan.stable}'s"
    if metric.above is not None:
        above = f"{found.above:.4g} ({metric.above} of" if found.above is not None else f"{metric.above} (of"
        return f"values above {above} {whose} {found.trials:,} values of the day before)"
    of = "" if metric.total else " invocations" if plan.durable else " requests"
    return f"{100 * found.bad / found.trials:.2g} % of {whose} {found.trials:,}{of} in the day before"


def _sight(plan: Plan, metric: CustomMetric) -> str:
    """What each step sees by it; the first that sees any says of what."""
    said = ("sees it where more than ", " lie above") if metric.above is not None else ("sees above ", "")
    told = []
    for step in plan.expectations:
        harm, weight = step.metrics.get(metric.name), views.percent(step.weight_percent)
        if step.weight_percent < ALL_PERCENT and harm is None:
            told.append(f"{weight} sees nothing")
        elif step.weight_percent < ALL_PERCENT:
            told.append(f"{weight} {said[0]}{harm:.2g} %{said[1]}")
            said = ("", "")
    return ", ".join(told) or "no step sees any"


def _sums(plan: Plan) -> Iterator[str]:
    people = plan.approval_seconds + plan.max_pause_seconds
    takes, longest = format_duration(well_seconds(plan)), format_duration(plan.watched_seconds)
    yield (
        f"looks every {format_duration(plan.poll_seconds)}{_sooner(plan)}; takes about {takes} if all goes well,"
        f" {longest} at most, and {format_duration(people)} more where people pause it or are waited for"
    )
    well, most = cost.of_plan(plan), cost.at_most(plan)
    yield (
        f"costs about {cost.price(well.dollars)} if all goes well, {cost.price(most.dollars)} at most (list prices of"
        f" us-east-1); {cost.price(well.metric_dollars)} of it for GetMetricData, {plan.metrics_per_look} metrics each"
        " look"
    )
    yield from _slow(plan)
    yield from _metrics(plan)
    for number, step in enumerate(plan.steps, start=1):
        if approval := step.approval:
            otherwise = "rolls back" if approval.on_timeout == "roll_back" else "goes on"
            limit = format_duration(approval.timeout_seconds)
            yield f"step {number} waits for an approval; without one it {otherwise} after {limit}"
    if plan.alarms:
        yield f"alarms: {', '.join(alarm.name for alarm in plan.alarms)}"
    if hooks := _hooks(plan):
        yield f"hooks: {hooks}"


def _sooner(plan: Plan) -> str:
    if not plan.sooner_looks:
        return ""
    each_minute = plan.poll_seconds <= MIN_POLL_SECONDS
    return ", sooner while metrics are awaited" if each_minute else ", each step's first minutes every minute"


def _hooks(plan: Plan) -> str:
    hooks = {field.name: getattr(plan.hooks, field.name) for field in fields(plan.hooks)}
    return ", ".join(f"{hook.function_name} ({moment.replace('_', ' ')})" for moment, hook in hooks.items() if hook)


def _differences(plan: Plan, differences: Sequence[Record]) -> Iterable[RenderableType]:
    if not plan.stable:
        return
    if not differences:
        yield Text(f"the candidate differs in nothing from version {plan.stable}")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in ("what differs", f"version {plan.stable}", "candidate"):
        table.add_column(heading, overflow="fold")
    for difference in differences:
        what, stable, candidate = (difference[key] for key in ("what", "stable", "candidate"))
        table.add_row(*(Text(printable(cell)) for cell in (what.replace("_", " "), _value(stable), _value(candidate))))
    yield table


def _value(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(part)}" for name, part in value.items())
    return ", ".join(map(_value, value)) if isinstance(value, list) else str(value)
