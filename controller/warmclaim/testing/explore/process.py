"""One controller process, made of production parts; its caches are fed by hand.

A whole App costs 1.2 ms to build and two lists and watches of each kind to start. Here a process
has one kind of controller, wired as the App wires it, and hears of commits in one of two extreme
ways: at once (before the writer has its answer), or not before it is told to catch up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, Final, Literal, TypeAlias, TypeVar

from prometheus_client import CollectorRegistry

from warmclaim.api.claim import Claim
from warmclaim.api.meta import Object, ObjectKey
from warmclaim.api.names import LABEL_NAME_HASH
from warmclaim.api.resources import (
    CLAIM,
    NETWORK_POLICY,
    POD,
    POOL,
    SANDBOX,
    SERVICE,
    TEMPLATE,
    VOLUME_CLAIM,
    Resource,
)
from warmclaim.app.crew import RETRY_BASE_S, RETRY_CAP_S
from warmclaim.app.muted_events import MutedEvents
from warmclaim.controllers.blueprints import Blueprints
from warmclaim.controllers.claim import ClaimReconciler
from warmclaim.controllers.claim_events import ClaimEvents
from warmclaim.controllers.claim_journal import ClaimJournal
from warmclaim.controllers.claim_marks import ClaimMarksReconciler, wake_for_marks
from warmclaim.controllers.claim_records import ClaimRecords
from warmclaim.controllers.claim_sight import ClaimCaches
from warmclaim.controllers.claim_telemetry import ClaimTelemetry
from warmclaim.controllers.cold_starts import ColdStarts
from warmclaim.controllers.hand_over import HandOver
from warmclaim.controllers.indexes import (
    BY_ASKED_POOL,
    BY_MARK,
    BY_NAME_HASH,
    BY_OWNER_UID,
    BY_OWNING_POOL,
    BY_TEMPLATE,
    asked_pool_of,
    mark_of_orphan,
    mark_of_pool,
    name_hash_of,
    owner_uid_of,
    owning_pool_of,
    template_of,
)
from warmclaim.controllers.keys import sandbox_key
from warmclaim.controllers.pool import PoolCaches, PoolReconciler
from warmclaim.controllers.pool_events import PoolEvents
from warmclaim.controllers.pool_telemetry import PoolTelemetry
from warmclaim.controllers.sandbox import SandboxReconciler
from warmclaim.controllers.sandbox_wakeups import SandboxCaches, SandboxWakeups
from warmclaim.controllers.template import TemplateCaches, TemplateReconciler
from warmclaim.controllers.template_events import TemplateEvents
from warmclaim.controllers.warm_index import WarmIndex
from warmclaim.domain.eligibility import pool_owner, why_not_adoptable
from warmclaim.errors import InvariantError
from warmclaim.kube.answers import decoder_for
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Change, Informer
from warmclaim.runtime.async_workqueue import AsyncWorkqueue
from warmclaim.runtime.controller import Controller, EndedPass
from warmclaim.runtime.reconciler import Reconciler
from warmclaim.seams import Clock, Transport
from warmclaim.settings import ClaimSettings, PoolSettings, SandboxSettings
from warmclaim.telemetry.metrics import Metrics
from warmclaim.testing.store import Commit, ObjectStore
from warmclaim.testing.virtual_loop import SeededRng
from warmqueue import Backoff, Lane, WaitingLine, WarmDirectory, Workqueue

T = TypeVar("T", bound=Object)
Part: TypeAlias = Literal["claim", "marks", "pool", "sandbox", "template"]
Turn: TypeAlias = Callable[[], Awaitable[None]]

_KINDS: Final[dict[Part, tuple[Resource[Any], ...]]] = {
    # in the order in which they are listed
    "claim": (TEMPLATE, POOL, SANDBOX, CLAIM),
    "marks": (SANDBOX, CLAIM),
    "pool": (TEMPLATE, SANDBOX, POOL),
    "sandbox": (VOLUME_CLAIM, POD, SERVICE, SANDBOX),
    "template": (NETWORK_POLICY, TEMPLATE),
}
_INDEXES: Final[dict[str, dict[str, Any]]] = {
    str(CLAIM): {BY_ASKED_POOL: asked_pool_of},
    str(SANDBOX): {
        BY_OWNER_UID: owner_uid_of,
        BY_OWNING_POOL: owning_pool_of,
        BY_MARK: mark_of_orphan,
    },
    str(POOL): {BY_TEMPLATE: template_of, BY_MARK: mark_of_pool},
    str(POD): {BY_OWNER_UID: owner_uid_of, BY_NAME_HASH: name_hash_of},
    str(SERVICE): {BY_OWNER_UID: owner_uid_of},
}


class _Unheld(ColdStarts):
    """Holds nobody up: whose turn it is to start cold is a matter of time, which stands still
    here, and adds no call to the orders that are searched."""

    def may_begin(self, key: ObjectKey) -> bool:
        """Always."""
        return True


class FedInformer(Informer[T]):
    """An informer whose events come by hand, so its watch never counts as broken."""

    def unwatched_s(self) -> float:
        return 0.0


async def at_once() -> None:
    """The turn of a controller that yields to nobody."""


class Process:
    """A controller of one kind with its queue, caches and memory.

    `hear` is for the store's observers; a deaf process keeps what it is told for `catch_up`.
    `violations` are promises that the production code itself saw broken.
    """

    def __init__(
        self,
        part: Part,
        transport: Transport,
        clock: Clock,
        *,
        workers: int = 1,
        batch_items_max: int = 300,
        turn: Turn = at_once,
    ) -> None:
        self.client = ApiClient(transport, clock=clock)
        self.warm = WarmDirectory()
        self.waiting: WaitingLine[ObjectKey] = WaitingLine()
        self.violations: list[str] = []
        self.is_deaf = False
        self._unheard: list[Commit] = []
        self._turn = turn
        self._pool_settings = PoolSettings(batch_items_max=batch_items_max)
        self._clock = clock
        rng = SeededRng(0)
        self.informers: dict[str, Informer[Any]] = {
            str(kind): FedInformer(
                self.client,
                kind,
                clock=clock,
                rng=rng,
                indexes=_INDEXES.get(str(kind)),
                do_handlers_raise=True,
            )
            for kind in _KINDS[part]
        }
        self.queue = AsyncWorkqueue(_a_queue(), clock)
        build = {
            "claim": self._claims,
            "marks": self._marks,
            "pool": self._pools,
            "sandbox": self._sandboxes,
            "template": self._templates,
        }
        self.controller = Controller(
            part, build[part](), self.queue, workers=workers, clock=clock, observer=self
        )

    def list_all(self, store: ObjectStore, *, last_first: Resource[Any] | None = None) -> None:
        """Fill the caches with what is there. The objects of `last_first` come in the opposite
        order, as in a process that lived through something else."""
        for resource, informer in self.informers.items():
            objects = [view_of(commit) for commit in store.scan(resource)]
            informer.replace([], "1", unreadable=(), is_reset=False)
            for obj in reversed(objects) if informer.resource is last_first else objects:
                informer.put(obj)
            informer.bookmark(str(store.rv))

    def hear(self, commit: Commit) -> None:
        """Something was committed."""
        if self.is_deaf:
            self._unheard.append(commit)
            return
        informer = self.informers.get(commit.resource)
        if informer is None or not is_tracked(commit):
            return
        obj = view_of(commit)
        if commit.is_live:
            informer.put(obj)
        else:
            informer.gone(obj.metadata.key, obj.metadata.uid, commit.rv)

    def catch_up(self) -> None:
        """Hear all that was held back, and be deaf no longer."""
        self.is_deaf = False
        commits, self._unheard = self._unheard, []
        for commit in commits:
            self.hear(commit)

    def pass_ended(self, controller: str, ended: EndedPass) -> None:
        """For the controller: how a pass ended is seen in the world, or it was refused."""
        if isinstance(ended.error, InvariantError):
            self.violations.append(ended.error.invariant)

    def leftovers(self) -> list[str]:
        """What a process at rest must not have: keys at work or due, candidates in flight."""
        self.warm.check()
        known = self.queue.core.statistics()
        found = [f"{known.worked} keys still worked"] if known.worked else []
        if due := sum(known.waiting.values()):
            found.append(f"{due} keys due and not worked")
        for pool in self.warm.pools():
            if flying := self.warm.statistics(pool).in_flight:
                found.append(f"{flying} candidates of {pool.name} taken and never returned")
        found += [f"{name} may be handed out and is not offered" for name in self._forgotten()]
        return found + [f"{promise} seen broken by the process" for promise in self.violations]

    def _forgotten(self) -> list[str]:
        """Sandboxes that the cache shows as adoptable and the warm queue does not know."""
        if self.controller.name != "claim":
            return []
        sandboxes, pools = self.informers[str(SANDBOX)].store, self.informers[str(POOL)].store
        return [
            sandbox.metadata.name
            for sandbox in sandboxes.values()
            if (owner := pool_owner(sandbox))
            and not why_not_adoptable(
                sandbox, pools.get(ObjectKey(sandbox.metadata.namespace, owner.name))
            )
            and self.warm.place_of(sandbox_key(sandbox.metadata.key)) is None
        ]

    def _claims(self) -> Reconciler[ObjectKey]:
        inform = self.informers
        caches = ClaimCaches(
            inform[str(CLAIM)], inform[str(SANDBOX)], inform[str(POOL)], inform[str(TEMPLATE)]
        )
        hand_over = HandOver(self.client, caches.claims, caches.sandboxes)
        journal = ClaimJournal(caches.claims, self.warm, self._clock)
        telemetry = ClaimTelemetry(_metrics(), MutedEvents(), self._clock, journal)
        reconciler = ClaimReconciler(
            caches,
            Blueprints(caches.templates),
            hand_over,
            self.warm,
            self.waiting,
            _Unheld(self._clock),
            telemetry,
            self._clock,
            ClaimSettings(),
        )
        reconciler.looked = self.queue.looked
        events = ClaimEvents(caches, self.queue, self.warm, self.waiting, reconciler.records)
        WarmIndex(
            caches,
            self.warm,
            on_candidate=events.candidate_arrived,
            on_refused=telemetry.refused_member,
        )
        return reconciler

    def _marks(self) -> Reconciler[ObjectKey]:
        claims, sandboxes = self.informers[str(CLAIM)], self.informers[str(SANDBOX)]
        records = ClaimRecords(self._clock)

        def saw(change: Change[Claim]) -> None:
            if change.new is not None:
                records.saw(change.new, change.old)

        async def turn(_: float) -> None:
            await self._turn()

        claims.subscribe(saw)
        wake_for_marks(claims, self.queue)
        return ClaimMarksReconciler(
            self.client, claims, sandboxes, records, turn, self._clock, notes_times=True
        )

    def _pools(self) -> Reconciler[ObjectKey]:
        inform = self.informers
        caches = PoolCaches(inform[str(POOL)], inform[str(SANDBOX)], inform[str(TEMPLATE)])
        reconciler = PoolReconciler(
            self.client,
            caches,
            Blueprints(caches.templates),
            PoolTelemetry(MutedEvents(), self._pool_settings),
            self._turn,
            self._clock,
            self._pool_settings,
        )
        PoolEvents(caches, self.queue, reconciler.memories.sandbox_changed)
        return reconciler

    def _sandboxes(self) -> Reconciler[ObjectKey]:
        inform = self.informers
        caches = SandboxCaches(
            inform[str(SANDBOX)],
            inform[str(POD)],
            inform[str(SERVICE)],
            inform[str(VOLUME_CLAIM)],
        )

        def enqueue(key: ObjectKey, lane: Lane, after_s: float) -> None:
            self.queue.add(key, lane=lane, after_s=after_s)

        reconciler = SandboxReconciler(
            self.client,
            caches,
            MutedEvents(),
            enqueue,
            self._turn,
            self._clock,
            SandboxSettings(),
        )
        reconciler.looked, reconciler.is_wanted = self.queue.looked, self.queue.is_wanted
        SandboxWakeups(caches, enqueue, self.queue.core.is_worked, reconciler.interim_left_s)
        return reconciler

    def _templates(self) -> Reconciler[ObjectKey]:
        caches = TemplateCaches(self.informers[str(TEMPLATE)], self.informers[str(NETWORK_POLICY)])
        # The policies of older versions have a controller of their own, which does not run here.
        TemplateEvents(caches, self.queue, AsyncWorkqueue(_a_queue(), self._clock))
        return TemplateReconciler(self.client, caches, MutedEvents())


def _a_queue() -> Workqueue[ObjectKey]:
    backoff = Backoff(base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S)
    return Workqueue(namespace_of=lambda key: key.namespace, backoff=backoff)


def view_of(commit: Commit) -> Any:
    """The object as a watch would give it."""
    return decoder_for(_VIEWS[commit.resource]).decode(commit.encoded)


def is_tracked(commit: Commit) -> bool:
    """What belongs to sandboxes is watched by label."""
    if commit.resource not in (str(POD), str(SERVICE), str(VOLUME_CLAIM)):
        return True
    return LABEL_NAME_HASH in commit.object["metadata"].get("labels", {})


_VIEWS: Final = {str(kind): kind.view for kinds in _KINDS.values() for kind in kinds}


@cache
def _metrics() -> Metrics:
    """One for all processes: 0.5 ms to build, and nobody reads it here."""
    return Metrics(CollectorRegistry())
