"""What must hold of the alias and its alarms before a rollout may start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tidegate.alias import Alias
from tidegate.analysis.health import AlarmRule
from tidegate.analysis.measurement import AlarmReading, TrafficBaseline
from tidegate.analysis.metric import CustomMetric
from tidegate.errors import (
    AlarmFiring,
    AlarmUnusable,
    AliasNotReady,
    HookUnusable,
    MetricUnusable,
    ProvisioningPending,
)
from tidegate.routing import ALL_PERCENT, Routing
from tidegate.version import Provisioning

#: What to do about a metric of which nothing was seen: whoever publishes it himself may correct it.
_OF_USER = 'correct names and dimensions, have it count 0 where all is well, or say that it is "new": true'
_OF_AWS = "AWS publishes it where it happens (of a function URL, where the alias's own is called): else leave it out"


def require_ready_alias(target: str, routing: Routing, provisioning: Provisioning | None) -> None:
    """The alias serves one published version at 100 %, and only that; what is provisioned for it is there.

    Raises:
        AliasNotReady: saying what to do.
        ProvisioningPending: Lambda is still at it; meanwhile it shows a weight of its own, all to the version before.
    """
    if not routing.version.isdigit():
        raise AliasNotReady(f"{target} points to {routing.version}, which cannot be weighted: point it to a version")
    status = provisioning.status if provisioning else "READY"
    if status == "FAILED":
        raise AliasNotReady(_unprovisioned(target, routing, provisioning.reason if provisioning else ""))
    handed_over = routing.weight_percent == ALL_PERCENT
    if status != "READY" and (handed_over or not routing.is_split):
        raise ProvisioningPending(f"the provisioned concurrency of {target} is {status}: wait until it is READY")
    if routing.is_split:
        raise AliasNotReady(
            f"{target} already serves {routing}: another rollout, CodeDeploy or a person is at it. Wait for that,"
            " or put the alias on one version"
        )


def _unprovisioned(target: str, routing: Routing, reason: str) -> str:
    why = f" ({reason})" if reason else ""
    serves = f", and version {routing.additional} still gets its traffic" if routing.is_split else ""
    return (
        f"the provisioned concurrency of {target} FAILED{why}{serves}: put the alias on a version that starts, without"
        " weights, or take its provisioned concurrency away"
    )


def require_usable_hooks(faults: Sequence[str]) -> None:
    """Every function that is to be asked can be.

    Raises:
        HookUnusable: naming every one that cannot.
    """
    if faults:
        raise HookUnusable(f"hook {'; hook '.join(faults)}: correct the names, or deploy the functions")


def known_metrics(
    metrics: Sequence[CustomMetric], baseline: TrafficBaseline, alias: Alias, stable: str
) -> tuple[CustomMetric, ...]:
    """The user's metrics: one of which nothing was seen may be new, and then proves nothing.

    Nor does a sparse one that has never counted anything bad: nobody can tell it from one that is misspelt.

    Raises:
        MetricUnusable: naming every one of which nothing was seen, and that is not said to be new.
    """
    unseen = [one for one in metrics if not baseline.of(one.name).trials]
    silent = [one for one in metrics if one.sparse and not baseline.of(one.name).bad]
    if refused := [one for one in unseen if not one.new]:
        raise MetricUnusable(_refusal(refused, baseline, alias, stable))
    return tuple(replace(one, proves=one not in unseen and one not in silent) for one in metrics)


def _refusal(metrics: Sequence[CustomMetric], baseline: TrafficBaseline, alias: Alias, stable: str) -> str:
    """Why nothing was seen of them as far as that can be told, and what to do about each kind."""
    if not baseline.requests:
        names = ", ".join(one.name for one in metrics)
        return (
            f"{alias} had no request in the last day, so nothing can be known of {names}: start once it has served, or"
            ' say that the metric is "new": true'
        )
    whose = {
        _OF_AWS: [one for one in metrics if _is_of_aws(one)],
        _OF_USER: [one for one in metrics if not _is_of_aws(one)],
    }
    return "; ".join(
        f"{'; '.join(_unseen(one, alias, stable) for one in found)}: {what_to_do}"
        for what_to_do, found in whose.items()
        if found
    )


def _is_of_aws(metric: CustomMetric) -> bool:
    return metric.series.namespace.startswith("AWS/")


def _unseen(metric: CustomMetric, alias: Alias, stable: str) -> str:
    """Of a sparse metric it is the total that must have been seen."""
    series = (metric.total if metric.sparse and metric.total else metric.series).of(alias, stable)
    named = ", ".join(f"{name}={value}" for name, value in series.dimensions)
    return f"of {metric.name}, {series.namespace} {series.metric} ({named}), nothing was seen in the last day"


def require_ready_alarms(rules: tuple[AlarmRule, ...], readings: Mapping[str, AlarmReading]) -> None:
    """Every alarm exists, can be evaluated, and is not firing (unless the request ignores that, and may).

    Raises:
        AlarmUnusable: naming every alarm that could guard nothing.
        AlarmFiring: naming every alarm that fires already.
    """
    missing = [rule.name for rule in rules if readings[rule.name].state is None]
    broken = [rule.name for rule in rules if readings[rule.name].broken]
    if missing or broken:
        faults = [f"no alarm {name} in this account and region" for name in missing]
        faults += [f"alarm {name} cannot be evaluated" for name in broken]
        raise AlarmUnusable("; ".join(faults) + ": correct the names or the alarms")
    _require_one_series(rules, readings)
    firing = [
        rule.name for rule in rules if readings[rule.name].state == "ALARM" and rule.if_already_firing == "reject"
    ]
    if firing:
        raise AlarmFiring(
            f"already in ALARM: {', '.join(firing)}. Wait until it is OK, or, where this release is the cure, set"
            ' {"name": …, "if_already_firing": "ignore_until_ok"}'
        )


def _require_one_series(rules: tuple[AlarmRule, ...], readings: Mapping[str, AlarmReading]) -> None:
    """Whoever waits for an alarm to be OK once would wait in vain where another series breaches by then.

    Raises:
        AlarmUnusable: naming every alarm of many series that is to be ignored until then.
    """
    shared = [
        rule.name
        for rule in rules
        if rule.if_already_firing == "ignore_until_ok" and readings[rule.name].has_contributors
    ]
    if shared:
        raise AlarmUnusable(
            f"ignore_until_ok cannot be used for {', '.join(shared)}: an alarm with many contributors (GROUP BY, or"
            " PromQL) stays in ALARM while one of them recovers and another begins. Leave it out, or set"
            " if_already_firing to reject"
        )
