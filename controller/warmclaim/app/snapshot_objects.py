"""The objects of a snapshot: kind by kind and one by one, as the API server has them stored."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

import msgspec

from warmclaim.api.event import TOLD_EVENT
from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import LABEL_NAME_HASH
from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, TEMPLATE, Resource
from warmclaim.app.snapshot_writer import SnapshotWriter
from warmclaim.errors import WarmclaimError
from warmclaim.kube.answers import DECODE_ERRORS
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Informer
from warmclaim.kube.raw_list import RawList
from warmclaim.runtime.diagnostics import ReaderLeftError

SECTION: Final = "rawObjects"
KINDS: Final[tuple[Resource[Any], ...]] = (CLAIM, SANDBOX, POOL, TEMPLATE, POD)

_log = logging.getLogger(__name__)

_OURS: Final = frozenset((CLAIM.kind, SANDBOX.kind, POOL.kind, TEMPLATE.kind))


class _Regarding(msgspec.Struct, frozen=True):
    kind: str = ""
    namespace: str = ""
    name: str = ""


class _AboutOne(msgspec.Struct, frozen=True):
    regarding: _Regarding = _Regarding()


_about: Final = msgspec.json.Decoder(_AboutOne)


class ObjectParts:
    """Writes the part `rawObjects`. `told` hears of each kind that the API server did not give, or
    not to its end, and why.

    The requests go over the connections of watches, one at a time: no claim waits for one.
    """

    def __init__(
        self,
        client: ApiClient,
        informers: Mapping[str, Informer[Any]],
        namespace: str | None,
        told: Callable[[str, Exception], None],
    ) -> None:
        self._client = client
        self._informers = informers
        self._namespace = namespace
        self._told = told

    async def write(self, writer: SnapshotWriter) -> None:
        """All kinds. One that was not listed is read from this process's own view of it; one
        without a view is not there at all, which is another thing than an empty list."""
        for resource in KINDS:
            selector = LABEL_NAME_HASH if resource is POD else None
            if not await self._listed(writer, resource, selector):
                await self._viewed(writer, resource)
        await self._nodes(writer)
        await self._listed(writer, TOLD_EVENT, None, self._is_about_ours)

    async def _listed(
        self,
        writer: SnapshotWriter,
        resource: Resource[Any],
        selector: str | None,
        is_wanted: Callable[[bytes], bool] = lambda _: True,
    ) -> bool:
        """Whether anything of the kind was written, the word included that there is none."""
        objects = RawList(
            self._client,
            resource,
            namespace=self._namespace,
            label_selector=selector,
            rest=writer.rest,
        )
        count, is_begun = 0, False
        error: Exception | None = None
        try:
            async with aclosing(objects.objects()) as found:
                async for item in found:
                    if not is_begun:
                        is_begun = _begin(writer, resource, "api")
                    if is_wanted(item):
                        await writer.item(item)
                        count += 1
                    del item  # else it is held beside the next one
        except ReaderLeftError:
            raise
        except Exception as failure:
            if not isinstance(failure, WarmclaimError):  # a mistake of ours costs one kind, not all
                _log.exception("a kind of a snapshot failed")
            error = failure
            self._told(f"{SECTION} {resource}", failure)
            if not is_begun:
                return False
        if not is_begun:
            _begin(writer, resource, "api")
        whole: dict[str, object] = {"resourceVersion": objects.resource_version}
        writer.end_group({"count": count, "isWhole": error is None, **(whole if not error else {})})
        return True

    async def _viewed(self, writer: SnapshotWriter, resource: Resource[Any]) -> None:
        informer = self._informers.get(str(resource))
        if informer is None or not informer.is_synced:
            return
        _begin(writer, resource, "view")
        count = 0
        for key in informer.store.keys():  # noqa: SIM118 - a copy: it changes meanwhile
            view = informer.store.get(key)
            if view is not None:
                await writer.item(msgspec.json.encode(view))
                count += 1
        writer.end_group({"count": count, "isWhole": True})

    async def _nodes(self, writer: SnapshotWriter) -> None:
        """The nodes are not the manager's to read: those that sandboxes are on, by name."""
        informer = self._informers.get(str(SANDBOX))
        if informer is None or not informer.is_synced:
            return
        sandboxes: Counter[str] = Counter()
        for key in informer.store.keys():  # noqa: SIM118 - a copy: it changes meanwhile
            sandbox = informer.store.get(key)
            if sandbox is not None and sandbox.node:
                sandboxes[sandbox.node] += 1
            await writer.rest()
        head = {"apiVersion": "v1", "kind": "Node", "source": "names"}
        writer.group(SECTION, "nodes", head, "items")
        for name, count in sorted(sandboxes.items()):
            item = {"metadata": {"name": name}, "sandboxes": count}
            await writer.item(msgspec.json.encode(item))
        writer.end_group({"count": len(sandboxes), "isWhole": True})

    def _is_about_ours(self, event: bytes) -> bool:
        try:
            about = _about.decode(event).regarding
        except DECODE_ERRORS:
            return False
        if about.kind == POD.kind:
            pods = self._informers.get(str(POD))
            return pods is not None and ObjectKey(about.namespace, about.name) in pods.store
        return about.kind in _OURS


def _begin(writer: SnapshotWriter, resource: Resource[Any], source: str) -> bool:
    head = {"apiVersion": resource.api_version, "kind": resource.kind, "source": source}
    writer.group(SECTION, str(resource), head, "items")
    return True
