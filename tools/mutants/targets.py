"""Where mistakes are made, and which tests should notice."""

from __future__ import annotations

from pathlib import Path

#: Decisions, restoring and reconciling, the ledger, guards and handlers that write, the alias, versions, executions.
FILES = (
    "functions/tidegate/control/decision.py",
    "functions/tidegate/control/looks.py",
    "functions/tidegate/ending/claim.py",
    "functions/tidegate/ending/conclusion.py",
    "functions/tidegate/ending/execution_end.py",
    "functions/tidegate/ending/lock.py",
    "functions/tidegate/ending/outcome.py",
    "functions/tidegate/ending/record.py",
    "functions/tidegate/ending/restore_intent.py",
    "functions/tidegate/control/progress.py",
    "functions/tidegate/control/item_size.py",
    "functions/tidegate/routing.py",
    "functions/tidegate/control/commands.py",
    "functions/tidegate/application/counting.py",
    "functions/tidegate/application/forward.py",
    "functions/tidegate/application/reconciliation.py",
    "functions/tidegate/application/finalize.py",
    "functions/tidegate/application/many.py",
    "functions/tidegate/application/restoration.py",
    "functions/tidegate/application/revert.py",
    "functions/tidegate/application/rollback.py",
    "functions/tidegate/application/steering.py",
    "functions/tidegate/aws/aliases.py",
    "functions/tidegate/aws/durable.py",
    "functions/tidegate/aws/executions.py",
    "functions/tidegate/aws/history.py",
    "functions/tidegate/aws/ledger.py",
    "functions/tidegate/aws/locks.py",
    "functions/tidegate/aws/verdicts.py",
    "functions/tidegate/aws/versions.py",
    "functions/tidegate/aws/watches.py",
    "functions/check_health.py",
    "functions/count_durable.py",
    "functions/guard_alarm.py",
    "functions/guard_execution.py",
    "functions/promote.py",
    "functions/publish_version.py",
    "functions/roll_back.py",
    "functions/shift_traffic.py",
    "functions/sweep.py",
)
#: Quickest first: that is the order in which a mutant meets them.
LAYERS = ("tests/unit/", "tests/aws/", "tests/workflow/", "tests/chaos/")
_FOUND_BY_CHAOS = "tests/chaos/test_chaos.py::test_what_chaos_found_once_holds"
#: Tests of what stands beside a rollout: the bench, the sandbox's own rules, what people see.
_ELSEWHERE = (
    *("test_bench_", "test_cloudwatch", "test_lambda_rules", "test_dynamodb_rules", "test_interpreter", "test_alarms"),
    *("test_forecast", "test_judge.py", "test_live", "test_report", "test_rollout_request", "test_comparison"),
    *("test_pace", "test_adapter_metrics", "test_provisioned_concurrency"),
)


def files(root: Path) -> list[str]:
    """The files that are there: some come and go."""
    return [name for name in FILES if (root / name).is_file()]


def tests(root: Path) -> list[str]:
    """What pytest is given, a part at a time, the longest first."""
    folders = [root / "tests" / name for name in ("unit", "aws", "workflow")]
    found = [path for folder in folders for path in folder.rglob("test_*.py") if not path.name.startswith(_ELSEWHERE)]
    longest_first = sorted(found, key=lambda path: -path.stat().st_size)
    parts = sorted(longest_first, key=lambda path: "workflow" not in path.parts)
    return [_FOUND_BY_CHAOS, *(str(path.relative_to(root)) for path in parts)]


def layer(test: str) -> int:
    """Which layer a test is of."""
    return next(number for number, folder in enumerate(LAYERS) if test.startswith(folder))
