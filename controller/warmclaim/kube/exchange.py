"""One request and its answer: pauses that the server asked for, errors, and the record of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, TypeVar

from warmclaim.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    NotPermittedError,
    NotSentError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
    WarmclaimError,
)
from warmclaim.kube import answers
from warmclaim.kube.outage import Outage
from warmclaim.kube.permissions import Permission, Permissions
from warmclaim.kube.refill_window import RefillWindow
from warmclaim.seams import ByteStream, Channel, Clock, Request, Response, Transport

Verb: TypeAlias = Literal["get", "list", "watch", "create", "patch", "update", "delete"]
_READS: Final = frozenset(("get", "list", "watch"))

PAUSE_S_MAX: Final = 30.0

_PAST_THE_AUTHORIZER: Final = (AlreadyExistsError, ConflictError, ForbiddenError, NotFoundError)
"""Only who may do such a thing is told why this one could not be done. With a reason: what has none
is a proxy's."""

R = TypeVar("R", Response, ByteStream)


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One finished request. `outcome` is the HTTP status in digits, or one of `not_sent`,
    `no_answer`, `bad_answer` (nothing an API server sends) and `cancelled`.
    For a watch `duration_s` ends with the response head."""

    verb: Verb
    resource: str
    subresource: str
    channel: Channel
    outcome: str
    duration_s: float


RequestObserver: TypeAlias = Callable[[RequestRecord], None]


@dataclass(frozen=True, slots=True)
class Call:
    """A request and what it means to Kubernetes; `namespace` "" where it is about the cluster. One
    that is not patient never waits for the end of a pause: it gets the `ThrottledError` at once."""

    verb: Verb
    resource: str
    namespace: str
    request: Request
    subresource: str = ""
    is_422_conflict: bool = False
    is_patient: bool = True

    @property
    def is_read(self) -> bool:
        return self.verb in _READS

    def __str__(self) -> str:
        return f"{self.verb} {answers.plain(self.request.path)}"


class Exchange:
    """Sends calls through a transport, one attempt each."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        observer: RequestObserver | None,
        outage: Outage,
        permissions: Permissions,
        refill: RefillWindow | None = None,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._observer = observer
        self._outage = outage
        self._permissions = permissions
        self._refill = refill
        self._paused_until: dict[tuple[Channel, bool], float] = {}
        outage.on_end(self._paused_until.clear)  # a starting server throttles everybody

    async def send(self, call: Call) -> Response:
        """The answer, if it is a success with a body to read."""
        response = await self._attempt(call, self._transport.request)
        if 200 <= response.status < 300:
            return response
        if response.status < 400:
            raise self.unusable(call, f"HTTP {response.status}")
        raise self.refusal(call, response.status, response.headers, response.body)

    async def open(self, call: Call) -> ByteStream:
        """The stream, whatever its status."""
        return await self._attempt(call, self._transport.stream)

    async def is_answered(self, call: Call) -> bool:
        """Send past every pause; whether an answer of an API server came that is neither a 5xx nor
        a 429. Raises none of our errors."""
        try:
            response = await self._exchanged(call, call.request, self._transport.request)
        except (ApiError, NotSentError, UnknownOutcomeError):
            return False
        if response.status < 400:
            return response.headers.get("content-type", "").startswith("application/json")
        return response.status < 500 and response.status != 429

    async def _attempt(self, call: Call, send: Callable[[Request], Awaitable[R]]) -> R:
        window = self._refill
        if window is None or call.request.channel is not Channel.REFILL:
            return await self._tried(call, send)
        await window.enter()
        try:
            return await self._tried(call, send)
        finally:
            window.leave()

    async def _tried(self, call: Call, send: Callable[[Request], Awaitable[R]]) -> R:
        request = await self._after_pause(call)
        try:
            return await self._exchanged(call, request, send)
        except WarmclaimError as error:
            self._outage.suspect(error)
            raise

    async def _exchanged(
        self, call: Call, request: Request, send: Callable[[Request], Awaitable[R]]
    ) -> R:
        began, outcome = self._clock.monotonic(), "cancelled"
        try:
            answer = await send(request)
            is_usual = 200 <= answer.status < 300 or answer.status >= 400
            outcome = str(answer.status) if is_usual else "bad_answer"
            if 200 <= answer.status < 300:
                self._worked(call)
        except NotSentError:
            outcome = "not_sent"
            raise
        except ApiError:
            outcome = "bad_answer"
            raise
        except UnknownOutcomeError as error:
            outcome = "no_answer"
            raise _unanswered(call, error) from error
        finally:
            self._record(call, outcome, began)
        return answer

    def refusal(self, call: Call, status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
        """The typed error of a status >= 400; a 429 with Retry-After pauses its class."""
        retry_s = answers.retry_after_s(headers, self._clock.wall)
        verb = "json_patch" if call.is_422_conflict else call.verb
        error = answers.error_for(answers.status_of(status, body), verb=verb, retry_s=retry_s)
        if isinstance(error, ThrottledError):
            if self._refill is not None:
                self._refill.shrink()
            if error.retry_after_s:
                self._pause(call, error.retry_after_s)
        if isinstance(error, NotPermittedError):
            permission = Permission(call.verb, call.resource, call.subresource)
            self._permissions.refused(permission, call.namespace)
        elif isinstance(error, _PAST_THE_AUTHORIZER) and error.reason:
            self._worked(call)
        self._outage.suspect(error)
        return error

    def _worked(self, call: Call) -> None:
        self._permissions.worked(call.verb, call.resource, call.subresource, call.namespace)

    def unusable(self, call: Call, why: str) -> TransientError | UnknownOutcomeError:
        """The error of an answer that is no Kubernetes answer: HTML, a redirect, a torn body."""
        error = _unanswered(call, answers.plain(why), answers.BAD_ANSWER)
        self._outage.suspect(error)
        return error

    def _pause(self, call: Call, delay_s: float) -> None:
        group = (call.request.channel, call.is_read)
        until = self._clock.monotonic() + min(delay_s, PAUSE_S_MAX)
        self._paused_until[group] = max(until, self._paused_until.get(group, until))

    async def _after_pause(self, call: Call) -> Request:
        """The request, with what is left of its time after the pause of its class."""
        request, group = call.request, (call.request.channel, call.is_read)
        left_s = request.timeout_s
        while (wait_s := self._paused_until.get(group, 0.0) - self._clock.monotonic()) > 0:
            # Sent with a sliver of its time left, a write would only end as an unknown outcome.
            if not call.is_patient or left_s - wait_s < request.timeout_s / 2:
                raise ThrottledError(429, "Paused", f"{call} not sent", retry_after_s=wait_s)
            began = self._clock.monotonic()
            await self._outage.back_off(wait_s)
            left_s -= self._clock.monotonic() - began
        return request if left_s == request.timeout_s else replace(request, timeout_s=left_s)

    def _record(self, call: Call, outcome: str, began: float) -> None:
        channel, duration_s = call.request.channel, self._clock.monotonic() - began
        is_answer = outcome.isdigit() and not call.is_read
        if self._refill is not None and channel is Channel.CLAIMS and is_answer:
            self._refill.claim_answered(duration_s)
        if self._observer is None:
            return
        self._observer(
            RequestRecord(call.verb, call.resource, call.subresource, channel, outcome, duration_s)
        )


def _unanswered(
    call: Call, why: object, reason: str = answers.NO_ANSWER
) -> TransientError | UnknownOutcomeError:
    """A read may be repeated whatever became of it; a write must be read back."""
    if call.is_read:
        return TransientError(0, reason, f"{call}: {why}")
    return UnknownOutcomeError(f"{call}: {why}")
