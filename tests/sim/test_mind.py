"""What a cache told before a pass began binds its process; what came later, or is old, does not."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sim.wired import NAMESPACE, PROCESS, Wired, builders, in_ns, item

from warmclaim.api.pool import Pool
from warmclaim.api.resources import (
    CLAIM,
    NETWORK_POLICY,
    POD,
    POOL,
    SANDBOX,
    TEMPLATE,
    Resource,
)
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Informer
from warmclaim.seams import SystemClock
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.mind import Mind
from warmclaim.testing.sim.wire import Audience
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import SeededRng

_KINDS: dict[str, tuple[Resource[Any], Any]] = {
    POOL.kind: (POOL, Pool),
    SANDBOX.kind: (SANDBOX, Sandbox),
    TEMPLATE.kind: (TEMPLATE, Template),
}
RECREATE: Json = {"spec": {"updateStrategy": {"type": "Recreate"}}}
EDITED: Json = {
    "metadata": {"generation": 2},
    "spec": {"podTemplate": {"spec": {"containers": [{"name": "sandbox", "image": "new:2"}]}}},
}
SUSPENDED: Json = {"metadata": {"generation": 2}, "spec": {"operatingMode": "Suspended"}}


class Knowing(Wired):
    """A manager, and its caches: they are told by hand of what is stored."""

    def __init__(self) -> None:
        super().__init__()
        clock = SystemClock()
        client = ApiClient(InProcessTransport(FakeApiServer(Cluster())), clock=clock)
        self._caches: dict[str, Informer[Any]] = {
            str(resource): Informer(client, resource, clock=clock, rng=SeededRng(1))
            for resource, _ in _KINDS.values()
        }
        for cache in self._caches.values():
            cache.replace((), "1", unreadable=(), is_reset=False)
        mind = Mind(self.store, lambda: self.passes_begun, self.report)
        mind.attach(PROCESS, self._caches)
        self.judged_by(Audience(writes=[mind]))

    def store_it(self, value: Json, *, is_told: bool = True) -> None:
        """Somebody stores it; the cache hears of it, or does not yet."""
        stored = self.put(value)
        resource, view = _KINDS[value["kind"]]
        if is_told:
            self._caches[str(resource)].put(builders.as_view(stored, view))

    def a_world(self, pool: Json) -> None:
        self.store_it(in_ns(builders.a_template))
        self.store_it(in_ns(builders.a_pool, merge=pool))
        self.store_it(in_ns(builders.a_sandbox, "w"))

    def reserve(self) -> None:
        owners = [builders.an_owner(CLAIM, "c")]
        operation = {"op": "replace", "path": "/metadata/ownerReferences", "value": owners}
        self.send("PATCH", item(SANDBOX, "w"), [operation])

    def make_pod(self) -> None:
        self.send("POST", POD.collection(NAMESPACE), in_ns(builders.a_pod, "w"))

    def delete_policy(self) -> None:
        owner = builders.an_owner(TEMPLATE, "python")
        merge: Json = {"metadata": {"ownerReferences": [owner], "namespace": NAMESPACE}}
        self.put(builders.an_object(NETWORK_POLICY, "python-network-policy", merge=merge))
        self.send("DELETE", item(NETWORK_POLICY, "python-network-policy"))


@pytest.mark.parametrize(("pool", "promises"), [(RECREATE, ["S7"]), ({}, [])])
def test_a_stale_member_is_not_given_under_recreate(pool: Json, promises: list[str]) -> None:
    manager = Knowing()
    manager.a_world(pool)
    manager.store_it(in_ns(builders.a_template, merge=EDITED))
    manager.begin()
    manager.reserve()
    assert manager.promises == promises


def test_a_fresh_member_is_given() -> None:
    manager = Knowing()
    manager.a_world(RECREATE)
    manager.begin()
    manager.reserve()
    assert manager.promises == []


@pytest.mark.parametrize("is_told", [True, False])
def test_what_came_after_the_pass_began_or_not_yet_is_no_breach(is_told: bool) -> None:
    manager = Knowing()
    manager.a_world(RECREATE)
    manager.begin()
    manager.store_it(in_ns(builders.a_template, merge=EDITED), is_told=is_told)
    manager.reserve()
    assert manager.promises == []
    if not is_told:
        manager.begin()
        manager.reserve()
        assert manager.promises == []


def test_no_pod_is_made_for_what_is_suspended() -> None:
    manager = Knowing()
    manager.store_it(in_ns(builders.a_sandbox, "w"))
    manager.begin("sandbox", "w")
    manager.make_pod()
    assert manager.promises == []
    manager.store_it(in_ns(builders.a_sandbox, "w", merge=SUSPENDED))
    manager.make_pod()  # in the pass that began before
    assert manager.promises == []
    manager.begin("sandbox", "w")
    manager.make_pod()
    assert manager.promises == ["S12"]


def test_no_policy_is_deleted_that_is_wanted() -> None:
    manager = Knowing()
    manager.store_it(in_ns(builders.a_template))
    manager.begin("sandboxtemplate", "python")
    manager.delete_policy()
    assert manager.promises == ["S13"]
    other: Json = {"metadata": {"generation": 2}}
    other["spec"] = {"networkPolicyManagement": "Unmanaged"}
    manager.store_it(in_ns(builders.a_template, merge=other))
    manager.begin("sandboxtemplate", "python")
    manager.delete_policy()
    assert manager.promises == ["S13"]
