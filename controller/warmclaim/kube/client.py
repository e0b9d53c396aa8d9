"""ApiClient: typed verbs over a Transport; every refusal is an error of `warmclaim.errors`.

Reads raise `ApiError` or `NotSentError`; a read that got no usable answer is a `TransientError`
(status 0 where there was no answer at all), since a read may always be repeated. Writes raise the
same and `UnknownOutcomeError`, whenever it cannot be told whether the write was applied.
No verb is repeated here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

import msgspec

from warmclaim.api.meta import Object, ObjectKey
from warmclaim.api.resources import Resource
from warmclaim.errors import BrokenListError, StreamError
from warmclaim.kube import answers
from warmclaim.kube.answers import Expected
from warmclaim.kube.exchange import Call, Exchange, RequestObserver
from warmclaim.kube.outage import PROBE_NAME, PROBE_S_MAX, Outage
from warmclaim.kube.pages import Page, PageReader
from warmclaim.kube.permissions import Permissions
from warmclaim.kube.refill_window import RefillWindow
from warmclaim.seams import ByteStream, Channel, Clock, Request, Response, Transport

T = TypeVar("T", bound=Object)
V = TypeVar("V")

_JSON: Final = "application/json"
_JSON_PATCH: Final = "application/json-patch+json"
_MERGE_PATCH: Final = "application/merge-patch+json"
# An explanation of a refused watch is read up to this; the rest of it is dropped.
_REFUSAL_BYTES_MAX: Final = 65_536
_REFUSAL_READ_S_MAX: Final = 5.0

_Query: TypeAlias = tuple[tuple[str, str], ...]


class ApiClient:
    """Sends Kubernetes verbs. Safe for any number of tasks at once.

    `timeout_s` bounds each exchange, the wait for a pause included. After a 429 with Retry-After
    all later requests of that class (reads or writes of that channel) wait until the pause ends;
    one that would have to wait for more than half its time limit gets the `ThrottledError` at once.
    `outage` hears of each failure (nothing probes for the end of one that is not given here),
    `permissions` of each refusal and success; `refill` lets the requests of its channel in.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Clock,
        observer: RequestObserver | None = None,
        timeout_s: float = 10.0,
        outage: Outage | None = None,
        permissions: Permissions | None = None,
        refill: RefillWindow | None = None,
    ) -> None:
        self.outage = outage or Outage(clock)
        self.permissions = permissions or Permissions(clock)
        self._exchange = Exchange(transport, clock, observer, self.outage, self.permissions, refill)
        self._timeout_s = timeout_s

    async def get(
        self,
        resource: Resource[T],
        key: ObjectKey,
        *,
        channel: Channel = Channel.CLAIMS,
        timeout_s: float | None = None,
    ) -> T:
        """The object as it is now: a consistent read, never from a server's lagging cache."""
        limit_s = timeout_s or self._timeout_s
        request = Request("GET", resource.item(key), channel=channel, timeout_s=limit_s)
        call = Call("get", str(resource), key.namespace, request)
        return await self._object(resource, call, Expected(key.name, key.namespace))

    async def create(
        self,
        resource: Resource[T],
        namespace: str,
        body: Mapping[str, object] | bytes,
        *,
        channel: Channel = Channel.CLAIMS,
        field_manager: str | None = None,
        timeout_s: float | None = None,
        is_patient: bool = True,
    ) -> T:
        """Create an object; `AlreadyExistsError` if the name is taken. It carries no test, so where
        the view that it was decided on must still hold it is not patient (`Call`)."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        request = Request(
            "POST",
            resource.collection(namespace),
            (("fieldManager", field_manager),) if field_manager else (),
            raw,
            channel=channel,
            timeout_s=timeout_s or self._timeout_s,
        )
        expected = Expected(_name_in(body), namespace)
        call = Call("create", str(resource), namespace, request, is_patient=is_patient)
        return await self._object(resource, call, expected)

    async def review(
        self, resource: Resource[V], body: Mapping[str, object], *, timeout_s: float
    ) -> V:
        """Have the server judge something, over connections of its own. Nothing is stored, so the
        answer has no name."""
        path, raw = resource.collection(), msgspec.json.encode(body)
        request = Request("POST", path, body=raw, channel=Channel.REVIEW, timeout_s=timeout_s)
        call = Call("create", str(resource), "", request, is_patient=False)
        return self._read(call, await self._exchange.send(call), resource.view)

    async def json_patch(
        self,
        resource: Resource[T],
        key: ObjectKey,
        operations: Sequence[Mapping[str, object]],
        *,
        subresource: str | None = None,
        channel: Channel = Channel.CLAIMS,
        timeout_s: float | None = None,
        is_patient: bool = True,
    ) -> T:
        """Apply RFC 6902 operations; a failed `test` is a `ConflictError`.

        So is any other 422 (schema, denial): the server does not tell them apart. Resolve it by
        one `get`. Where the operations test /metadata/uid, the answer is held against that uid.
        """
        uid = next((str(op.get("value")) for op in operations if _tests_uid(op)), "")
        call = Call(
            "patch",
            str(resource),
            key.namespace,
            Request(
                "PATCH",
                resource.item(key, subresource),
                body=msgspec.json.encode(operations),
                content_type=_JSON_PATCH,
                channel=channel,
                timeout_s=timeout_s or self._timeout_s,
            ),
            subresource or "",
            is_422_conflict=True,
            is_patient=is_patient,
        )
        return await self._object(resource, call, Expected(key.name, key.namespace, uid))

    async def merge_patch(
        self,
        resource: Resource[T],
        key: ObjectKey,
        patch: Mapping[str, object],
        *,
        subresource: str | None = None,
        channel: Channel = Channel.CLAIMS,
        timeout_s: float | None = None,
    ) -> T:
        """Apply an RFC 7386 patch. With metadata.resourceVersion in it the server compares
        versions, with metadata.uid identities (a 422, here a `ConflictError` as the 409 is)."""
        uid = answers.member(patch, "metadata", "uid")
        call = Call(
            "patch",
            str(resource),
            key.namespace,
            Request(
                "PATCH",
                resource.item(key, subresource),
                body=msgspec.json.encode(patch),
                content_type=_MERGE_PATCH,
                channel=channel,
                timeout_s=timeout_s or self._timeout_s,
            ),
            subresource or "",
            is_422_conflict=bool(uid),
        )
        return await self._object(resource, call, Expected(key.name, key.namespace, uid))

    async def replace(
        self,
        resource: Resource[T],
        key: ObjectKey,
        body: Mapping[str, object] | bytes,
        *,
        subresource: str | None = None,
        channel: Channel = Channel.CLAIMS,
        timeout_s: float | None = None,
    ) -> T:
        """Put a whole object; with metadata.resourceVersion in it, only over that version."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        identity = answers.identity_of(raw)
        request = Request(
            "PUT",
            resource.item(key, subresource),
            body=raw,
            channel=channel,
            timeout_s=timeout_s or self._timeout_s,
        )
        call = Call("update", str(resource), key.namespace, request, subresource or "")
        uid = identity.metadata.uid if identity else ""
        return await self._object(resource, call, Expected(key.name, key.namespace, uid))

    async def delete(
        self,
        resource: Resource[T],
        key: ObjectKey,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str | None = None,
        channel: Channel = Channel.CLAIMS,
        timeout_s: float | None = None,
    ) -> T | None:
        """Delete an object, if it still has that uid and version (else `ConflictError`).

        `propagation`: Background, Foreground or Orphan. Returns None if the object is gone; else
        how it is now, when it stays until its finalizers are gone, or its grace is over.
        """
        options: dict[str, object] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if known := {name: value for name, value in preconditions.items() if value}:
            options["preconditions"] = known
        if propagation:
            options["propagationPolicy"] = propagation
        request = Request(
            "DELETE",
            resource.item(key),
            body=msgspec.json.encode(options),
            channel=channel,
            timeout_s=timeout_s or self._timeout_s,
        )
        call = Call("delete", str(resource), key.namespace, request)
        response = await self._exchange.send(call)
        if self._read(call, response, answers.Kind).kind == "Status":
            return None
        # Some kinds answer with the object although it is gone: the watch tells that.
        expected = Expected(key.name, key.namespace, uid or "")
        return self._checked(call, self._read(call, response, resource.view), expected)

    async def list_page(
        self,
        resource: Resource[T],
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        limit: int = 500,
        continue_token: str = "",
        resource_version: str | None = "",
        match: str | None = None,
        channel: Channel = Channel.WATCH,
        timeout_s: float | None = None,
    ) -> Page[T]:
        """One page of at most `limit` objects (0: all).

        `resource_version` "" is a consistent read; with `match` "NotOlderThan" the server may
        answer from its cache once that has reached the version. An object that does not decode is
        left out, and named in the page.
        """
        query = _selection(label_selector)
        query += (("limit", str(limit)),) if limit else ()
        if continue_token:
            # The token holds the version; the server refuses a second word on it.
            query += (("continue", continue_token),)
        elif resource_version:
            query += (("resourceVersion", resource_version),)
            query += (("resourceVersionMatch", match),) if match else ()
        limit_s = timeout_s or self._timeout_s
        path, page = resource.collection(namespace), PageReader(resource.view)
        request = Request(
            "GET", path, query, channel=channel, timeout_s=limit_s, on_piece=page.feed
        )
        call = Call("list", str(resource), namespace or "", request)
        response = await self._exchange.send(call)
        try:
            page.feed(response.body)
            return page.end()
        except BrokenListError as error:
            raise self._exchange.unusable(call, str(error)) from error

    async def watch(
        self,
        resource: Resource[T],
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        resource_version: str = "",
        timeout_s: float = 300.0,
        connect_timeout_s: float | None = None,
        send_initial_events: bool = False,
        channel: Channel = Channel.WATCH,
    ) -> ByteStream:
        """Open a stream of events after `resource_version`; the server ends it after `timeout_s`.

        With `send_initial_events` the present state comes first, closed by an annotated bookmark.
        The caller closes the stream.
        """
        query = (*_selection(label_selector), ("watch", "1"), ("allowWatchBookmarks", "true"))
        query += (("fieldSelector", field_selector),) if field_selector else ()
        query += (("timeoutSeconds", str(max(1, round(timeout_s)))),)
        query += (("resourceVersion", resource_version),) if resource_version else ()
        if send_initial_events:
            query += (("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan"))
        path, limit_s = resource.collection(namespace), connect_timeout_s or self._timeout_s
        request = Request("GET", path, query, channel=channel, timeout_s=limit_s)
        return await self._opened(Call("watch", str(resource), namespace or "", request))

    async def open_list(
        self,
        resource: Resource[T],
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        limit: int = 500,
        continue_token: str = "",
        channel: Channel = Channel.WATCH,
        timeout_s: float | None = None,
    ) -> ByteStream:
        """One page of a list as the server sends it, for who passes objects on as they are;
        `timeout_s` ends with the response head. The caller closes the stream."""
        query = (*_selection(label_selector), ("limit", str(limit)))
        query += (("continue", continue_token),) if continue_token else ()
        path, limit_s = resource.collection(namespace), timeout_s or self._timeout_s
        request = Request("GET", path, query, channel=channel, timeout_s=limit_s)
        return await self._opened(Call("list", str(resource), namespace or "", request))

    async def open_document(self, path: str) -> ByteStream:
        """What the server says of itself at `path` (/version, /apis and below), as it sends it. The
        caller closes the stream."""
        request = Request("GET", path, channel=Channel.WATCH, timeout_s=self._timeout_s)
        return await self._opened(Call("get", "discovery", "", request))

    async def _opened(self, call: Call) -> ByteStream:
        """The stream of a success; an answer that is none has been read and closed."""
        stream = await self._exchange.open(call)
        kind = stream.headers.get("content-type", _JSON)
        if stream.status == 200 and kind.startswith(_JSON):
            return stream
        body = await _refusal(stream)
        if stream.status < 400:
            raise self._exchange.unusable(call, f"HTTP {stream.status} {kind}")
        raise self._exchange.refusal(call, stream.status, stream.headers, body)

    async def is_served(self, resource: Resource[T], namespace: str) -> bool:
        """Whether the server answers a read of this kind, with whatever it may be but a 5xx or a
        429: then it has started, knows the kind, and its database is there. The object that is
        asked for need not exist; no pause holds this up; raises none of our errors."""
        path = resource.item(ObjectKey(namespace, PROBE_NAME))
        request = Request("GET", path, channel=Channel.WATCH, timeout_s=PROBE_S_MAX)
        return await self._exchange.is_answered(Call("get", str(resource), namespace, request))

    async def _object(self, resource: Resource[T], call: Call, expected: Expected) -> T:
        """Send, and read the object that was asked for; the answer is believed, not the request."""
        response = await self._exchange.send(call)
        return self._checked(call, self._read(call, response, resource.view), expected)

    def _checked(self, call: Call, obj: T, expected: Expected) -> T:
        other = expected.other_than(obj.metadata)
        if other is not None:
            raise self._exchange.unusable(call, f"the answer is about {other!r}")
        return obj

    def _read(self, call: Call, response: Response, type_: type[V]) -> V:
        try:
            return answers.decoder_for(type_).decode(response.body)
        except answers.DECODE_ERRORS as error:
            raise self._exchange.unusable(call, str(error)) from error


def _selection(label_selector: str | None) -> _Query:
    return (("labelSelector", label_selector),) if label_selector else ()


def _name_in(body: Mapping[str, object] | bytes) -> str:
    if not isinstance(body, bytes):
        return answers.member(body, "metadata", "name")
    identity = answers.identity_of(body)
    return identity.metadata.name if identity else ""


def _tests_uid(operation: Mapping[str, object]) -> bool:
    return operation.get("op") == "test" and operation.get("path") == "/metadata/uid"


async def _refusal(stream: ByteStream) -> bytes:
    """The explanation of a refused watch, as far as it comes in time."""
    body = b""
    try:
        async with asyncio.timeout(_REFUSAL_READ_S_MAX):
            while len(body) < _REFUSAL_BYTES_MAX and (piece := await stream.read()):
                body += piece
    except (StreamError, TimeoutError):
        pass
    finally:
        await stream.close()
    return body
