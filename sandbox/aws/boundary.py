"""The wire between this machine and AWS: every attempt of every SDK call passes here.

It stands below botocore's retries and above moto, at `botocore.endpoint.Endpoint._do_get_response`, so that faults
meet the SDK as the network's would: it retries what it would retry, and its back-off moves the virtual clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest.mock import patch
from weakref import WeakSet

import botocore.client
import botocore.endpoint
import botocore.exceptions
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionError as NotConnected
from botocore.exceptions import HTTPClientError, ReadTimeoutError
from botocore.model import OperationModel
from botocore.retries.quota import RetryQuota

from sandbox.aws.clock import Clock, Killed
from sandbox.aws.faults import CallFault, Faults
from sandbox.aws.quotas import Quotas, throttling

Params = dict[str, Any]
Response = dict[str, Any]
Answer = Callable[[Params], Response]
Proceed = Callable[[], Response]
Correction = Callable[[Params, Proceed], Response]
Recollection = Callable[[Params, Proceed, float], Response]
Check = Callable[[str, str, Params], None]

#: The handler that runs, named after its module ("check_health"); None for everybody else.
caller: ContextVar[str | None] = ContextVar("caller", default=None)
#: The payload, JSON, that it was invoked with; None for everybody else.
invoked_with: ContextVar[bytes | None] = ContextVar("invoked_with", default=None)
#: The ARN of the role session that signs the calls of whoever runs; None for the account's owner, who may do all.
identity: ContextVar[str | None] = ContextVar("identity", default=None)

#: The two families of what botocore raises, and retries, where no answer came.
_NO_ANSWER = (HTTPClientError, NotConnected)
_PARAMS = "sandbox.params"
_REQUEST_ID = "00000000-0000-0000-0000-{:012d}"
#: Codes that the service's own model does not list; anything else is a 400.
_STATUS = {
    "AccessDenied": 403,
    "AccessDeniedException": 403,
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServerError": 500,
    "InternalServiceError": 500,
    "InternalServiceException": 500,
    "PreconditionFailedException": 412,
    "ResourceConflictException": 409,
    "ResourceNotFoundException": 404,
    "ServiceException": 500,
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
    "TooManyRequestsException": 429,
}


class AwsError(Exception):
    """AWS says no: a botocore ClientError at the caller. `extra` holds fields of the error beside its message."""

    def __init__(self, code: str, message: str, status: int = 400, extra: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.extra = extra or {}


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt by a handler, at `at` (epoch seconds, when it was sent).

    `error` is the code the caller saw, or the name of the connection error, or "crash"; `response` is the parsed
    response, None with an error.
    """

    at: float
    name: str
    params: Params
    caller: str | None
    error: str | None
    response: Response | None


#: What every client of the SDK may still spend on retries. Clients outlive an account, as their processes do.
_QUOTAS: WeakSet[Any] = WeakSet()


@contextmanager
def _full_retry_quotas() -> Iterator[None]:
    """Begin with every quota full: what was retried in one account must not be missing in the next."""
    for quota in _QUOTAS:
        quota._available_capacity = quota._max_capacity
    begin: Any = RetryQuota.__init__

    def note(quota: Any, *args: Any, **kwargs: Any) -> None:
        begin(quota, *args, **kwargs)
        _QUOTAS.add(quota)

    with patch.object(RetryQuota, "__init__", note):
        yield


class Boundary:
    """Answers, corrects, counts and breaks calls of AWS. Names are botocore's, like "lambda.UpdateAlias".

    Each attempt by a handler takes `call_seconds` of virtual time before it reaches AWS. Faults and quotas strike
    handlers alone. `throttled` counts what quotas refused, by handler and call.
    """

    def __init__(self, clock: Clock, faults: Faults, call_seconds: float = 0.05, quotas: Quotas | None = None) -> None:
        self.calls: Counter[str] = Counter()
        self.throttled: Counter[tuple[str, str]] = Counter()
        #: When the last request arrived of those that were held on the wire, whoever still waited for it.
        self.arrived_late_at = clock.now()
        self._clock = clock
        self._faults = faults
        self._quotas = quotas or Quotas(clock)
        self._call_seconds = call_seconds
        self._answers: dict[str, Answer] = {}
        self._corrections: list[tuple[str, Correction]] = []
        self._recollections: dict[str, Recollection] = {}
        self._listeners: list[Callable[[Call], None]] = []
        self._check: Check | None = None
        self._requests = 0

    def serve(self, call: str, answer: Answer) -> None:
        """Answer a call instead of moto: parameters in, parsed response out. `call` may hold wildcards."""
        self._answers[call] = answer

    def correct(self, call: str, correction: Correction) -> None:
        """Stand around whatever answers a call: `correction(params, proceed)` returns the parsed response.

        It and `proceed` may raise AwsError. Of several corrections of a call the last one stands outermost.
        """
        self._corrections.append((call, correction))

    def recall(self, call: str, recollection: Recollection) -> None:
        """Answer a call as it was, for faults that make an answer stale.

        `recollection(params, proceed, moment)` returns the parsed response of a moment (epoch seconds); `proceed` is as
        for a correction, and asks the present.
        """
        self._recollections[call] = recollection

    def require(self, check: Check) -> None:
        """Ask `check(identity, call, params)` before anything answers; it may raise AwsError."""
        self._check = check

    def authorise(self, signer: str | None, call: str, params: Params) -> None:
        """Whether that identity may make the call.

        Raises:
            AwsError: it may not.
        """
        if signer is not None and self._check is not None:
            self._check(signer, call, params)

    def listen(self, listener: Callable[[Call], None]) -> None:
        """Be told of every attempt made by a handler, once it has ended."""
        self._listeners.append(listener)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Stand in the way of every SDK call of this process."""
        endpoint_class: Any = botocore.endpoint.Endpoint
        client_class: Any = botocore.client.BaseClient
        perform, emit = endpoint_class._do_get_response, client_class._emit_api_params

        def emit_api_params(client: Any, api_params: Params, operation_model: Any, context: Any) -> Any:
            # After the hooks of `before-parameter-build`, so that these are the parameters of the API.
            context[_PARAMS] = emit(client, api_params=api_params, operation_model=operation_model, context=context)
            return context[_PARAMS]

        def do_get_response(endpoint: Any, request: AWSPreparedRequest, model: OperationModel, context: Any) -> Any:
            wire = partial(perform, endpoint, request, model, context)
            return _Attempt(self, request, model, context, wire).outcome()

        with (
            _full_retry_quotas(),
            patch.object(endpoint_class, "_do_get_response", do_get_response),
            patch.object(client_class, "_emit_api_params", emit_api_params),
            patch("botocore.endpoint.time", SimpleNamespace(sleep=self._clock.sleep)),
        ):
            yield

    def _answer_to(self, name: str) -> Answer | None:
        if name in self._answers:
            return self._answers[name]
        return next((answer for call, answer in self._answers.items() if fnmatchcase(name, call)), None)

    def _metadata(self, status: int) -> Response:
        self._requests += 1
        request_id = _REQUEST_ID.format(self._requests)
        return {"RequestId": request_id, "HTTPStatusCode": int(status), "HTTPHeaders": {}, "RetryAttempts": 0}


class _Attempt:
    """One attempt of one call. Its outcome is what botocore expects: ((HTTP response, parsed), exception)."""

    def __init__(
        self,
        boundary: Boundary,
        request: AWSPreparedRequest,
        model: OperationModel,
        context: dict[str, Any],
        wire: Callable[[], Any],
    ) -> None:
        self._boundary = boundary
        self._request = request
        self._model = model
        self._context = context
        self._wire = wire
        self._params: Params = context.get(_PARAMS, {})
        self._signer = identity.get()
        self.name = f"{model.service_model.service_name}.{model.name}"

    def outcome(self) -> Any:
        handler = caller.get()
        if handler is None:
            return self._perform()
        boundary = self._boundary
        boundary.calls[self.name] += 1
        sent_at = boundary._clock.now()
        boundary._clock.sleep(boundary._call_seconds)
        fault = boundary._faults.for_call(self.name, self._params)
        outcome = self._awaited() if fault is None else self._struck(fault, sent_at, handler)
        self._report(outcome, sent_at, handler)
        return outcome

    def _awaited(self) -> Any:
        """Have it answered; an invocation may take longer than its caller waits, and goes on when nobody listens."""
        return self._held(0) if self.name == "lambda.Invoke" else self._perform()

    def _perform(self, moment: float | None = None) -> Any:
        """Have it answered, if the role that signed it may ask; where a moment is given, with the answer of then."""
        try:
            self._refuse_beyond_quota()
            self._boundary.authorise(self._signer, self.name, self._params)
            present = partial(self._proceed, len(self._boundary._corrections))
            if moment is None:
                return self._response(present()), None
            return self._response(self._boundary._recollections[self.name](self._params, present, moment)), None
        except AwsError as error:
            return self._refusal(error), None
        except _NO_ANSWER as error:
            return None, error

    def _refuse_beyond_quota(self) -> None:
        handler = caller.get()
        if handler is None or self._boundary._quotas.take(self.name):
            return
        self._boundary.throttled[handler, self.name] += 1
        code, extra = throttling(self.name)
        raise AwsError(code, "Rate exceeded", self._status(code), extra)

    def _proceed(self, depth: int) -> Response:
        """The parsed response, through the corrections below `depth`."""
        for index in range(depth - 1, -1, -1):
            call, correction = self._boundary._corrections[index]
            if fnmatchcase(self.name, call):
                return correction(self._params, partial(self._proceed, index))
        answer = self._boundary._answer_to(self.name)
        return self._ask_moto() if answer is None else answer(self._params)

    def _ask_moto(self) -> Response:
        response, exception = self._wire()
        if exception is not None:
            raise exception
        http, parsed = response
        if http.status_code >= HTTPStatus.MULTIPLE_CHOICES:
            error = parsed.get("Error", {})
            extra = {key: value for key, value in parsed.items() if key not in {"Error", "ResponseMetadata"}}
            raise AwsError(error.get("Code", "Unknown"), error.get("Message", ""), http.status_code, extra)
        return dict(parsed)

    def _struck(self, fault: CallFault, sent_at: float, handler: str) -> Any:
        if fault.error == "held":
            return self._held(fault.seconds)
        if fault.error == "slow":
            return self._late(fault.seconds)
        if fault.error == "stale":
            return self._perform(self._boundary._clock.now() - fault.seconds)
        if fault.error == "lost_response":
            self._perform()
            seconds = self._context["client_config"].read_timeout
            self._boundary._clock.sleep(seconds)
            return None, ReadTimeoutError(endpoint_url=self._request.url, error="lost_response")
        if fault.error in {"crash_before", "crash_after"}:
            self._crash(fault, sent_at, handler)
        named: Any = getattr(botocore.exceptions, fault.error, None)
        if isinstance(named, type) and issubclass(named, _NO_ANSWER):
            return None, named(
                endpoint_url=self._request.url, proxy_url=self._request.url, error=ConnectionError(fault.error)
            )
        message = f"The scenario lets {self.name} fail."
        return self._refusal(AwsError(fault.error, message, self._status(fault.error))), None

    def _held(self, seconds: float) -> Any:
        """A request on the wire arrives, whatever becomes of the one who sent it, who waits his read time-out at most.

        The caller has no answer then, and may have asked again by the time at which the request takes effect.
        """
        clock, outcomes = self._boundary._clock, list[Any]()

        def arrive() -> None:
            self._boundary.arrived_late_at = clock.now()
            outcomes.append(self._perform())

        arrival = clock.spawn(arrive, f"held {self.name}", seconds)
        if arrival.finished.wait(self._context["client_config"].read_timeout):
            return outcomes[0]
        return None, ReadTimeoutError(endpoint_url=self._request.url, error="held")

    def _late(self, seconds: float) -> Any:
        """The request takes effect at once, and its answer is so many seconds on its way: too long for some callers."""
        clock, patience = self._boundary._clock, self._context["client_config"].read_timeout
        sent_at = clock.now()
        outcome = self._awaited()
        left = sent_at + patience - clock.now()
        clock.sleep(min(seconds, left))
        return outcome if seconds <= left else (None, ReadTimeoutError(endpoint_url=self._request.url, error="slow"))

    def _crash(self, fault: CallFault, sent_at: float, handler: str) -> NoReturn:
        """The process dies here: whatever the handler still tries, no call of its gets through."""
        if fault.error == "crash_after":
            self._perform()
        self._tell(Call(sent_at, self.name, self._params, handler, "crash", None))
        actor = self._boundary._clock.current()
        if actor is None:
            raise RuntimeError("Only a handler that runs as an actor can crash.")
        actor.kill()
        raise Killed(actor.name)

    def _status(self, code: str) -> int:
        """The HTTP status of an error, on which the SDK decides whether to retry."""
        service: Any = self._model.service_model
        # A scenario may write an error's code, or the name of its shape in the API model, where the two differ.
        named = service.shape_for(code) if code in service.shape_names else None
        shape = service.shape_for_error_code(code) or named
        modelled = shape.metadata.get("error", {}).get("httpStatusCode") if shape else None
        return modelled or _STATUS.get(code, HTTPStatus.BAD_REQUEST)

    def _response(self, parsed: Response) -> tuple[AWSResponse, Response]:
        metadata = parsed.get("ResponseMetadata") or self._boundary._metadata(HTTPStatus.OK)
        return self._http(metadata["HTTPStatusCode"]), {**parsed, "ResponseMetadata": metadata}

    def _refusal(self, error: AwsError) -> tuple[AWSResponse, Response]:
        parsed = {
            "Error": {"Code": error.code, "Message": error.message},
            "ResponseMetadata": self._boundary._metadata(error.status),
            **error.extra,
        }
        return self._http(error.status), parsed

    def _http(self, status: int) -> AWSResponse:
        return AWSResponse(self._request.url, status, HTTPHeaders(), _Empty())

    def _report(self, outcome: Any, sent_at: float, handler: str) -> None:
        response, exception = outcome
        parsed = None if response is None else response[1]
        error = type(exception).__name__ if parsed is None else parsed.get("Error", {}).get("Code")
        self._tell(Call(sent_at, self.name, self._params, handler, error, None if error else parsed))

    def _tell(self, call: Call) -> None:
        for listener in self._boundary._listeners:
            listener(call)


class _Empty:
    """The body of a response that is parsed already."""

    def stream(self) -> Iterator[bytes]:
        return iter(())

    def read(self, _amount: int | None = None) -> bytes:
        return b""
