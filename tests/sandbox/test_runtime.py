"""Lambda's runtime: what a handler finds around it, and what its caller is told however it ends."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.aws.boundary import AwsError, Boundary
from sandbox.aws.clock import Clock
from sandbox.aws.cloudwatch import CloudWatch
from sandbox.aws.embedded_metrics import EmbeddedMetrics
from sandbox.aws.faults import CallFault, Faults, HandlerFault
from sandbox.aws.runtime import Invocation, Runtime

T0 = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
ROLE = "arn:aws:iam::123456789012:role/handler"


class Lambda(SimpleNamespace):
    clock: Clock
    runtime: Runtime
    code: Path

    def function(self, module: str, source: str, name: str = "", **settings: Any) -> str:
        """Write `source` to a module and register a function with its `handler`."""
        (self.code / f"{module}.py").write_text(textwrap.dedent(source))
        settings = {"environment": {}, "timeout_seconds": 30, "role_arn": ROLE, "memory_mb": 256, **settings}
        self.runtime.register(name or module, handler=f"{module}.handler", **settings)
        return name or module

    def invoke(self, name: str, payload: Any = None) -> Any:
        return json.loads(self.runtime.invoke(name, None, json.dumps(payload).encode()).payload)


@pytest.fixture
def aws(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lambda]:
    faults = Faults(**getattr(request, "param", {}))
    with mock_aws(), Clock(datetime(2026, 1, 1, tzinfo=UTC)) as clock:
        boundary = Boundary(clock, faults)
        with boundary.installed():
            runtime = Runtime(clock, boundary, faults, tmp_path, lambda module: module == "shared.values")
            yield Lambda(clock=clock, runtime=runtime, code=tmp_path)


def faulty(**faults: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("aws", [faults], indirect=True)


def test_a_handler_is_given_event_context_and_environment(aws: Lambda) -> None:
    name = aws.function(
        "tell",
        """
        import os
        AT_IMPORT = os.environ["TABLE"], os.environ["AWS_REGION"]
        def handler(event, context):
            return [event, AT_IMPORT, os.environ["AWS_LAMBDA_FUNCTION_NAME"], os.environ.get("OUTSIDE"),
                    context.function_name, context.memory_limit_in_mb, context.invoked_function_arn,
                    context.get_remaining_time_in_millis(), len(context.aws_request_id)]
        """,
        name="stack-Tell-1",
        environment={"TABLE": "rollouts"},
    )
    os.environ["OUTSIDE"] = "yes"
    try:
        told = aws.invoke(name, {"a": 1})
    finally:
        assert os.environ.pop("OUTSIDE") == "yes"
    arn = "arn:aws:lambda:us-east-1:123456789012:function:stack-Tell-1"
    assert told == [{"a": 1}, ["rollouts", "us-east-1"], name, None, name, "256", arn, 30_000, 36]
    assert "TABLE" not in os.environ


def test_a_process_stays_warm_and_each_function_has_its_own_modules(aws: Lambda) -> None:
    (aws.code / "shared").mkdir()
    (aws.code / "shared" / "__init__.py").touch()
    (aws.code / "shared" / "counter.py").write_text("count = 0\n")
    source = """
        def handler(event, context):
            from shared import counter
            counter.count += 1
            return counter.count
        """
    for module in ("first", "second"):
        aws.function(module, source)
    assert [aws.invoke("first"), aws.invoke("first"), aws.invoke("second")] == [1, 2, 1]
    assert not {"first", "second", "shared", "shared.counter"} & sys.modules.keys()
    assert str(aws.code) not in sys.path


def test_modules_that_keep_nothing_are_made_once_for_all_processes(aws: Lambda) -> None:
    (aws.code / "shared").mkdir()
    for name in ("__init__", "values", "state"):
        (aws.code / "shared" / f"{name}.py").write_text("print(__name__)\n")
    source = """
        import shared.values as values
        from shared import state
        def handler(event, context):
            return [id(values), id(state)]
        """
    for module in ("first", "second"):
        aws.function(module, source)
    first, second = aws.invoke("first"), aws.invoke("second")
    assert first[0] == second[0]
    assert first[1] != second[1]
    assert aws.runtime.logs == ["shared", "shared.values", "shared.state", "shared", "shared.state"]


def test_what_runs_at_once_runs_in_different_processes(aws: Lambda) -> None:
    aws.function(
        "slow",
        """
        import boto3
        count = 0
        def handler(event, context):
            global count
            count += 1
            boto3.client("dynamodb").list_tables()
            return count
        """,
    )
    counts: list[Any] = []
    for number in range(2):
        aws.clock.spawn(lambda: counts.append(aws.invoke("slow")), f"caller {number}")
    aws.clock.run(lambda: len(counts) == 2)
    assert counts == [1, 1]
    assert aws.invoke("slow") == 2


def test_standard_output_is_kept_and_not_printed(aws: Lambda, capsys: pytest.CaptureFixture[str]) -> None:
    aws.function(
        "talk",
        """
        import logging, sys
        log = logging.getLogger("talk")
        log.addHandler(logging.StreamHandler(sys.stdout))
        def handler(event, context):
            print("one\\ntwo")
            log.warning("three")
        """,
    )
    assert aws.invoke("talk") is None
    assert aws.runtime.logs == ["one", "two", "three"]
    assert capsys.readouterr().out == ""


def failing(aws: Lambda, source: str, **settings: Any) -> tuple[Invocation, Any]:
    name = aws.function("fail", source, **settings)
    result = aws.runtime.invoke(name, None, b"{}")
    return result, json.loads(result.payload)


def test_an_exception_is_reported_under_the_bare_name_of_its_class(aws: Lambda) -> None:
    result, error = failing(
        aws,
        """
        class Rejected(Exception):
            pass
        def handler(event, context):
            raise Rejected("no such alias")
        """,
    )
    assert result.function_error == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("Rejected", "no such alias")
    assert "raise Rejected" in error["stackTrace"][-1]
    assert len(error["requestId"]) == 36


@pytest.mark.parametrize(
    ("source", "error_type"),
    [
        ("import nowhere\n", "Runtime.ImportModuleError"),
        ("x = 1\n", "Runtime.HandlerNotFound"),
        ("def handler(e, c):\n    return {1, 2}\n", "Runtime.MarshalError"),
        ("def handler(e, c):\n    return float('nan')\n", "Runtime.MarshalError"),
        ("import sys\ndef handler(e, c):\n    sys.exit(1)\n", "Runtime.ExitError"),
        ("1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_lambda_has_names_for_what_is_no_exception_of_the_handler(aws: Lambda, source: str, error_type: str) -> None:
    result, error = failing(aws, source)
    assert result.function_error == "Unhandled"
    assert error["errorType"] == error_type


LOOPING = """
    import boto3
    def handler(event, context):
        while True:
            boto3.client("dynamodb").list_tables()
    """


def test_a_function_ends_at_its_own_time_out(aws: Lambda) -> None:
    result, error = failing(aws, LOOPING, timeout_seconds=3)
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith("Error: Task timed out after 3.00 seconds")
    assert result.function_error == "Unhandled"
    assert aws.clock.now() == T0 + 3


def test_a_handler_goes_on_when_its_caller_is_gone(aws: Lambda) -> None:
    aws.function(
        "plod", "import boto3\ndef handler(e, c):\n    boto3.client('dynamodb').list_tables()\n    print('done')\n"
    )
    caller = aws.clock.spawn(lambda: aws.runtime.invoke("plod", None, b"{}"), "caller")
    aws.clock.at(T0 + 0.01, caller.kill)
    aws.clock.run(lambda: False)
    assert aws.runtime.logs == ["done"]


GOOD = "def handler(event, context):\n    print('ran')\n    return 'fine'\n"


@faulty(handlers=[HandlerFault("good", "timeout")])
def test_a_time_out_fault_hangs_for_the_whole_time_out_and_runs_nothing(aws: Lambda) -> None:
    aws.function("good", GOOD, timeout_seconds=8)
    assert aws.invoke("good")["errorType"] == "Sandbox.Timedout"
    assert aws.clock.now() == T0 + 8
    assert aws.runtime.logs == []
    assert aws.invoke("good") == "fine"


@faulty(handlers=[HandlerFault("good", "crash")])
def test_a_crash_fault_is_an_exit_error_at_once(aws: Lambda) -> None:
    aws.function("good", GOOD)
    assert aws.invoke("good")["errorType"] == "Runtime.ExitError"
    assert aws.clock.now() == T0
    assert aws.invoke("good") == "fine"


@faulty(handlers=[HandlerFault("good", "throttled")])
def test_a_throttled_function_was_never_invoked(aws: Lambda) -> None:
    aws.function("good", GOOD)
    with pytest.raises(AwsError) as raised:
        aws.invoke("good")
    assert (raised.value.code, raised.value.status) == ("TooManyRequestsException", 429)
    assert aws.runtime.logs == []


@faulty(calls=[CallFault("dynamodb.ListTables", "crash_after")])
def test_a_crash_in_a_call_loses_the_process_and_what_it_remembered(aws: Lambda) -> None:
    aws.function(
        "count",
        """
        import boto3
        count = 0
        def handler(event, context):
            global count
            count += 1
            boto3.client("dynamodb").list_tables()
            return count
        """,
    )
    assert aws.invoke("count")["errorType"] == "Runtime.ExitError"
    assert [aws.invoke("count"), aws.invoke("count")] == [1, 2]


def test_invoke_through_the_sdk(aws: Lambda) -> None:
    aws.function(
        "echo", "def handler(event, context):\n    return {'got': event, 'version': context.function_version}\n"
    )
    functions = boto3.client("lambda", "us-east-1")
    arn = "arn:aws:lambda:us-east-1:123456789012:function:echo:7"
    response = functions.invoke(FunctionName=arn, Payload=b'{"a": 1}')
    assert json.load(response["Payload"]) == {"got": {"a": 1}, "version": "7"}
    assert (response["StatusCode"], response["ExecutedVersion"]) == (200, "7")
    assert "FunctionError" not in response

    with pytest.raises(ClientError) as absent:
        functions.invoke(FunctionName="absent")
    assert absent.value.response["Error"]["Code"] == "ResourceNotFoundException"
    with pytest.raises(ClientError) as garbage:
        functions.invoke(FunctionName="echo", Payload=b"{")
    assert garbage.value.response["Error"]["Code"] == "InvalidRequestContentException"


def test_an_event_invocation_is_not_waited_for(aws: Lambda) -> None:
    aws.function("good", GOOD)
    response = boto3.client("lambda", "us-east-1").invoke(FunctionName="good", InvocationType="Event")
    assert response["StatusCode"] == 202
    assert aws.runtime.logs == []
    aws.clock.run(aws.clock.idle)
    assert aws.runtime.logs == ["ran"]


def test_a_routed_function_is_answered_by_its_route(aws: Lambda) -> None:
    answer: Callable[[str, bytes], tuple[bytes, str | None]] = lambda qualifier, payload: (  # noqa: E731
        json.dumps({"version": qualifier, "got": json.loads(payload)}).encode(),
        "Unhandled" if qualifier == "2" else None,
    )
    aws.runtime.route("checkout", answer)
    response = boto3.client("lambda", "us-east-1").invoke(FunctionName="checkout", Qualifier="2", Payload=b"[1]")
    assert json.load(response["Payload"]) == {"version": "2", "got": [1]}
    assert (response["FunctionError"], response["ExecutedVersion"]) == ("Unhandled", "2")


def test_the_role_of_a_handler_is_known(aws: Lambda) -> None:
    aws.function("good", GOOD, name="stack-Good-1")
    assert aws.runtime.role_of("good") == ROLE
    assert aws.runtime.role_of("unheard_of") is None


# Versions of a function, and what it prints by version.

TELLS_ITS_VERSION = """
    import os
    AT_IMPORT = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
    def handler(event, context):
        return [AT_IMPORT, context.function_version, context.log_stream_name, context.invoked_function_arn]
    """


@pytest.mark.parametrize("qualifier", [None, "$LATEST", "1", "7"])
def test_a_handler_is_told_its_version(aws: Lambda, qualifier: str | None) -> None:
    """Developer guide, "Defined runtime environment variables" and "Lambda context object in Python"."""
    aws.function("tell", TELLS_ITS_VERSION)
    version, arn = qualifier or "$LATEST", "arn:aws:lambda:us-east-1:123456789012:function:tell"
    told = json.loads(aws.runtime.invoke("tell", qualifier, b"{}").payload)
    assert told == [version, version, f"[{version}]sandbox", f"{arn}:{qualifier}" if qualifier else arn]


def test_each_version_has_processes_of_its_own(aws: Lambda) -> None:
    source = "count = 0\ndef handler(event, context):\n    global count\n    count += 1\n    return count\n"
    aws.function("count", source)
    counts = [json.loads(aws.runtime.invoke("count", version, b"{}").payload) for version in "12121"]
    assert counts == [1, 1, 2, 2, 3]


def test_what_is_invoked_through_an_alias_runs_on_its_version(aws: Lambda) -> None:
    """Developer guide, "Lambda context object": invoked_function_arn names the alias; function_version is the version
    that runs.
    """
    aws.function("tell", TELLS_ITS_VERSION)
    aws.runtime.know_aliases(lambda name, alias: ("3", {}) if (name, alias) == ("tell", "live") else None)
    answer = aws.runtime.invoke("tell", "live", b"{}")
    arn = "arn:aws:lambda:us-east-1:123456789012:function:tell:live"
    assert json.loads(answer.payload) == ["3", "3", "[3]sandbox", arn]
    assert answer.executed_version == "3"


def test_an_alias_sends_invocations_where_its_weights_say(aws: Lambda) -> None:
    aws.function("tell", TELLS_ITS_VERSION)
    aws.runtime.know_aliases(lambda _name, _alias: ("3", {"4": 0.25}))
    ran = [aws.runtime.invoke("tell", "live", b"{}").executed_version for _ in range(400)]
    assert ran.count("4") == pytest.approx(100, abs=30)
    assert set(ran) == {"3", "4"}


COUNTS = """
    import os
    from aws_lambda_powertools import Metrics
    from aws_lambda_powertools.metrics import MetricUnit
    metrics = Metrics(namespace="Shop", service="checkout")
    {at_import}
    @metrics.log_metrics{capturing}
    def handler(event, context):
        {in_handler}
        {meanwhile}
        metrics.add_metric("OrdersFailed", MetricUnit.Count, 1 if event["fails"] else 0)
        if event["fails"]:
            raise RuntimeError
    """
FROM_CONTEXT = {"in_handler": 'metrics.add_dimension("version", context.function_version)'}
FROM_ENVIRONMENT = {"in_handler": 'metrics.add_dimension("version", os.environ["AWS_LAMBDA_FUNCTION_VERSION"])'}
BY_DEFAULT = {"at_import": 'metrics.set_default_dimensions(version=os.environ["AWS_LAMBDA_FUNCTION_VERSION"])'}


def counting(aws: Lambda, **parts: str) -> CloudWatch:
    """The function `checkout`, which counts as `parts` say, and what CloudWatch then has of it."""
    parts = {"at_import": "", "in_handler": "", "meanwhile": "", "capturing": "", **parts}
    aws.function("checkout", COUNTS.format_map(parts))
    cloudwatch = CloudWatch(aws.clock, 0, lambda _: None)
    cloudwatch.before_read(EmbeddedMetrics(aws.runtime.logs, cloudwatch.put_metric_data).catch_up)
    return cloudwatch


def counted(cloudwatch: CloudWatch, version: str, stat: str = "Sum") -> list[float]:
    dimensions = {"service": "checkout", "version": version}
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    metric = {"Namespace": "Shop", "MetricName": "OrdersFailed", "Dimensions": named}
    found = cloudwatch.values({"Metric": metric, "Period": 3600, "Stat": stat}, T0, T0 + 3600)
    return [value for _, value in found]


@pytest.mark.parametrize(
    "parts", [FROM_CONTEXT, FROM_ENVIRONMENT, BY_DEFAULT], ids=["context", "environment", "default"]
)
def test_powertools_metrics_are_of_the_version_that_ran(aws: Lambda, parts: dict[str, str]) -> None:
    """Also of one that fails: Powertools prints what was added before an exception."""
    cloudwatch = counting(aws, **parts)
    for version, fails in (("1", False), ("2", True), ("1", False), ("2", True), ("2", False), ("1", True)):
        aws.runtime.invoke("checkout", version, json.dumps({"fails": fails}).encode())
    aws.clock.sleep(60)
    assert (counted(cloudwatch, "1"), counted(cloudwatch, "1", "SampleCount")) == ([1], [3])
    assert (counted(cloudwatch, "2"), counted(cloudwatch, "2", "SampleCount")) == ([2], [3])
    assert counted(cloudwatch, "$LATEST") == []


def test_versions_that_run_at_once_print_metrics_of_their_own(aws: Lambda) -> None:
    waits = {"meanwhile": '__import__("boto3").client("dynamodb").list_tables()'}
    cloudwatch = counting(aws, **FROM_CONTEXT, **waits)
    for version in ("1", "2", "1"):
        payload = json.dumps({"fails": version == "2"}).encode()
        aws.clock.spawn(
            lambda version=version, payload=payload: aws.runtime.invoke("checkout", version, payload), version
        )
    aws.clock.run(aws.clock.idle)
    aws.clock.sleep(60)
    assert (counted(cloudwatch, "1"), counted(cloudwatch, "1", "SampleCount")) == ([0], [2])
    assert (counted(cloudwatch, "2"), counted(cloudwatch, "2", "SampleCount")) == ([1], [1])


def test_each_process_has_a_cold_start_of_its_own(aws: Lambda) -> None:
    counting(aws, **BY_DEFAULT, capturing="(capture_cold_start_metric=True)")
    for version in ("1", "1", "2"):
        aws.runtime.invoke("checkout", version, b'{"fails": false}')
    cold = ['"ColdStart":[1.0]' in line for line in aws.runtime.logs if "_aws" in line]
    assert cold == [True, False, False, True, False]
