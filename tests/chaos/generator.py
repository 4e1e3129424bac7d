"""Random requests, worlds and faults; the same name always gives the same case."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from tests.chaos import meddlers, operators
from tests.chaos.case import Case

OPERATIONS = {
    "lambda": [
        "GetAlias",
        "UpdateAlias",
        "UpdateAlias",
        "GetFunctionConfiguration",
        "PublishVersion",
        "CreateAlias",
        "Invoke",
        "*",
    ],
    "dynamodb": ["GetItem", "PutItem", "UpdateItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "Query", "*"],
    "cloudwatch": ["GetMetricData", "DescribeAlarms", "DescribeAlarmHistory", "*"],
    "events": ["PutEvents"],
    "stepfunctions": ["DescribeExecution", "GetExecutionHistory", "*"],
    "ssm": ["GetParameter"],
}
ERRORS = {
    "lambda": [
        "AccessDeniedException",
        "TooManyRequestsException",
        "ServiceException",
        "ResourceConflictException",
        "ResourceNotFoundException",
        "InvalidParameterValueException",
        "PreconditionFailedException",
    ],
    "dynamodb": [
        "AccessDeniedException",
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "ResourceNotFoundException",
        "TransactionConflictException",
    ],
    "cloudwatch": ["AccessDenied", "InternalServiceFault", "Throttling"],
    "events": ["AccessDeniedException", "InternalException", "ThrottlingException"],
    "stepfunctions": ["AccessDeniedException", "ThrottlingException", "ExecutionDoesNotExist"],
    "ssm": ["AccessDeniedException", "InternalServerError", "ThrottlingException", "ParameterNotFound"],
}
WIRE = ["lost_response", "lost_response", "held", "held", "crash_before", "crash_after", "ConnectTimeoutError"]
HELD_SECONDS = [0.3, 1, 3, 6, 12, 15, 20, 31, 50, 70, 100, 155]
HANDLERS = [
    "plan_rollout",
    "publish_version",
    "verify_candidate",
    "shift_traffic",
    "run_hook",
    "check_health",
    "promote",
    "roll_back",
    "guard_execution",
    "guard_alarm",
    "sweep",
    "command",
    "count_durable",
]
SMALLEST = {"function_name": "checkout", "alias_name": "live"}
#: How many calls a second a busy account leaves to the rollout.
LEFT: dict[str, list[float]] = {
    "lambda": [0.5, 1, 3],
    "lambda.GetAlias": [0.1, 0.5],
    "lambda.UpdateAlias": [0.1, 0.5],
    "cloudwatch.DescribeAlarms": [0.05, 0.3],
    "cloudwatch.GetMetricData": [0.05, 0.3],
    "dynamodb": [2, 5],
    "stepfunctions.DescribeExecution": [0.1, 1],
}
#: So many of all cases have quotas.
QUOTAED = 0.15
#: So many of all cases have others in them, beside or instead of what else happens.
MEDDLED = 0.45


def generate(name: str) -> Case:
    """The case of that name, such as "7.123"."""
    random = Random(f"chaos {name}")  # noqa: S311 - a case must be repeatable, not secret
    request, scenario = _request(random), _scenario(random)
    if isinstance(request, dict) and "function_name" in request:
        request, scenario = _with_people(random, request, scenario)
        if _perhaps(random, MEDDLED):
            scenario = meddlers.meddled(random, scenario)
    case = Case(name, request, scenario, random.randrange(1_000_000))
    case = _with_metrics(Random(f"metrics {name}"), case)  # noqa: S311 - as above
    return _with_quotas(Random(f"quotas {name}"), case)  # noqa: S311 - as above


def _perhaps(random: Random, chance: float) -> bool:
    return random.random() < chance


def _with_quotas(random: Random, case: Case) -> Case:
    """Now and then the same case in a busy account: few calls a second are left, enough for one rollout that waits."""
    if not _perhaps(random, QUOTAED):
        return case
    chosen = random.sample(list(LEFT), random.choice([1, 1, 2, 3]))
    return replace(case, scenario={**case.scenario, "quotas": {name: random.choice(LEFT[name]) for name in chosen}})


def _with_metrics(random: Random, case: Case) -> Case:
    """Now and then the same case, judged by metrics of the user's own that tell of harm, are new, or fall silent."""
    if not isinstance(case.request, dict) or "function_name" not in case.request or not _perhaps(random, 0.15):
        return case
    health = case.request.get("health", {})
    if health.get("judge", {}) is False:
        return case
    series = {"namespace": "Shop", "dimensions": {"version": "{version}"}}
    told = {"namespace": "Shop", "version_dimension": "version"}
    counts = ["answered_errors", *({"stable": 0.01, "candidate": share} for share in (0.01, 0.01, 0.05, 0.5))]
    asked: list[Any] = [{"name": "orders failed", "bad": {**series, "metric": "OrdersFailed"}}]
    metrics: list[dict[str, Any]] = [{**told, "name": "OrdersFailed", "counts": random.choice(counts)}]
    if _perhaps(random, 0.3):
        values = {
            "stable": {"median": 60, "p99": 90},
            "candidate": {"median": random.choice([60, 60, 100]), "p99": 120},
        }
        asked.append({"name": "memory", "value": {**series, "metric": "Memory"}, "above": "p90"})
        metrics.append({**told, "name": "Memory", "values": values})
    if _perhaps(random, 0.3):
        metrics[0]["silent"] = {"version": random.choice(["stable", "candidate", "both"])}
        metrics[0]["silent"] |= {"from_second": random.choice([0, 200, 500])} if _perhaps(random, 0.7) else {}
    asked[0]["new"] = _perhaps(random, 0.3)
    request = {**case.request, "health": {**health, "judge": {"metrics": asked}}}
    return replace(case, request=request, scenario={**case.scenario, "metrics": metrics})


# --- The request ------------------------------------------------------------------------------------------------------


def _request(random: Random) -> Any:
    if _perhaps(random, 0.02):
        return random.choice([None, [], "live", {}, {"function_name": "checkout"}, {**SMALLEST, "stpes": []}])
    request: dict[str, Any] = {**SMALLEST, **_moves(random)}
    if health := _health(random):
        request["health"] = health
    if _perhaps(random, 0.4):
        request["alarms"] = [random.choice(["errors", {"name": "errors", "if_already_firing": "ignore_until_ok"}])]
        request["alarms"] += ["any"] if _perhaps(random, 0.4) else []
    if _perhaps(random, 0.25):
        request["smoke_tests"] = [{"payload": {"order": 1}, "expect": "statusCode == `200`"}]
    if _perhaps(random, 0.1):
        request["version"] = random.choice(["1", "1", "2", {"from_alias": "live"}])
    if _perhaps(random, 0.1):
        request["force"] = True
    return request


def _moves(random: Random) -> dict[str, Any]:
    kind = random.random()
    if kind < 0.45:
        weights = sorted({round(random.uniform(0.01, 99), random.choice([0, 1, 2])) or 1.0 for _ in range(3)})
        weights = weights[: random.randint(0, 3)]
        steps: list[dict[str, Any]] = [
            {"weight": weight, "bake_seconds": random.choice([0, 30, 60, 120])} for weight in weights
        ]
        steps.append({"weight": 100.0, "bake_seconds": random.choice([0, 30, 60, 180])})
        if _perhaps(random, 0.35):
            for step in steps:
                step.update({"approval": _approval(random)} if _perhaps(random, 0.5) else {})
        return {"steps": steps}
    if kind < 0.8:
        named = ["AllAtOnce", "AllAtOnce", "Canary10Percent5Minutes", "Linear25PercentEvery1Minute"]
        return {"strategy": random.choice([*named, {"type": "exponential", "factor": 5, "interval_seconds": 45}])}
    return {}


def _approval(random: Random) -> dict[str, Any]:
    timeout = {"timeout_seconds": random.choice([60, 120, 300, 600])}
    return {**timeout, "on_timeout": random.choice(["roll_back", "continue"])} if _perhaps(random, 0.6) else timeout


def _health(random: Random) -> dict[str, Any]:
    health: dict[str, Any] = {}
    if _perhaps(random, 0.4):
        health["max_error_percent"] = random.choice([0, 1, 5])
    if _perhaps(random, 0.15):
        health["max_duration_p99_ms"] = random.choice([300, 1000])
    if _perhaps(random, 0.2):
        health["judge"] = False
    elif _perhaps(random, 0.15):
        health |= {"advance_early": True, "min_bake_seconds": 60}
    if _perhaps(random, 0.35):
        health["when_inconclusive"] = random.choice(["extend", "promote", "roll_back", "hold", "hold"])
        if health["when_inconclusive"] == "hold":
            health["max_hold_seconds"] = random.choice([60, 130, 300, 600])
    if _perhaps(random, 0.5):
        health["max_extension_seconds"] = random.choice([0, 60, 200])
    return health


# --- The world --------------------------------------------------------------------------------------------------------


def _scenario(random: Random) -> dict[str, Any]:
    scenario: dict[str, Any] = {"requests_per_minute": random.choice([0, 3, 60, 600, 600, 600, 3000])}
    if candidate := _candidate(random):
        scenario["candidate"] = candidate
    if _perhaps(random, 0.05):
        scenario["publish"] = random.choice([{"unchanged": True}, {"last_update_status": "Failed"}])
    if _perhaps(random, 0.15):
        provisioned = {"provisioned_concurrency": 2}
        odd: list[dict[str, Any]] = [{"exists": False}, {"weights": {"2": 0.2}}, {"function_version": "3"}]
        scenario["alias"] = random.choice([*odd, provisioned, provisioned, provisioned])
    if _perhaps(random, 0.1):
        scenario["metric_delay_seconds"] = random.choice([0, 300])
    if _perhaps(random, 0.1):
        scenario["shared_outage"] = {"from_second": 100, "to_second": 200, "error_rate": 0.4}
    alarm = {"name": "errors", "threshold": random.choice([5, 50, 100_000]), "state": "OK"}
    alarm["state"] = random.choice(["OK"] * 8 + ["ALARM", "INSUFFICIENT_DATA"])
    alarm["treat_missing_data"] = random.choice(["missing", "ignore", "breaching", "notBreaching"])
    scenario["alarms"] = [alarm, {"name": "any", "rule": 'ALARM("errors")'}]
    if timeline := [_action(random) for _ in range(random.choice([0, 0, 1, 1, 2, 3]))]:
        scenario["timeline"] = timeline
    scenario["faults"] = [_fault(random) for _ in range(random.choice([1, 1, 2, 2, 3, 4]))]
    return _with_traffic(random, scenario)


def _with_traffic(random: Random, scenario: dict[str, Any]) -> dict[str, Any]:
    """Requests that hang, that are answered by errors, throttled, or come otherwise than the day before."""
    candidate = {
        "hang": {"share": random.choice([0.05, 0.3, 1]), "seconds": random.choice([30, 300, 900])},
        "answered_error_rate": random.choice([0.05, 0.5]),
        "slow_by_minute": [3.0, 2.0, 1.0],
    }
    beside = {
        "day_before": {"requests_per_minute": random.choice([0, 9.9, 6000])},
        "throttles": {"from_second": random.choice([0, 60]), "to_second": 1200, "share": random.choice([0.02, 0.3])},
        "bursts": {"every_seconds": 600, "first_second": 30, "seconds": 60, "requests_per_minute": 3000},
        "function": {"timeout_seconds": 900},
    }
    shown = {key: value for key, value in candidate.items() if _perhaps(random, 0.05)}
    more = {key: value for key, value in beside.items() if _perhaps(random, 0.07)}
    if shown:
        more["candidate"] = {**scenario.get("candidate", {}), **shown}
    return {**scenario, **more}


def _candidate(random: Random) -> dict[str, Any]:
    candidate: dict[str, Any] = {}
    if _perhaps(random, 0.4):
        candidate["error_rate"] = random.choice([0, 0.01, 0.05, 0.5, 0.5, 1])
    elif _perhaps(random, 0.15):
        candidate["error_rate_by_minute"] = [0, 0, 0, 0.3]
    if _perhaps(random, 0.1):
        candidate["duration_ms"] = {"median": 300, "p99": 3000}
    if _perhaps(random, 0.08):
        candidate |= {"state": "Pending", "active_after_seconds": random.choice([30, 300])}
    if _perhaps(random, 0.03):
        candidate["role"] = "other-role"
    return candidate


def _moment(random: Random) -> float:
    """Often where much happens: in the first seconds, and at a poll; seldom late."""
    if _perhaps(random, 0.3):
        return round(random.choice([60, 120, 180, 300]) + random.uniform(0, 4), 2)
    return round(random.uniform(0, random.choice([4, 70, 200, 400, 1000])), 2)


def _action(random: Random) -> dict[str, Any]:
    do = random.choice(["stop_execution"] * 4 + ["set_alarm", "set_alarm", "update_alias", "start_execution"] * 2)
    action: dict[str, Any] = {"at_second": _moment(random), "do": do}
    if do == "set_alarm":
        return {**action, "name": "errors", "state": random.choice(["ALARM", "ALARM", "OK", "INSUFFICIENT_DATA"])}
    if do == "update_alias":
        wrote: list[dict[str, Any]] = [
            {"function_version": "1", "weights": {}},
            {"weights": {}},
            {"weights": {"2": 0.3}},
        ]
        wrote += [{"function_version": "2", "weights": {}}, {"function_version": "2"}]
        wrote += [{"function_version": "3", "weights": {}}, {"function_version": "3", "weights": {"1": 0.5}}]
        return {**action, **random.choice(wrote)}
    if do == "start_execution":
        if _perhaps(random, 0.4):
            action["at_second"] = round(random.uniform(200, 2500), 1)
        if _perhaps(random, 0.5):
            action["request"] = {**SMALLEST, "strategy": "AllAtOnce"}
    return action


# --- People, hooks, profiles, and what strikes them -------------------------------------------------------------------


def _with_people(random: Random, request: dict[str, Any], scenario: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The same with whoever has a word in the rollout, and with faults where that word is heard."""
    struck: list[dict[str, Any]] = []
    gated = any("approval" in step for step in request.get("steps", ())) or "max_hold_seconds" in str(request)
    if said := operators.commands(random, gated=gated):
        scenario["timeline"] = [*scenario.get("timeline", ()), *said]
        struck += [_at(random, "dynamodb.UpdateItem"), _broken(random, "command"), _broken(random, "shift_traffic")]
    if _perhaps(random, 0.9):
        request["max_pause_seconds"] = random.choice([0, 60, 150, 300, 600, 600])
    if _perhaps(random, 0.1):
        request["revert_window_seconds"] = random.choice([0, 120])
    if _perhaps(random, 0.18):
        request["hooks"], scenario["functions"] = operators.hooks(random)
        struck += [_at(random, "lambda.Invoke"), _broken(random, "run_hook")]
    if _perhaps(random, 0.1):
        request["create_alias"] = True
        scenario |= {"alias": {"exists": False}} if _perhaps(random, 0.8) else {}
        struck += [_at(random, "lambda.CreateAlias"), _broken(random, "promote"), _at(random, "lambda.GetAlias")]
    if _perhaps(random, 0.12):
        request, scenario["profiles"] = operators.stored(random, request)
        struck.append(_at(random, "ssm.GetParameter"))
    if struck and _perhaps(random, 0.4):
        scenario["faults"] = [random.choice(struck), *scenario["faults"]]
    elif struck and _perhaps(random, 0.6):
        heard = random.sample(struck, min(len(struck), random.choice([0, 1, 1, 2])))
        scenario = {**_calm(scenario), "faults": heard}
        scenario["timeline"] = said
    return request, scenario


def _calm(scenario: dict[str, Any]) -> dict[str, Any]:
    """A world in which nothing else happens, so that what people say is heard to the end."""
    noise = {"candidate", "publish", "shared_outage", "timeline", "faults"}
    quiet = {key: value for key, value in scenario.items() if key not in noise}
    alarms = [
        {**alarm, "threshold": 100_000, "state": "OK"} if "state" in alarm else alarm for alarm in quiet["alarms"]
    ]
    return {**quiet, "alarms": alarms}


def _at(random: Random, call: str) -> dict[str, Any]:
    """A fault of that call, early."""
    service = call.partition(".")[0]
    fault: dict[str, Any] = {"call": call, "error": random.choice(ERRORS[service] + WIRE)}
    fault |= {"skip": random.choice([0, 0, 1, 2, 3, 5, 8]), "times": random.choice([1, 1, 2, 5, "always"])}
    return {**fault, "seconds": random.choice(HELD_SECONDS)} if fault["error"] == "held" else fault


def _broken(random: Random, handler: str) -> dict[str, Any]:
    error, times = random.choice(["timeout", "crash", "throttled"]), random.choice([1, 1, 2, 4])
    return {"handler": handler, "error": error, "times": times, "skip": random.choice([0, 0, 0, 1, 2])}


# --- The faults -------------------------------------------------------------------------------------------------------


def _fault(random: Random) -> dict[str, Any]:
    kind = random.random()
    if kind < 0.72:
        return _call_fault(random)
    if kind < 0.88:
        times = random.choice([1, 1, 2, 3, 6, "always"])
        error = random.choice(["timeout", "crash", "throttled"])
        skip = random.choice([0, 0, 1, 2, 5])
        return {"handler": random.choice(HANDLERS), "error": error, "times": times, "skip": skip}
    error = random.choice(["lost", "duplicated", "late"])
    fault: dict[str, Any] = {"event": random.choice(["execution", "execution", "alarm"]), "error": error}
    fault |= {"times": random.choice([1, "always"]), "skip": random.choice([0, 0, 1])}
    return {**fault, "seconds": random.choice([3, 5, 20, 60, 90, 600])} if error == "late" else fault


def _call_fault(random: Random) -> dict[str, Any]:
    service = random.choice(["lambda"] * 5 + ["dynamodb"] * 5 + ["cloudwatch", "events", "stepfunctions", "ssm"])
    fault: dict[str, Any] = {"call": f"{service}.{random.choice(OPERATIONS[service])}"}
    fault["error"] = random.choice(ERRORS[service] + WIRE)
    fault["skip"] = random.choice([0, 0, 1, 2, 3, 4, 5, 8, 12, 20, 30])
    if _perhaps(random, 0.12):
        fault = {"call": "*", "error": random.choice([*WIRE, "AccessDeniedException"]), "skip": random.randint(0, 90)}
    fault["times"] = random.choice([1, 1, 1, 2, 4, 5, 12, 60, "always"])
    if fault["error"] in {"crash_before", "crash_after"}:
        fault["times"] = random.choice([1, 1, 1, 2, 6, "always"])
    if fault["error"] == "held":
        fault |= {"seconds": random.choice(HELD_SECONDS), "times": random.choice([1, 1, 1, 2, 4, 8])}
    return fault
