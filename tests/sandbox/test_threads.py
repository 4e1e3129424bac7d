"""Threads of a handler: they take turns in virtual time, sign as the handler does, and end with its process."""

import json
import textwrap
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from moto import mock_aws

from sandbox.aws import threads
from sandbox.aws.boundary import Boundary
from sandbox.aws.clock import Clock
from sandbox.aws.faults import CallFault, Faults
from sandbox.aws.runtime import Runtime

START = datetime(2026, 1, 1, tzinfo=UTC)
LATE = CallFault("lambda.ListFunctions", "slow", seconds=1.0, times="always")
DIES = CallFault("lambda.ListFunctions", "crash_before", skip=2)
#: Six calls of AWS by two threads; then what each gave, and how long all of it took.
SIX_CALLS = """
    import time
    from concurrent.futures import ThreadPoolExecutor
    import boto3

    def handler(event, context):
        lambdas, done, began = boto3.client("lambda"), [], time.time()
        def ask(number):
            time.sleep(0.5)
            lambdas.list_functions()
            done.append(number)
            if number == event:
                raise ValueError(number)
            return number
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(ask, number) for number in range(6)]
        failed = [future.exception() is not None for future in asked]
        return [done, failed, round(time.time() - began, 2)]
    """


def told(tmp_path, *faults, event=None, timeout_seconds=30):
    """What the handler answers, the calls that were its, and the moment at which nothing is left to happen."""
    (tmp_path / "asks.py").write_text(textwrap.dedent(SIX_CALLS))
    with mock_aws(), Clock(START) as clock, threads.installed(clock):
        plagues = Faults(faults)
        boundary = Boundary(clock, plagues)
        with boundary.installed():
            calls = []
            boundary.listen(calls.append)
            runtime = Runtime(clock, boundary, plagues, tmp_path)
            runtime.register(
                "asks",
                handler="asks.handler",
                environment={},
                timeout_seconds=timeout_seconds,
                role_arn="arn:aws:iam::123456789012:role/asks",
                memory_mb=256,
            )
            answer = json.loads(runtime.invoke("asks", None, json.dumps(event).encode()).payload)
            clock.run(until=lambda: False)
            return answer, [call.caller for call in calls], clock.now() - START.timestamp()


def test_so_many_threads_at_once_share_the_work_and_their_calls_are_the_handlers(tmp_path):
    answer, callers, _ = told(tmp_path, LATE)
    assert answer == [[0, 1, 2, 3, 4, 5], [False] * 6, pytest.approx(3 * (0.5 + 0.05 + 1.0))]
    assert callers == ["asks"] * 6


def test_what_one_raises_is_told_where_its_result_is_asked_for(tmp_path):
    answer, _, _ = told(tmp_path, event=1)
    assert answer[:2] == [[0, 1, 2, 3, 4, 5], [False, True, False, False, False, False]]


def test_threads_end_with_their_process(tmp_path):
    answer, callers, ended_at = told(tmp_path, DIES)
    assert (answer["errorType"], len(callers)) == ("Runtime.ExitError", 3)
    assert ended_at < 2
    answer, callers, ended_at = told(tmp_path, LATE, timeout_seconds=2)
    assert (answer["errorType"], len(callers), ended_at) == ("Sandbox.Timedout", 2, 2)


def test_outside_actors_a_pool_is_pythons():
    with Clock(START) as clock, threads.installed(clock), ThreadPoolExecutor(1) as pool:
        assert pool.submit(clock.now).result() == START.timestamp()
