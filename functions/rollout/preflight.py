"""What must hold of the alias and its alarms before a rollout may start."""

from __future__ import annotations

from collections.abc import Mapping

from rollout.errors import AlarmFiring, AlarmUnusable, AliasNotReady
from rollout.observation import AlarmReading
from rollout.plan import AlarmGate
from rollout.routing import Routing
from rollout.version import Provisioning


def require_ready_alias(target: str, routing: Routing, provisioning: Provisioning | None) -> None:
    """The alias serves one published version at 100 %, and only that; what is provisioned for it is there.

    Raises:
        AliasNotReady: saying what to do.
    """
    if not routing.version.isdigit():
        raise AliasNotReady(f"{target} points to {routing.version}, which cannot be weighted: point it to a version")
    if routing.is_split:
        raise AliasNotReady(
            f"{target} already serves {routing}: another rollout, CodeDeploy or a person is at it. Wait for that,"
            " or put the alias on one version"
        )
    if provisioning and provisioning.status != "READY":
        why = f" ({provisioning.reason})" if provisioning.reason else ""
        raise AliasNotReady(
            f"the provisioned concurrency of {target} is {provisioning.status}{why}: wait until it is READY"
        )


def require_ready_alarms(gates: tuple[AlarmGate, ...], readings: Mapping[str, AlarmReading]) -> None:
    """Every alarm exists, can be evaluated, and is not firing (unless the request ignores that).

    Raises:
        AlarmUnusable: naming every alarm that could guard nothing.
        AlarmFiring: naming every alarm that fires already.
    """
    missing = [gate.name for gate in gates if readings[gate.name].state is None]
    broken = [gate.name for gate in gates if readings[gate.name].broken]
    if missing or broken:
        faults = [f"no alarm {name} in this account and region" for name in missing]
        faults += [f"alarm {name} cannot be evaluated" for name in broken]
        raise AlarmUnusable("; ".join(faults) + ": correct the names or the alarms")
    firing = [
        gate.name for gate in gates if readings[gate.name].state == "ALARM" and gate.if_already_firing == "reject"
    ]
    if firing:
        raise AlarmFiring(
            f"already in ALARM: {', '.join(firing)}. Wait until it is OK, or, where this release is the cure, set"
            ' {"name": …, "if_already_firing": "ignore_until_ok"}'
        )
