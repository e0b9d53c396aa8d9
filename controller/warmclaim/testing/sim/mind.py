"""What a manager's own caches told it before a pass began: it must not act against that.

* S7: under Recreate no member is given to a claim that was made from other images than the
  template names;
* S12: no pod is made for a sandbox that is suspended;
* S13: no policy is deleted of a template that wants it.

A cache counts where it holds what the server has, and has held it since before the pass began: an
older view is excused by the compare-and-set of the write, or by how long a watch may lag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import NETWORK_POLICY, POD, POOL, SANDBOX, TEMPLATE, Resource
from warmclaim.kube.informer import Change, Informer
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.admins import TEMPLATE_NAME, does_recreate, is_managed, is_stale
from warmclaim.testing.sim.barrier import claimed_by
from warmclaim.testing.sim.objects import controller_of, part
from warmclaim.testing.sim.wire import Exchange, Report
from warmclaim.testing.store import ObjectStore

_KNOWN: Final[tuple[Resource[Any], ...]] = (POOL, SANDBOX, TEMPLATE)


class _Memory:
    """One process' caches, and how many passes had begun when each spec came into them."""

    def __init__(self, passes_begun: Callable[[], int]) -> None:
        self._passes_begun = passes_begun
        self._informers: dict[str, Informer[Any]] = {}
        self._learned: dict[tuple[str, ObjectKey], int] = {}

    def follow(self, resource: str, informer: Informer[Any]) -> None:
        self._informers[resource] = informer
        informer.subscribe(partial(self._learn, resource))

    def knows(self, resource: str, stored: Json, number: int) -> bool:
        """Whether the pass of that number began when the cache had the spec that is stored."""
        metadata = stored["metadata"]
        key = ObjectKey(metadata["namespace"], metadata["name"])
        informer = self._informers.get(resource)
        found = informer.store.get(key) if informer is not None else None
        if found is None or found.metadata.uid != metadata["uid"]:
            return False
        is_same = found.metadata.generation == metadata.get("generation")
        return is_same and self._learned.get((resource, key), 0) < number

    def _learn(self, resource: str, change: Change[Any]) -> None:
        old, new = change.old, change.new
        if new is None:
            return
        if old is None or _identity(old) != _identity(new):
            self._learned[resource, new.metadata.key] = self._passes_begun()


def _identity(value: Any) -> tuple[str, int]:
    return value.metadata.uid, value.metadata.generation


class Mind:
    """Hears of writes, and follows the caches of each App."""

    def __init__(self, store: ObjectStore, passes_begun: Callable[[], int], report: Report) -> None:
        self._store = store
        self._passes_begun = passes_begun
        self._report = report
        self._memories: dict[str, _Memory] = {}

    def attach(self, process: str, informers: Mapping[str, Informer[Any]]) -> None:
        """Follow these caches of a process, before it runs."""
        memory = self._memories[process] = _Memory(self._passes_begun)
        for resource in map(str, _KNOWN):
            if resource in informers:
                memory.follow(resource, informers[resource])

    def sent(self, exchange: Exchange) -> None:
        """Hold a write against what its sender knew."""
        resource, method = exchange.place.resource, exchange.request.method
        if resource == str(SANDBOX) and method == "PATCH" and not exchange.place.subresource:
            self._judge_reservation(exchange)
        elif resource == str(POD) and method == "POST":
            self._judge_pod(exchange)
        elif resource == str(NETWORK_POLICY) and method == "DELETE":
            self._judge_policy(exchange)

    def _judge_reservation(self, exchange: Exchange) -> None:
        member = self._known(exchange, SANDBOX, exchange.place.name)
        owner = controller_of(member)
        if member is None or owner is None or owner.kind != POOL.kind or not claimed_by(exchange):
            return
        pool = self._known(exchange, POOL, owner.name)
        template = self._known(exchange, TEMPLATE, TEMPLATE_NAME)
        if pool is None or template is None or not does_recreate(pool):
            return
        if is_stale(member, template):
            self._report("S7", f"{exchange}: it was known to be from before the last edit")

    def _judge_pod(self, exchange: Exchange) -> None:
        made = exchange.object
        sandbox = self._known(exchange, SANDBOX, made.metadata.name)
        if sandbox is None or made.owner is None or made.owner.uid != sandbox["metadata"]["uid"]:
            return
        if part(sandbox, "spec", "operatingMode") == "Suspended":
            self._report("S12", f"{exchange}: a pod of a sandbox that was known to be suspended")

    def _judge_policy(self, exchange: Exchange) -> None:
        found = self._store.get(str(NETWORK_POLICY), exchange.place.key)
        owner = controller_of(found.object) if found is not None else None
        if owner is None or owner.kind != TEMPLATE.kind:
            return
        template = self._known(exchange, TEMPLATE, owner.name)
        if template is None or template["metadata"]["uid"] != owner.uid:
            return
        if is_managed(template):
            self._report("S13", f"{exchange}: {owner.name} was known to want it")

    def _known(self, exchange: Exchange, resource: Resource[Any], name: str) -> Json | None:
        """The object as it is stored, if its sender's pass must know it so."""
        found = self._store.get(str(resource), f"{exchange.place.namespace}/{name}")
        memory, work = self._memories.get(exchange.process), exchange.work
        if found is None or memory is None or work is None:
            return None
        is_known = memory.knows(str(resource), found.object, work.number)
        return found.object if is_known else None
