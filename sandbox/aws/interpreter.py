"""Step Functions: moto's interpreter in virtual time, with what it gets wrong put right.

The module that reaches furthest into moto's insides, so it names the version it knows. moto gives every
execution and every Task a thread and waits for them in real time; here the threads are actors and the waiting is the
clock's. What Stop and time-outs end is ended at once, whereas a handler that was invoked is none of the interpreter's
actors and goes on, as it does in AWS.
"""

from __future__ import annotations

import copy
import functools
import json
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest.mock import patch

import moto
from moto.core.responses import ActionResult
from moto.stepfunctions.exceptions import ExecutionDoesNotExist
from moto.stepfunctions.parser import utils as parser_utils
from moto.stepfunctions.parser.api import (
    ExecutionStatus,
    HistoryEventType,
)
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.common.flow.start_at import StartAt
from moto.stepfunctions.parser.asl.component.common.retry import jitter_strategy_decl, retrier_decl
from moto.stepfunctions.parser.asl.component.common.string.string_expression import StringJSONata
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.program import program as program_module
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import inline_iteration_component
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import branch_worker
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager
from moto.stepfunctions.parser.asl.eval.program_state import ProgramTimedOut
from moto.stepfunctions.parser.asl.eval.variable_store import VariableStore
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import StepFunctionsParserBackend, stepfunctions_parser_backends
from moto.stepfunctions.responses import StepFunctionResponse

from sandbox.aws import evaluation, jsonata, redrive, shortcuts
from sandbox.aws.boundary import AwsError, Boundary, caller, identity
from sandbox.aws.clock import Actor, Clock, Signal
from sandbox.aws.execution_history import events_of, get_execution_history
from sandbox.aws.iam import session_arn
from sandbox.aws.stack import ACCOUNT_ID, REGION

MOTO_VERSION = "5.2.5"

#: A value of moto's whose own annotations do not tell its attributes.
Moto = Any

_MILLISECONDS = 1000

#: The actors of the execution that runs here; a handler's actor is none of them.
_execution: ContextVar[list[Actor]] = ContextVar("execution")


class Interpreter:
    """Step Functions in virtual time.

    `on_status` is called with the detail of AWS's event "Step Functions Execution Status Change" whenever an
    execution starts, ends, or goes on after its end. `seed` decides the jitter of retries and the names of unnamed
    executions.
    """

    def __init__(self, clock: Clock, on_status: Callable[[dict[str, Any]], None], seed: int = 0) -> None:
        self._clock = clock
        self._on_status = on_status
        self._random = random.Random(f"interpreter {seed}")
        self._actors: dict[str, list[Actor]] = {}
        self._redrives: defaultdict[str, redrive.Redrives] = defaultdict(redrive.Redrives)
        self._functions = jsonata.functions(self._random)

    def serve(self, boundary: Boundary) -> None:
        """Answer the call that moto does not know, RedriveExecution, and the one that is asked most."""
        boundary.serve("stepfunctions.RedriveExecution", self._redrive_execution)
        boundary.serve("stepfunctions.DescribeExecution", self._describe_execution)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Correct moto's interpreter, for this process.

        Raises:
            RuntimeError: this is not the moto that the corrections are made for.
        """
        if moto.__version__ != MOTO_VERSION:
            raise RuntimeError(f"The sandbox corrects moto {MOTO_VERSION} from the inside; this is {moto.__version__}.")
        log = logging.getLogger("moto.stepfunctions")
        level = log.level
        with ExitStack() as patches:
            for target, name, replacement in (*self._waiting(), *self._executions(), *self._language()):
                patches.enter_context(patch.object(target, name, replacement))
            log.setLevel(logging.CRITICAL)  # an execution that fails is a story here, not an incident
            try:
                yield
            finally:
                log.setLevel(level)
                parser_utils.TMP_THREADS.clear()

    # --- What is replaced ---------------------------------------------------------------------------------------------

    def _waiting(self) -> Iterator[tuple[Any, str, Any]]:
        """Threads become actors, and whatever waits waits for the clock."""
        thread = functools.partial(_Thread, self._clock)
        clock = self._clock
        yield execute_state, "Thread", thread
        yield execute_state, "threading", SimpleNamespace(Event=functools.partial(_TaskEnd, clock))
        yield program_module, "threading", SimpleNamespace(Thread=thread)
        yield retrier_decl, "time", SimpleNamespace(sleep=clock.sleep)
        yield jitter_strategy_decl, "random", self._random
        for module in (branch_worker, inline_iteration_component):
            yield module, "threading", SimpleNamespace(Thread=_not_simulated)
        yield WaitFunction, "_wait_interval", lambda _, env, wait_seconds: clock.sleep(wait_seconds)  # noqa: ARG005

    def _executions(self) -> Iterator[tuple[Any, str, Any]]:
        """How executions start and end, and what the API says of them."""
        named = functools.partial(self._start_execution, StepFunctionsParserBackend.start_execution)
        yield StepFunctionsParserBackend, "start_execution", _method(named)
        yield ExecutionWorker, "start", _method(self._start)
        yield Execution, "stop", _method(self._stop)
        yield BaseExecutionWorkerCommunication, "terminated", _method(self._ended)
        yield StepFunctionResponse, "stop_execution", _stop_execution
        yield StepFunctionResponse, "get_execution_history", get_execution_history

    def _language(self) -> Iterator[tuple[Any, str, Any]]:
        """JSONata, which moto leaves out, and rules of the Amazon States Language."""
        yield AmazonStateLanguageParser, "parse", staticmethod(_parse)
        yield StringJSONata, "_eval_body", _method(self._evaluate)
        yield VariableStore, "get_assigned_variables", _assigned_variables
        yield ErrorEqualsDecl, "_eval_body", _error_equals
        yield EventManager, "add_event", evaluation.add_event_once(EventManager.add_event)
        told = evaluation.execution_failed(FailureEventException.get_execution_failed_event_details)
        yield FailureEventException, "get_execution_failed_event_details", told
        yield lambda_eval_utils, "boto_client_for", shortcuts.boto_client_for
        # Both describe whole components for a log that nobody reads here.
        yield EvalComponent, "_log_failure_event_exception", lambda _, failure_event_exception: None  # noqa: ARG005
        yield EvalComponent, "_log_exception", lambda _, exception: None  # noqa: ARG005

    # --- Executions ---------------------------------------------------------------------------------------------------

    def _start_execution(
        self,
        start_execution: Callable[..., Execution],
        backend: StepFunctionsParserBackend,
        state_machine_arn: str,
        name: str | None = None,
        execution_input: str | None = None,
    ) -> Execution:
        """StartExecution names an unnamed execution and checks a name; the same name and input start nothing new."""
        if name is not None:
            backend._validate_name(name)
        name = name or jsonata.identifier(self._random)
        known = [each.execution_arn for each in backend.describe_state_machine(state_machine_arn).executions]
        execution = start_execution(backend, state_machine_arn, name, execution_input or "{}")
        if execution.execution_arn not in known:
            self._announce(execution)
        return execution

    def _start(self, worker: Moto) -> None:
        """As ExecutionWorker._execution_logic, with all but the program done at once: Stop may come at any time."""
        details = worker._evaluation_details
        worker.env = env = worker._get_evaluation_environment()
        _context(env)["RedriveCount"] = 0  # recorded facts, S22
        _add_event(
            env,
            HistoryEventType.ExecutionStarted,
            executionStartedEventDetails={
                "input": json.dumps(details.execution_details.inpt),
                "inputDetails": {"truncated": False},
                "roleArn": details.aws_execution_details.role_arn,
            },
        )
        env.event_history_context.source_event_id = 0  # the first state's predecessor is no event
        self._run(worker, worker._get_evaluation_entrypoint())

    def _run(self, worker: Moto, program: Moto) -> None:
        """Have the program evaluated in the worker's environment, until its end."""
        env, details = worker.env, worker._evaluation_details

        def live() -> None:
            caller.set(None)  # whoever started the execution: its calls are not a handler's
            identity.set(session_arn(details.aws_execution_details.role_arn, name))
            _execution.set(actors)
            evaluation.definition.set(details.state_machine_details.definition)
            program.eval(env)
            worker._execution_communication.terminated()

        name = details.execution_details.name
        actors = self._actors[details.execution_details.arn] = []
        actors.append(self._clock.spawn(live, f"execution {name}"))

    def _stop(self, execution: Moto, stop_date: datetime, error: str | None, cause: str | None) -> None:
        """ABORTED at once. StopExecution on an execution that has ended changes nothing."""
        if execution.exec_status != ExecutionStatus.RUNNING:
            return
        env = execution.exec_worker.env
        for actor in self._actors.pop(execution.exec_arn):
            actor.kill()
        env.set_stop(stop_date=stop_date, cause=cause, error=error)
        details = {key: value for key, value in (("error", error), ("cause", cause)) if value}
        env.event_history_context.source_event_id = 0
        _add_event(env, HistoryEventType.ExecutionAborted, executionAbortedEventDetails=details)
        execution.exec_status, execution.stop_date = ExecutionStatus.ABORTED, stop_date
        execution.error, execution.cause = error or None, cause or None
        self._announce(execution)

    def _ended(self, communication: Moto) -> None:
        """An execution came to its end, or to its time-out."""
        execution = communication.execution
        self._actors.pop(execution.exec_arn)
        env = execution.exec_worker.env
        if isinstance(env.program_state(), ProgramTimedOut):
            env.event_history_context.source_event_id = 0
            _add_event(env, HistoryEventType.ExecutionTimedOut, executionTimedOutEventDetails={})
        communication._reflect_execution_status()
        self._announce(execution)

    def _redrive_execution(self, params: dict[str, Any]) -> dict[str, Any]:
        """RedriveExecution: only what failed, was stopped or timed out goes on."""
        execution, now = _known(params["executionArn"]), datetime.now(UTC)
        redrives, token = self._redrives[execution.exec_arn], params.get("clientToken")
        if answered := redrives.answered(token, now):
            return {"redriveDate": answered}
        if refused := _not_redrivable(execution):
            raise AwsError("ExecutionNotRedrivable", refused)
        redrives.note(token, now)
        self._go_on(execution, redrives)
        return {"redriveDate": now}

    def _go_on(self, execution: Moto, redrives: redrive.Redrives) -> None:
        """Enter the state in which an execution ended once more, in a new environment and under the same history.

        The state's time-out, its retries and the machine's time-out begin anew; so does a Wait for so many seconds.
        That the state is entered once more, with an event, is documented of Fail alone (chosen).
        """
        events, worker = events_of(execution), execution.exec_worker
        left = redrive.reentry(events)
        env, program = worker._get_evaluation_environment(), copy.copy(worker._get_evaluation_entrypoint())
        env.event_manager = worker.env.event_manager
        env.event_history_context.source_event_id = events[-1]["id"]
        if left.state is not None:
            program.start_at = StartAt(left.state)
            env.states.reset(input_value=left.input)
        for name, value in left.variables.items():
            env.variable_store.set(name, value)
        env.variable_store.reset_tracing()
        _context(env).update(RedriveCount=redrives.count, RedriveTime=redrives.last_at)
        _add_event(
            env,
            HistoryEventType.ExecutionRedriven,
            executionRedrivenEventDetails={"redriveCount": redrives.count},
        )
        worker.env = env
        execution.exec_status, execution.stop_date = ExecutionStatus.RUNNING, None
        execution.output = execution.error = execution.cause = None
        self._run(worker, program)
        self._announce(execution)

    def _redriven(self, execution: Moto) -> dict[str, Any]:
        """What AWS says of an execution's redrives (recorded facts, S18 and S19)."""
        redrives, refused = self._redrives[execution.exec_arn], _not_redrivable(execution)
        return {
            "redriveCount": redrives.count,
            "redriveDate": redrives.last_at,
            "redriveStatus": "NOT_REDRIVABLE" if refused else "REDRIVABLE",
            "redriveStatusReason": refused,
        }

    def _announce(self, execution: Execution) -> None:
        """Tell the status of an execution, as EventBridge would."""
        redriven = self._redriven(execution)
        if redriven["redriveDate"]:
            redriven["redriveDate"] = _milliseconds(redriven["redriveDate"])
        started, stopped = execution.start_date, execution.stop_date
        succeeded = execution.exec_status == ExecutionStatus.SUCCEEDED
        self._on_status(
            {
                "executionArn": execution.exec_arn,
                "stateMachineArn": execution.state_machine_arn,
                "stateMachineVersionArn": None,
                "stateMachineAliasArn": None,
                "name": execution.name,
                "status": execution.status,
                "startDate": _milliseconds(started),
                "stopDate": None if stopped is None else _milliseconds(stopped),
                "input": execution.execution_input or "{}",
                "inputDetails": {"included": True},
                "output": jsonata.as_json(execution.output) if succeeded else None,
                "outputDetails": {"included": True} if succeeded else None,
                "error": execution.error,
                "cause": execution.cause,
                **redriven,
            }
        )

    def _describe_execution(self, params: dict[str, Any]) -> dict[str, Any]:
        """DescribeExecution: every end has a stop date, and an output is JSON, also where it is a string."""
        execution = _known(params["executionArn"])
        shown = {
            "executionArn": execution.exec_arn,
            "stateMachineArn": execution.state_machine_arn,
            "name": execution.name,
            "status": execution.status,
            "startDate": _to_milliseconds(execution.start_date),
            "stopDate": _to_milliseconds(execution.stop_date),
            "input": execution.execution_input,
            "inputDetails": {"included": True},
            "error": execution.error,
            "cause": execution.cause,
            **self._redriven(execution),
        }
        if execution.exec_status == ExecutionStatus.SUCCEEDED:
            shown |= {"output": jsonata.as_json(execution.output), "outputDetails": {"included": True}}
        return {key: value for key, value in shown.items() if value is not None}

    # --- JSONata ------------------------------------------------------------------------------------------------------

    def _evaluate(self, expression: StringJSONata, env: Environment) -> None:
        """Push the value of an expression.

        moto writes all variables as text before the expression, strings without escaping; here they are bound.
        A failure is States.QueryEvaluationError, which a Task's Retry and Catch may name.
        """
        store = env.variable_store
        states = {key: value for key, value in env.states._states_data.items() if value is not None or key == "input"}
        known = {"states": states, **store._outer_scope, **store._inner_scope}
        # Copying all of them takes longer than the expression, which speaks of one or two.
        spoken_of = {name: value for name, value in known.items() if f"${name}" in expression.expression}
        bindings = {**self._functions, **{name: jsonata.to_jsonata(value) for name, value in spoken_of.items()}}
        try:
            env.stack.append(jsonata.evaluate(expression.expression, bindings))
        except jsonata.NotJson as error:
            raise evaluation.failure(env, expression.expression, str(error)) from error
        except jsonata.FAILURES as error:
            reason = f"threw an error during evaluation. {error}"
            raise evaluation.failure(env, expression.expression, reason) from error


# --- Threads and events, in virtual time ------------------------------------------------------------------------------


class _Thread:
    """What the interpreter uses of threading.Thread. Each belongs to the execution in which it was made."""

    def __init__(
        self, clock: Clock, target: Callable[..., None], args: tuple[Any, ...] = (), daemon: bool = True
    ) -> None:
        self._clock = clock
        self._target = functools.partial(target, *args)
        self._daemon = daemon
        self._actor: Actor | None = None

    def start(self) -> None:
        parent = self._clock.current()
        self._actor = self._clock.spawn(self._target, f"{parent.name if parent else 'program'} >")
        _execution.get().append(self._actor)

    def join(self, timeout: float | None = None) -> None:
        """The program's end, or the execution's TimeoutSeconds: then nothing of it goes on."""
        if self._actor is not None and not self._actor.finished.wait(timeout):
            _kill_others(self._clock)

    def is_alive(self) -> bool:
        return self._actor is not None and not self._actor.finished.is_set()


class _TaskEnd:
    """What a Task uses of threading.Event: the end of its work, or its TimeoutSeconds, and then the work ends too."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._signal: Signal = clock.signal()
        self._before = len(_execution.get())

    def set(self) -> None:
        self._signal.set()

    def wait(self, timeout: float | None = None) -> bool:
        in_time = self._signal.wait(timeout)
        work = _execution.get()[self._before :]
        if not in_time:
            for actor in work:
                actor.kill()
        del _execution.get()[self._before :]
        return in_time


def _not_simulated(*_: Any, **__: Any) -> NoReturn:
    raise NotImplementedError("Parallel and Map are not simulated: their threads would wait in real time.")


def _kill_others(clock: Clock) -> None:
    for actor in _execution.get():
        if actor is not clock.current():
            actor.kill()


# --- The API ----------------------------------------------------------------------------------------------------------


def _stop_execution(response: Moto) -> ActionResult:
    """Without this, moto loses the error and the cause."""
    execution = response.stepfunction_backend.describe_execution(response._get_param("executionArn"))
    error, cause = response._get_param("error"), response._get_param("cause")
    execution.stop(stop_date=datetime.now(UTC), error=error, cause=cause)
    return ActionResult({"stopDate": execution.stop_date})


def _known(arn: str) -> Moto:
    """The execution.

    Raises:
        AwsError: ExecutionDoesNotExist.
    """
    try:
        return stepfunctions_parser_backends[ACCOUNT_ID][REGION].describe_execution(arn)
    except ExecutionDoesNotExist as error:
        raise AwsError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'") from error


def _context(env: Moto) -> dict[str, Any]:
    """What `$states.context.Execution` holds."""
    context: dict[str, Any] = env.states.context_object.context_object_data["Execution"]
    return context


def _not_redrivable(execution: Moto) -> str | None:
    return redrive.refusal(execution.status, execution.stop_date, len(events_of(execution)), datetime.now(UTC))


def _to_milliseconds(moment: datetime | None) -> datetime | None:
    """A moment as the API has it."""
    return moment and moment.replace(microsecond=moment.microsecond // _MILLISECONDS * _MILLISECONDS)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * _MILLISECONDS)


def _add_event(env: Moto, event_type: HistoryEventType, **details: Any) -> None:
    env.event_manager.add_event(env.event_history_context, event_type, details)


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that binds to the object it is called on, which a bound method does not."""

    def method(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return method


# --- The language -----------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def _parse(definition: str) -> Any:
    """Parsing is slow, and what it makes keeps its state in the environment, so executions can share it."""
    return _PARSE(definition)


_PARSE = AmazonStateLanguageParser.parse


def _error_equals(declaration: ErrorEqualsDecl, env: Environment) -> None:
    """Push whether it names the error on the stack.

    Nothing at all matches States.Runtime, and States.TaskFailed matches all but States.Timeout (developer guide,
    "Handling errors"). States.ALL in a Catch does match States.DataLimitExceeded of a task's result, although the guide
    says that it does not (recorded facts, S12); States.TaskFailed too, and both in a Retry (chosen).
    """
    error = env.stack.pop().error_name
    named = {each.error_name for each in declaration.error_names}
    wildcard = "States.ALL" in named or ("States.TaskFailed" in named and error != "States.Timeout")
    env.stack.append((wildcard or error in named) and error != "States.Runtime")


def _assigned_variables(store: VariableStore) -> dict[str, str]:
    """The variables of a state's exit event, as JSON; moto puts quotes around strings and leaves it at that."""
    return {name: jsonata.as_json(store.get(name)) for name in sorted(store._declaration_tracing)}
