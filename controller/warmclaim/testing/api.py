"""One API server: requests in, answers out, with the semantics of a kube-apiserver 1.36.

    server = FakeApiServer()                                  # own cluster, all kinds served
    answer = await server.handle(Request("GET", "/api/v1/pods"))
    stream = await server.open_stream(Request("GET", "/api/v1/pods", (("watch", "true"),)))

It knows no sockets: `transport` calls it inside the process, `http_front` for real HTTP. Several
servers may share one cluster; each has its own watch cache.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec

from warmclaim.seams import ByteStream, Request, Response
from warmclaim.streaming.json_list import EncodedList, ListEncoder
from warmclaim.testing import discovery, reading, refusals, reviews, scale, writing
from warmclaim.testing.alarm import Alarm
from warmclaim.testing.audit import AuditEntry, RequestLog
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.deletion import DeleteOptions
from warmclaim.testing.json_values import Json
from warmclaim.testing.reading import ReadOptions
from warmclaim.testing.refusals import Refusal
from warmclaim.testing.routes import target_of
from warmclaim.testing.store import Commit, CompactedError, Verb
from warmclaim.testing.target import Target
from warmclaim.testing.watch import Watch, WatchCache, WatchScope

WAIT_FOR_VERSION_S = 3.0
WATCH_TIMEOUT_MIN_S = 1800.0

_log = logging.getLogger(__name__)
_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: what the headers of a request say."""

    user_agent: str = "in-process"
    user: str = "system:admin"


IN_PROCESS = Caller()


class FakeApiServer:
    """Answers requests about `cluster`; `requests` counts them.

    Whatever a request does, it gets an answer: an error of the server's own is logged with its
    traceback and answered by 500. Only a list that fails when part of it has been read raises.
    `lists` writes the lists and what discovery says, and counts them.
    """

    def __init__(self, cluster: Cluster | None = None, *, cache: WatchCache | None = None) -> None:
        self.cluster = cluster or Cluster(crds=agent_sandbox_crds())
        self.cache = cache or WatchCache(self.cluster.store)
        self.lists = ListEncoder()
        self.requests = RequestLog()
        self.reviews = reviews.Reviews()
        self._watches: dict[int, Watch] = {}

    async def handle(self, request: Request, caller: Caller = IN_PROCESS) -> Response:
        """The answer to a request; a list or watch is read to its end."""
        stream = await self.open_stream(request, caller)
        if isinstance(stream, Answer):
            return stream.response
        pieces: list[bytes] = []
        try:
            while piece := await stream.read():
                pieces.append(piece)
        finally:
            await stream.close()
        return Response(stream.status, b"".join(pieces), stream.headers)

    async def open_stream(self, request: Request, caller: Caller = IN_PROCESS) -> ByteStream:
        """The answer as it comes: a Watch, a long list, or an Answer that is complete. It must be
        closed."""
        audit = _Audit(request)
        try:
            stream = await self._answered(request, audit)
        except Refusal as refusal:
            stream = Answer(Response(refusal.code, refusal.body, refusal.headers))
        except Exception as error:
            _log.exception("%s %s", request.method, request.path)
            internal = refusals.internal(repr(error))
            stream = Answer(Response(internal.code, internal.body, internal.headers))
        self.requests.record(audit.entry(caller.user_agent, stream.status))
        return stream

    def end_watches(self, resource: str = "") -> None:
        """Ends all watches cleanly, or those of one resource, as the restart of a server or the
        end of a kind mostly looks to its clients."""
        for watch in tuple(self._watches.values()):
            if resource in ("", watch.resource):
                watch.end()

    @property
    def open_watches(self) -> int:
        return self.cache.watcher_count

    async def _answered(self, request: Request, audit: _Audit) -> ByteStream:
        if request.body is not None and len(request.body) > writing.BODY_MAX_BYTES:
            raise refusals.too_large_body()
        if (answer := self._without_resource(request)) is not None:
            return answer
        target = target_of(self.cluster.kinds, request.path)
        query = dict(request.query)
        audit.target = target
        if request.method == "GET":
            return await self._read(target, query, audit)
        audit.verb = writing.verb_of(request, target)
        if request.method == "DELETE":
            return self._delete(target, query, request)
        body, dry_run = writing.body_of(request, target), writing.is_dry_run(request, query)
        if target.subresource == "scale":
            encoded = scale.write(self.cluster, target, request, body, dry_run=dry_run)
            return _answer(200, encoded)
        before = self.cluster.store.rv
        commit = self._write(target, request, body, dry_run)
        is_new = commit.verb is Verb.ADDED and commit.rv > before
        code = 201 if request.method == "POST" or is_new else 200
        return _answer(code, target.kind.encoded(commit, target.version))

    def _without_resource(self, request: Request) -> Answer | ListAnswer | None:
        """Discovery, health and reviews: answers that no stored object is behind."""
        path = request.path.rstrip("/")
        if path.startswith(discovery.HEALTH_PATHS):
            return Answer(Response(200, b"ok", {"content-type": "text/plain; charset=utf-8"}))
        if self.reviews.serves(path):
            if request.method != "POST":
                raise refusals.method_not_allowed()
            body = writing.decoded(request.body, "json parse error")
            return _answer(201, msgspec.json.encode(self.reviews.answer(path, body)))
        if path.count("/") > discovery.PATH_PARTS_MAX:
            return None
        document = discovery.document(self.cluster.kinds, path)
        if document is None:
            return None
        if request.method != "GET":
            raise refusals.method_not_allowed()
        return self._listed(document)

    def _listed(self, value: Json) -> Answer | ListAnswer:
        """The answer that is a list: complete if it fits into one piece."""
        pieces = self.lists.pieces(value)
        first = next(pieces)
        if pieces.has_more:
            return ListAnswer(first, pieces)
        pieces.close()
        return _answer(200, first)

    # ------------------------------------------------------------------ reads

    async def _read(self, target: Target, query: Mapping[str, str], audit: _Audit) -> ByteStream:
        options = ReadOptions.parsed(target, query)
        audit.verb = "watch" if options.is_watch else "get" if target.name else "list"
        if options.is_watch:
            return await self._watch(target, query, options)
        await self._reach(reading.required_rv(options))
        if not target.name:
            matches = reading.scope_selector(target, query)
            page = reading.list_page(self.cache, target, matches, options)
            return self._listed(page.listed(target))
        commit = self._newest_seen(target) if options.version else self.cluster.get(target)
        if target.subresource == "scale":
            return _answer(200, scale.encoded(target, commit.object))
        return _answer(200, target.kind.encoded(commit, target.version))

    def _newest_seen(self, target: Target) -> Commit:
        """The object as this server's cache has it."""
        try:
            return self.cluster.get(target, at=self.cache.rv)
        except CompactedError as error:
            raise refusals.too_old(error.asked, error.oldest) from error

    async def _watch(
        self, target: Target, query: Mapping[str, str], options: ReadOptions
    ) -> ByteStream:
        matches = reading.scope_selector(target, query)
        if options.initial_events:
            # Without a version the list part is consistent: this server must have seen all.
            await self._reach(options.rv if options.version else self.cluster.store.rv)
        # Without a wish, the server draws one, so that not all watches end at once.
        timeout_s = options.timeout_s or WATCH_TIMEOUT_MIN_S * (1 + self.cluster.rng.random())
        plan = reading.watch_plan(self.cache, target, matches, options, timeout_s)
        scope = WatchScope(target.kind, target.version, target.prefix, matches)
        watch = Watch(self.cache, self.cluster.clock, scope, plan, on_close=self._forget)
        self._watches[id(watch)] = watch
        return watch

    def _forget(self, watch: Watch) -> None:
        self._watches.pop(id(watch), None)

    async def _reach(self, rv: int) -> None:
        """Waits until this server has seen version `rv`; refuses (504) after 3 s."""
        if rv <= self.cache.rv:
            return
        alarm = Alarm(self.cluster.clock)
        unsubscribe = self.cache.subscribe("", alarm.ring)
        until = self.cluster.clock.monotonic() + WAIT_FOR_VERSION_S
        try:
            while rv > self.cache.rv:
                if self.cluster.clock.monotonic() >= until:
                    raise refusals.version_too_large(rv, self.cache.rv)
                await alarm.wait(until)
        finally:
            unsubscribe()
            alarm.close()

    # ----------------------------------------------------------------- writes

    def _write(self, target: Target, request: Request, body: Any, dry_run: bool) -> Commit:
        match request.method:
            case "PATCH":
                return self.cluster.patch(target, request.content_type, body, dry_run=dry_run)
            case "PUT":
                return self.cluster.replace(target, body, dry_run=dry_run)
            case _:
                return self.cluster.create(target, body, dry_run=dry_run)

    def _delete(
        self, target: Target, query: Mapping[str, str], request: Request
    ) -> Answer | ListAnswer:
        options, dry_run = writing.delete_options(request, query)
        if not target.name:
            return self._delete_collection(target, query, options, dry_run)
        deleted = self.cluster.delete(target, options, dry_run=dry_run)
        kind, metadata = target.kind, deleted.commit.object["metadata"]
        if kind.returns_deleted or not deleted.is_gone:
            return _answer(200, kind.encoded(deleted.commit, target.version))
        details: Json = {"name": target.name, **({"group": kind.group} if kind.group else {})}
        details |= {"kind": kind.plural, "uid": metadata["uid"]}
        status = refusals.success(details=details)
        return _answer(200, msgspec.json.encode(status))

    def _delete_collection(
        self, target: Target, query: Mapping[str, str], options: DeleteOptions, dry_run: bool
    ) -> Answer | ListAnswer:
        matches = reading.scope_selector(target, query)
        read = ReadOptions.parsed(target, query)
        page = reading.list_page(self.cache, target, matches, read)
        for commit in page.items:
            metadata = commit.object["metadata"]
            one = Target(
                target.kind, metadata.get("namespace", ""), metadata["name"], target.version
            )
            self.cluster.delete(one, options, dry_run=dry_run)
        return self._listed(page.listed(target))


class Answer:
    """A complete answer, as a ByteStream of one piece."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self._rest = response.body

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self.response.headers

    async def read(self) -> bytes:
        piece, self._rest = self._rest, b""
        return piece

    async def close(self) -> None:
        self._rest = b""


class ListAnswer:
    """A long list, encoded while it is read, as a ByteStream.

    `read` and `pieces` raise what encoding raises; no reader may then take it for the list.
    """

    def __init__(self, first: bytes, rest: EncodedList) -> None:
        self.pieces: Iterator[bytes] = chain((first,), rest)
        self._rest = rest

    @property
    def status(self) -> int:
        return 200

    @property
    def headers(self) -> Mapping[str, str]:
        return _JSON

    async def read(self) -> bytes:
        return next(self.pieces, b"")

    async def close(self) -> None:
        self._rest.close()


class _Audit:
    """What the entry for one request will say, as far as it is known."""

    def __init__(self, request: Request) -> None:
        self.verb = request.method.lower()
        self.target: Target | None = None

    def entry(self, user_agent: str, code: int) -> AuditEntry:
        target = self.target
        if target is None:
            return AuditEntry(self.verb, "", "", "", "", user_agent, code)
        return AuditEntry(
            self.verb,
            target.kind.resource,
            target.subresource,
            target.namespace,
            target.name,
            user_agent,
            code,
        )


def _answer(code: int, body: bytes) -> Answer:
    return Answer(Response(code, body, _JSON))
