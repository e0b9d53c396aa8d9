"""Each thing that may be wrong after the last fault, once by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, Resource
from warmclaim.testing import builders
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.liveness import Liveness
from warmclaim.testing.store import ObjectStore

NOT_READY = {"status": {"conditions": [builders.a_condition("Ready", "False")]}}
DELETED = {"metadata": {"deletionTimestamp": builders.T0}}


class Cluster:
    """A pool of one ready member, "spare", and a claim that has the sandbox "given"."""

    def __init__(self) -> None:
        self._store = ObjectStore()
        self.put(POOL, builders.a_pool(merge={"status": {"readyReplicas": 1}}))
        self.put(CLAIM, builders.a_claim(sandbox="given"))
        self.put(SANDBOX, builders.a_sandbox("given", claim="claim"))
        self.put(SANDBOX, builders.a_sandbox("spare"))
        for name in ("given", "spare"):
            self.put(POD, builders.a_pod(name))

    def put(self, resource: Resource[object], value: Json) -> None:
        metadata = value["metadata"]
        self._store.put(str(resource), f"{metadata['namespace']}/{metadata['name']}", value)

    def delete(self, resource: Resource[object], name: str) -> None:
        self._store.delete(str(resource), f"{builders.NAMESPACE}/{name}")

    @property
    def promises(self) -> set[str]:
        return {text.split()[0] for text in Liveness(self._store).problems()}


def test_a_cluster_as_desired_has_no_problem() -> None:
    assert Cluster().promises == set()


def _l1_no_sandbox(cluster: Cluster) -> None:
    cluster.put(CLAIM, builders.a_claim("other"))


def _l1_sandbox_gone(cluster: Cluster) -> None:
    cluster.delete(SANDBOX, "given")


def _l1_another_word_than_its_sandbox(cluster: Cluster) -> None:
    cluster.put(CLAIM, builders.a_claim(sandbox="given", merge=NOT_READY))


def _l1_ready_without_a_pod(cluster: Cluster) -> None:
    cluster.delete(POD, "given")


def _l1_ready_with_a_pod_that_ends(cluster: Cluster) -> None:
    cluster.put(POD, builders.a_pod("given", merge=DELETED))


def _l1_ready_with_the_pod_of_a_namesake(cluster: Cluster) -> None:
    owner = builders.an_owner(SANDBOX, "given", uid="of an earlier life")
    merge = {"metadata": {"ownerReferences": [owner]}}
    cluster.put(POD, builders.a_pod("given", merge=merge))


def _l1_ready_with_a_pod_that_is_not(cluster: Cluster) -> None:
    cluster.put(POD, builders.a_pod("given", ready=False))


def _l3_two_sandboxes(cluster: Cluster) -> None:
    cluster.put(SANDBOX, builders.a_sandbox("extra", claim="claim"))


def _l4_too_few(cluster: Cluster) -> None:
    cluster.delete(SANDBOX, "spare")


def _l4_not_ready(cluster: Cluster) -> None:
    cluster.put(SANDBOX, builders.a_sandbox("spare", merge=NOT_READY))
    cluster.put(POOL, builders.a_pool(merge={"status": {"readyReplicas": 0}}))


def _l4_another_count(cluster: Cluster) -> None:
    cluster.put(POOL, builders.a_pool(merge={"status": {"readyReplicas": 2}}))


def _l4_ready_without_a_pod(cluster: Cluster) -> None:
    cluster.delete(POD, "spare")


def _l5_an_orphan(cluster: Cluster) -> None:
    cluster.put(SANDBOX, builders.a_sandbox("orphan", claim="gone"))
    cluster.put(POD, builders.a_pod("orphan"))


BREAKING: list[Callable[[Cluster], None]] = [
    _l1_no_sandbox,
    _l1_sandbox_gone,
    _l1_another_word_than_its_sandbox,
    _l1_ready_without_a_pod,
    _l1_ready_with_a_pod_that_ends,
    _l1_ready_with_the_pod_of_a_namesake,
    _l1_ready_with_a_pod_that_is_not,
    _l3_two_sandboxes,
    _l4_too_few,
    _l4_not_ready,
    _l4_another_count,
    _l4_ready_without_a_pod,
    _l5_an_orphan,
]


@pytest.mark.parametrize("breaks", BREAKING, ids=lambda breaks: breaks.__name__.strip("_"))
def test_what_is_wrong_is_told_by_its_promise(breaks: Callable[[Cluster], None]) -> None:
    cluster = Cluster()
    breaks(cluster)
    assert breaks.__name__[1:3].upper() in cluster.promises
