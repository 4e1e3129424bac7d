"""Lambda's runtime: runs the real handlers as Lambda would, each function in processes of its own.

A process is an import of its own of everything below the code root, with the function's environment, and stays warm for
the next invocation; packages are shared with the sandbox, and modules that keep nothing with all other processes: those
would only be slow to make once more. An invocation is an actor: it goes on when nobody waits
for it any more, and ends at its function's time-out at the latest.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import logging
import os
import random
import re
import sys
import traceback
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

from botocore.response import StreamingBody

from sandbox.aws.boundary import AwsError, Boundary, caller, identity, invoked_with
from sandbox.aws.clock import Clock
from sandbox.aws.code_root import Code, KeepsNothing
from sandbox.aws.faults import Faults
from sandbox.aws.iam import session_arn
from sandbox.aws.powertools_metrics import FRESH, Kept, exchange
from sandbox.aws.surroundings import Lines, Variables, variables_of, wear

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"

TargetAnswer = Callable[[str, bytes], tuple[bytes, str | None]]
#: Of a function's name and an alias: the alias's version and its additional weights, 0 to 1; None where it is none.
AliasRouting = Callable[[str, str], tuple[str, Mapping[str, float]] | None]

_FUNCTION = re.compile(r"(?:(?:arn:[^:]+:lambda:[^:]+:)?(?:\d{12}:)?function:)?(?P<name>[^:]+)(?::(?P<qualifier>.+))?")
_MILLISECONDS = 1000
#: A logger keeps the standard output of whoever made it, so a process must not meet another one's.
_LOGGERS = logging.root.manager.loggerDict


@dataclass(frozen=True, slots=True)
class Invocation:
    """What Invoke returns: the payload (JSON), "Unhandled" where the function failed, and the version that ran."""

    payload: bytes
    function_error: str | None
    executed_version: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function of ours. `handler` is "module.callable", `environment` the template's."""

    name: str
    handler: str
    environment: Mapping[str, str]
    timeout_seconds: float
    role_arn: str
    memory_mb: int

    @property
    def module(self) -> str:
        return self.handler.rpartition(".")[0]

    @property
    def session_arn(self) -> str:
        """Who signs its calls."""
        return session_arn(self.role_arn, self.name)

    def variables(self, version: str) -> dict[str, str]:
        """The environment that Lambda gives to a version of it: Lambda developer guide, "Defined runtime environment
        variables".
        """
        return {
            "PATH": os.environ.get("PATH", ""),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_SESSION_TOKEN": "testing",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_FUNCTION_VERSION": version,
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.name}",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            "_HANDLER": self.handler,
            **self.environment,
        }


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """The second argument of a handler, with the attributes of Lambda's own."""

    function_name: str
    function_version: str
    invoked_function_arn: str
    memory_limit_in_mb: str
    aws_request_id: str
    log_group_name: str
    log_stream_name: str
    ends_at: float = field(repr=False)
    clock: Clock = field(repr=False)
    client_context: None = None
    identity: None = None

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.ends_at - self.clock.now()) * _MILLISECONDS))


class Runtime:
    """Every Lambda function of the account: ours, run from `code_root`, and simulated ones, answered by a route.

    It serves "lambda.Invoke". `logs` holds what the handlers wrote to standard output, line by line.
    """

    def __init__(
        self,
        clock: Clock,
        boundary: Boundary,
        faults: Faults,
        code_root: Path,
        keeps_nothing: KeepsNothing = lambda _: False,
    ) -> None:
        self.logs: list[str] = []
        self._clock = clock
        self._faults = faults
        self._code_root = code_root
        self._keeps_nothing = keeps_nothing
        self._functions: dict[str, Function] = {}
        self._routes: dict[str, TargetAnswer] = {}
        self._warm: dict[tuple[str, str], list[_Process]] = {}
        self._alias_routing: AliasRouting = lambda _function, _alias: None
        self._random = random.Random("runtime")
        boundary.serve("lambda.Invoke", self._serve_invoke)

    def register(
        self,
        function_name: str,
        *,
        handler: str,
        environment: dict[str, str],
        timeout_seconds: float,
        role_arn: str,
        memory_mb: int,
    ) -> None:
        """Take over the invocations of one of our functions."""
        self._functions[function_name] = Function(
            function_name, handler, dict(environment), timeout_seconds, role_arn, memory_mb
        )

    def route(self, function_name: str, answer: TargetAnswer) -> None:
        """Let `answer(qualifier, payload)` be a simulated function; it returns (payload, function error)."""
        self._routes[function_name] = answer

    def know_aliases(self, routing: AliasRouting) -> None:
        """Run what is invoked through an alias on the version to which its weights send it, and not on $LATEST."""
        self._alias_routing = routing

    def role_of(self, handler: str) -> str | None:
        """The role of the function whose handler is in that module, as `boundary.caller` names it."""
        return next((each.role_arn for each in self._functions.values() if each.module == handler), None)

    def session_of(self, function_name: str) -> str | None:
        """Who signs the calls of one of our functions."""
        function = self._functions.get(function_name)
        return function.session_arn if function else None

    def invoke(self, function_name: str, qualifier: str | None, payload: bytes) -> Invocation:
        """Invoke a function and wait for its end, in virtual time.

        Raises:
            AwsError: ResourceNotFoundException (404), TooManyRequestsException (429, a fault `throttled`), or
                InvalidRequestContentException (400) for a payload that is not JSON.
        """
        _check_json(payload)
        if function_name in self._routes:
            answer, function_error = self._routes[function_name](qualifier or "$LATEST", payload)
            return Invocation(answer, function_error, _version(qualifier))
        function = self._functions.get(function_name)
        if function is None:
            # Named with its qualifier (recorded facts, S11).
            arn = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{function_name}:{qualifier or '$LATEST'}"
            raise AwsError("ResourceNotFoundException", f"Function not found: {arn}", 404, {"Type": "User"})
        fault = self._faults.for_handler(function.module)
        if fault is not None and fault.error == "throttled":
            reason = {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "Type": "User"}
            raise AwsError("TooManyRequestsException", "Rate Exceeded.", 429, reason)
        run = _Run(self, function, qualifier, payload, None if fault is None else fault.error)
        return run.outcome()

    def _executed(self, function_name: str, qualifier: str | None) -> str:
        """The version that runs: the one that is named, or one of an alias's."""
        routing = self._alias_routing(function_name, qualifier) if qualifier else None
        if routing is None:
            return _version(qualifier)
        version, weights = routing
        if not weights:
            return version
        (chosen,) = self._random.choices([version, *weights], [1 - sum(weights.values()), *weights.values()])
        return chosen

    def _serve_invoke(self, params: dict[str, Any]) -> dict[str, Any]:
        match = _FUNCTION.fullmatch(params["FunctionName"])
        if match is None:
            raise AwsError("ValidationException", f"FunctionName {params['FunctionName']} is not valid.")
        name, qualifier = match["name"], params.get("Qualifier") or match["qualifier"]
        payload = _bytes(params.get("Payload"))
        kind = params.get("InvocationType", "RequestResponse")
        if kind == "DryRun":
            return {"StatusCode": 204, "Payload": _body(b"")}
        if kind == "Event":
            self._clock.spawn(lambda: self._invoke_unheard(name, qualifier, payload), f"event {name}")
            return {"StatusCode": 202, "Payload": _body(b"")}
        result = self.invoke(name, qualifier, payload)
        failed = {"FunctionError": result.function_error} if result.function_error else {}
        return {
            "StatusCode": 200,
            "ExecutedVersion": result.executed_version,
            "Payload": _body(result.payload),
            **failed,
        }

    def _invoke_unheard(self, name: str, qualifier: str | None, payload: bytes) -> None:
        try:
            self.invoke(name, qualifier, payload)
        except AwsError as error:
            self.logs.append(f"asynchronous invocation of {name}: {error}")

    def _process_for(self, function: Function, version: str) -> _Process:
        warm = self._warm.setdefault((function.name, version), [])
        if warm:
            return warm.pop()
        idle = _IDLE.get(_kind(self._code_root, function, version))
        process = idle.pop() if idle else _Process(function, version, Code(self._code_root, self._keeps_nothing))
        process.log_to(self.logs)
        return process

    def retire(self) -> None:
        """Leave the processes that are still warm to the next account: importing our modules is what takes longest."""
        for (name, version), processes in self._warm.items():
            for process in processes:
                process.forget()
            _IDLE.setdefault(_kind(self._code_root, self._functions[name], version), []).extend(processes)
        self._warm.clear()

    def _request_id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


#: Our modules outside of any process, by code, and how many modules there were with them.
_OUTSIDE: dict[str, tuple[dict[str, ModuleType], int]] = {}
#: Warm processes of accounts that are gone, by code and function.
_IDLE: dict[tuple[str, str, frozenset[tuple[str, str]]], list[_Process]] = {}


def _kind(code_root: Path, function: Function, version: str) -> tuple[str, str, frozenset[tuple[str, str]]]:
    """What two processes must have in common for the one to stand for the other."""
    return str(code_root), function.handler, frozenset(function.variables(version).items())


class _Run:
    """One invocation of one of our functions, as an actor."""

    def __init__(
        self, runtime: Runtime, function: Function, qualifier: str | None, payload: bytes, fault: str | None
    ) -> None:
        self._runtime = runtime
        self._clock = runtime._clock
        self._function = function
        self._version = runtime._executed(function.name, qualifier)
        self._qualifier = qualifier
        self._payload = payload
        self._fault = fault
        self._process = runtime._process_for(function, self._version)
        self._request_id = runtime._request_id()
        self._result: Invocation | None = None
        self._ends_at = self._clock.now() + function.timeout_seconds
        self._actor = self._clock.spawn(self._live, function.name, process=self._process)
        self._deadline = self._clock.at(self._ends_at, self._time_out, background=self._actor.background)

    def outcome(self) -> Invocation:
        self._actor.finished.wait()
        if self._result is None:
            self._result = self._failure("Runtime.ExitError", "Error: Runtime exited with error: exit status 1")
        return self._result

    def _time_out(self) -> None:
        seconds = self._function.timeout_seconds
        self._result = self._failure("Sandbox.Timedout", f"Error: Task timed out after {seconds:.2f} seconds")
        self._actor.kill()

    def _live(self) -> None:
        """Runs in the actor, inside the process. A process that died is not used again."""
        caller.set(self._function.module)
        invoked_with.set(self._payload)
        identity.set(self._function.session_arn)
        try:
            if self._fault == "timeout":
                self._clock.sleep(self._function.timeout_seconds + 1)
            if self._fault == "crash":
                return
            self._result = self._handle()
            self._runtime._warm[self._function.name, self._version].append(self._process)
        except SystemExit:
            return
        finally:
            self._deadline.cancel()

    def _handle(self) -> Invocation:
        try:
            handler = self._process.handler()
        except ImportError as error:
            message = f"Unable to import module '{self._function.module}': {error}"
            return self._failure("Runtime.ImportModuleError", message, [])
        except Exception as error:  # noqa: BLE001 - whatever the module raises while it is imported
            return self._raised(error)
        if handler is None:
            return self._failure("Runtime.HandlerNotFound", f"Handler '{self._function.handler}' missing", [])
        try:
            result = handler(json.loads(self._payload), self._context())
        except Exception as error:  # noqa: BLE001 - Lambda reports whatever a handler raises
            return self._raised(error)
        try:
            payload = json.dumps(result, ensure_ascii=False, allow_nan=False, default=_plain).encode()
        except (TypeError, ValueError) as error:
            return self._failure("Runtime.MarshalError", f"Unable to marshal response: {error}", [])
        return Invocation(payload, None, self._version)

    def _raised(self, error: Exception) -> Invocation:
        stack = [frame for frame in traceback.format_tb(error.__traceback__) if __file__ not in frame]
        return self._failure(type(error).__name__, str(error), stack)

    def _failure(self, error_type: str, message: str, stack: list[str] | None = None) -> Invocation:
        """Lambda's payload of an error; without a stack it is the platform's own, which knows the request alone."""
        payload: dict[str, Any] = {"errorMessage": message, "errorType": error_type, "requestId": self._request_id}
        if stack is None:
            payload = {"errorType": error_type, "errorMessage": f"RequestId: {self._request_id} {message}"}
        else:
            payload["stackTrace"] = stack
        return Invocation(json.dumps(payload).encode(), "Unhandled", self._version)

    def _context(self) -> LambdaContext:
        function = self._function
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{function.name}"
        return LambdaContext(
            function_name=function.name,
            function_version=self._version,
            invoked_function_arn=f"{arn}:{self._qualifier}" if self._qualifier else arn,
            memory_limit_in_mb=str(function.memory_mb),
            aws_request_id=self._request_id,
            log_group_name=f"/aws/lambda/{function.name}",
            log_stream_name=f"[{self._version}]sandbox",
            ends_at=self._ends_at,
            clock=self._clock,
        )


class _Process:
    """What a function finds around it: its variables, its own copy of our modules, its output and its loggers."""

    def __init__(self, function: Function, version: str, code: Code) -> None:
        self._function = function
        self._code = code
        self._output = Lines([])
        self._variables = variables_of(function.variables(version))
        self._metrics = FRESH
        self._modules: dict[str, ModuleType] = {}
        self._expected = -1
        self._loggers: dict[str, Any] = {}
        self._outside: tuple[Variables, dict[str, ModuleType], dict[str, Any], Any, Kept] | None = None

    def log_to(self, lines: list[str]) -> None:
        """Put what is written from now on there."""
        self._output.lines = lines

    def enter(self) -> None:
        variables, modules = wear(self._variables), self._code.take_modules(*_OUTSIDE.get(self._code.path, ({}, -1)))
        _OUTSIDE[self._code.path] = modules, len(sys.modules) + len(modules)
        self._outside = variables, modules, dict(_LOGGERS), sys.stdout, exchange(self._metrics)
        for name in [name for name, logger in _LOGGERS.items() if _is_powertools(logger)]:
            del _LOGGERS[name]  # made by whoever imported our modules outside
        sys.modules.update(self._modules or self._code.shared)
        self._expected = len(sys.modules)
        _LOGGERS.update(self._loggers)
        sys.path.insert(0, self._code.path)
        sys.stdout = self._output

    def leave(self) -> None:
        if self._outside is None:
            raise RuntimeError("A process is left that nobody entered.")
        variables, modules, loggers, sys.stdout, metrics = self._outside
        self._metrics = exchange(metrics)
        sys.path.remove(self._code.path)
        before, self._modules = self._modules, self._code.take_modules(self._modules, self._expected)
        if len(self._modules) != len(before):
            self._code.share(self._modules)
        self._loggers = {name: logger for name, logger in _LOGGERS.items() if loggers.get(name) is not logger}
        for name in self._loggers:
            del _LOGGERS[name]
        _LOGGERS.update(loggers)
        sys.modules.update(modules)
        self._variables = wear(variables)
        self._outside = None

    def forget(self) -> None:
        """Keep nothing of the account: a module of ours that remembers some of it says so by its own `forget`."""
        for module in self._modules.values():
            if callable(found := getattr(module, "forget", None)):
                found()

    def handler(self) -> Callable[[Any, LambdaContext], Any] | None:
        """The handler, imported on first use: a cold start. None where the module has no such name."""
        try:
            module = importlib.import_module(self._function.module)
        finally:
            # How a handler sets its garbage collector is its process's business; this one is everybody's.
            gc.unfreeze()
            gc.enable()
        found: Callable[[Any, LambdaContext], Any] | None = getattr(
            module, self._function.handler.rpartition(".")[2], None
        )
        return found


def _is_powertools(logger: Any) -> bool:
    return hasattr(logger, "powertools_handler")


def _check_json(payload: bytes) -> None:
    try:
        json.loads(payload)
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise AwsError("InvalidRequestContentException", message) from error


def _plain(value: Any) -> Any:
    """What Lambda's own runtime knows beyond JSON."""
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _version(qualifier: str | None) -> str:
    return qualifier if qualifier and qualifier.isdigit() else "$LATEST"


def _bytes(payload: bytes | str | None) -> bytes:
    if payload is None:
        return b"{}"
    return payload.encode() if isinstance(payload, str) else bytes(payload)


def _body(payload: bytes) -> StreamingBody:
    return StreamingBody(io.BytesIO(payload), len(payload))
