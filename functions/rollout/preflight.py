"""What must hold of the alias and its alarms before a rollout may start."""

from __future__ import annotations

from collections.abc import Mapping

from rollout.errors import AlarmFiring, AlarmUnusable, AliasNotReady
from rollout.observation import AlarmReading
from rollout.plan import AlarmGate
from rollout.routing import Routing


def require_ready_alias(target: str, routing: Routing, *, provisioned_concurrency: bool) -> None:
    """The alias serves one published version at 100 %, and only that.

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
    if provisioned_concurrency:
        raise AliasNotReady(
            f"{target} has provisioned concurrency, which Lambda moves with weights of its own; rollouts of such"
            " aliases are not supported yet: use another alias, or remove the provisioned concurrency"
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
