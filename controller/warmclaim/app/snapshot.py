"""Gathers a snapshot: what this process knows and decides by, and what the API server stores.

Its parts in their order: metadata, config, controllerParams, queues, rawObjects, discovery, errors.
They are not of one moment: each is as it was when its turn came. What cannot be read is told in
`errors`, and never looks as if it were empty.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec

from warmclaim import __version__
from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import CLAIM
from warmclaim.api.timestamps import rfc3339_nano
from warmclaim.app.outside import Outside
from warmclaim.app.snapshot_objects import ObjectParts
from warmclaim.app.snapshot_writer import SnapshotWriter
from warmclaim.controllers.claim_journal import ClaimJournal
from warmclaim.errors import WarmclaimError
from warmclaim.kube.client import ApiClient
from warmclaim.kube.discovery import documents
from warmclaim.kube.informer import Informer
from warmclaim.runtime.controller import Controller
from warmclaim.runtime.diagnostics import Outlet, ReaderLeftError
from warmclaim.settings import Settings
from warmclaim.streaming.snapshot import FORMAT_VERSION
from warmqueue import PoolKey, WarmDirectory

ERRORS_MAX: Final = 200
REASON_CHARS_MAX: Final = 500
MISTAKE: Final = "InternalError"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SnapshotSources:
    """What a manager has that a snapshot tells of. `journal` is None where this process serves no
    claims. The maps and the queues are the living ones."""

    settings: Settings
    outside: Outside
    informers: Mapping[str, Informer[Any]]
    controllers: Mapping[str, Controller[ObjectKey]]
    warm: WarmDirectory
    journal: ClaimJournal | None
    is_leading: Callable[[], bool]
    is_serving_claims: Callable[[], bool]


class _Errors:
    """What could not be read, and why; the first `ERRORS_MAX`."""

    def __init__(self) -> None:
        self.told: list[dict[str, str]] = []

    def add(self, part: str, error: Exception) -> None:
        is_known = isinstance(error, WarmclaimError)
        reason = str(error) if is_known else f"{MISTAKE}: {error!r}"
        if len(self.told) < ERRORS_MAX:
            self.told.append({"part": part, "reason": reason[:REASON_CHARS_MAX]})


class Snapshots:
    """Takes snapshots of one manager, as often as it is asked to.

    They have a client of their own: what a snapshot is refused, or told to wait for, holds up
    nobody else.
    """

    def __init__(self, sources: SnapshotSources) -> None:
        outside, timeout_s = sources.outside, sources.settings.api.request_timeout_s
        self._sources = sources
        self._client = ApiClient(outside.transport, clock=outside.clock, timeout_s=timeout_s)

    async def take(self, outlet: Outlet, is_redacted: bool) -> None:
        """Write one to its end, whatever fails. Raises ReaderLeftError."""
        sources, errors = self._sources, _Errors()
        writer = SnapshotWriter(
            outlet, sources.outside.clock, sources.is_serving_claims, is_redacted=is_redacted
        )
        objects = ObjectParts(
            self._client,
            sources.informers,
            sources.settings.namespaces[0] if sources.settings.namespaces else None,
            errors.add,
        )
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "metadata": partial(self._metadata, writer, is_redacted=is_redacted),
            "config": partial(writer.value, "config", sources.settings),
            "controllerParams": partial(writer.value, "controllerParams", _parameters(sources)),
            "queues": partial(self._queues, writer),
            "rawObjects": partial(objects.write, writer),
            "discovery": partial(self._discovery, writer, errors),
        }
        await writer.begin()
        for name, write in parts.items():
            await writer.rest()
            await _attempted(name, write, errors)
        writer.list("errors")
        for told in errors.told:
            await writer.item(msgspec.json.encode(told))
        await writer.end()

    async def _metadata(self, writer: SnapshotWriter, *, is_redacted: bool) -> None:
        sources = self._sources
        metadata = {
            "formatVersion": FORMAT_VERSION,
            "program": "warmclaim",
            "version": __version__,
            "takenAt": rfc3339_nano(sources.outside.clock.wall()),
            "identity": sources.outside.identity,
            "isLeading": sources.is_leading(),
            "isRedacted": is_redacted,
        }
        await writer.value("metadata", metadata)

    async def _queues(self, writer: SnapshotWriter) -> None:
        """Each pool: what waits in it by node, its entries, and the last steps for its claims."""
        warm, decided = self._sources.warm, await self._decided(writer)
        for pool in sorted({*warm.pools(), *decided}):
            counts = warm.statistics(pool)
            head = {
                "ready": counts.ready,
                "notReady": counts.not_ready,
                "held": counts.held,
                "inFlight": counts.in_flight,
                "nodes": dict(sorted(warm.nodes(pool).items())),
            }
            writer.group("queues", str(pool), head, "entries")
            for key in warm.keys(pool):
                entry, place = warm.entry_of(key), warm.place_of(key)
                if entry is not None and place is not None:
                    told = {
                        "sandbox": str(key),
                        "uid": entry.uid,
                        "node": entry.node,
                        "place": place.value,
                        "arrival": entry.arrival,
                    }
                    await writer.item(msgspec.json.encode(told))
            writer.next_list("decisions")
            for claim in decided.get(pool, ()):
                await self._decision(writer, claim)
            writer.end_group({})

    async def _decided(self, writer: SnapshotWriter) -> dict[PoolKey, list[ObjectKey]]:
        """The claims of the journal, 4,096 at most, by the pool that they ask."""
        journal, claims = self._sources.journal, self._sources.informers.get(str(CLAIM))
        found: defaultdict[PoolKey, list[ObjectKey]] = defaultdict(list)
        if journal is not None and claims is not None:
            for key in journal.claims():
                await writer.rest()
                claim = claims.store.get(key)
                if claim is not None:
                    found[PoolKey(key.namespace, claim.spec.warm_pool_ref.name)].append(key)
        return found

    async def _decision(self, writer: SnapshotWriter, claim: ObjectKey) -> None:
        assert self._sources.journal is not None
        uid, steps = self._sources.journal.steps_of(claim)
        told = {"claim": str(claim), "uid": uid, "steps": steps}
        await writer.item(msgspec.json.encode(told))

    async def _discovery(self, writer: SnapshotWriter, errors: _Errors) -> None:
        writer.list("discovery")
        async for path, json, error in documents(self._client):
            if error is not None:
                errors.add(f"discovery {path}", error)
            else:
                told = {"path": path, "document": msgspec.Raw(json)}
                await writer.item(msgspec.json.encode(told))


async def _attempted(name: str, write: Callable[[], Awaitable[None]], errors: _Errors) -> None:
    """Write a part; what keeps it from its end is told, and the others follow."""
    try:
        await write()
    except ReaderLeftError:
        raise
    except WarmclaimError as error:
        errors.add(name, error)
    except Exception as error:
        _log.exception("a part of a snapshot failed")
        errors.add(name, error)


def _parameters(sources: SnapshotSources) -> dict[str, object]:
    """What the controllers work with now, and how much of it waits."""
    settings = sources.settings
    return {
        "controllers": {
            name: {
                "working": len(controller.ages_s()),
                "waiting": {
                    lane.name.lower(): count
                    for lane, count in controller.queue.core.statistics().waiting.items()
                },
            }
            for name, controller in sources.controllers.items()
        },
        "workers": {
            "claim": settings.claims.workers,
            "pool": settings.pools.workers,
            "sandbox": settings.sandboxes.workers,
            "template": settings.templates.workers,
        },
        "refill": {
            "batchItemsMax": settings.pools.batch_items_max,
            "perSecondMax": settings.pools.refill_per_s_max,
            "delaySeconds": settings.pools.replenish_delay_s,
        },
        "features": {
            "leaderElection": settings.lease.enabled,
            "watchList": settings.api.uses_watch_list,
            "claimEvents": not settings.claims.events_disabled,
            "observabilityAnnotations": not settings.claims.observability_disabled,
            "webhook": settings.webhook.enabled,
            "traces": settings.serving.traces,
        },
    }
