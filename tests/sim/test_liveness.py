"""Each thing that may be wrong after the last fault, once by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from warmclaim.api.resources import (
    CLAIM,
    POD,
    POOL,
    SANDBOX,
    TEMPLATE,
    VOLUME_CLAIM,
    Resource,
)
from warmclaim.testing import builders
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.liveness import Liveness
from warmclaim.testing.store import ObjectStore
from warmqueue import PoolKey, SandboxKey, WarmDirectory

NOT_READY = {"status": {"conditions": [builders.a_condition("Ready", "False")]}}
DELETED = {"metadata": {"deletionTimestamp": builders.T0}}


SUSPENDED: Json = {"spec": {"operatingMode": "Suspended"}}
NOW_S = 1_800_000_000.0


def a_refusal(reason: str) -> Json:
    """Not Ready, and why."""
    return builders.a_condition("Ready", "False", reason=reason)


def _over(policy: str) -> Json:
    """A life that has ended."""
    return {"spec": {"lifecycle": {"shutdownTime": builders.T0, "shutdownPolicy": policy}}}


class _Time:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return NOW_S

    async def sleep(self, delay_s: float) -> None:
        raise AssertionError(f"nobody waits for {delay_s} s here")


class Cluster:
    """A pool of one ready member, "spare", and a claim that has the sandbox "given"."""

    def __init__(self) -> None:
        self._store = ObjectStore()
        self._liveness = Liveness(self._store, _Time())
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

    def suspend(self) -> None:
        """The claim's sandbox is suspended, and all say so."""
        said: Json = {"status": {"conditions": [a_refusal("SandboxSuspended")]}}
        self.delete(POD, "given")
        self.put(SANDBOX, builders.a_sandbox("given", claim="claim", merge={**SUSPENDED, **said}))
        self.put(CLAIM, builders.a_claim(sandbox="given", merge=said))

    @property
    def promises(self) -> set[str]:
        return {text.split()[0] for text in self._liveness.problems()}

    def out_of_reach(self, warm: WarmDirectory) -> list[str]:
        return self._liveness.out_of_reach(warm)


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


def _l1_over_and_still_there(cluster: Cluster) -> None:
    cluster.put(CLAIM, builders.a_claim(sandbox="given", merge=_over("Delete")))


def _l1_over_and_has_its_sandbox(cluster: Cluster) -> None:
    cluster.put(CLAIM, builders.a_claim(sandbox="given", merge=_over("Retain")))


def _l1_suspended_and_ready(cluster: Cluster) -> None:
    cluster.put(SANDBOX, builders.a_sandbox("given", claim="claim", merge=SUSPENDED))


def _l1_suspended_with_a_pod(cluster: Cluster) -> None:
    cluster.suspend()
    cluster.put(POD, builders.a_pod("given"))


def _l1_refused_for_no_reason(cluster: Cluster) -> None:
    refused = {"status": {"conditions": [a_refusal("InvalidMetadata")]}}
    cluster.put(CLAIM, builders.a_claim("refused", merge=refused))


def _l1_without_its_volume(cluster: Cluster) -> None:
    merge: Json = {"spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}}
    cluster.put(SANDBOX, builders.a_sandbox("given", claim="claim", merge=merge))


def _l4_stale_under_recreate(cluster: Cluster) -> None:
    merge: Json = {
        "spec": {"updateStrategy": {"type": "Recreate"}},
        "status": {"readyReplicas": 1},
    }
    cluster.put(POOL, builders.a_pool(merge=merge))
    containers = [{"name": "sandbox", "image": "new:2"}]
    edit: Json = {"spec": {"podTemplate": {"spec": {"containers": containers}}}}
    cluster.put(TEMPLATE, builders.a_template(merge=edit))


def _l5_a_volume_without_its_sandbox(cluster: Cluster) -> None:
    owners: Json = {"metadata": {"ownerReferences": [builders.an_owner(SANDBOX, "gone")]}}
    cluster.put(VOLUME_CLAIM, builders.an_object(VOLUME_CLAIM, "data-gone", merge=owners))


BREAKING: list[Callable[[Cluster], None]] = [
    _l1_over_and_still_there,
    _l1_over_and_has_its_sandbox,
    _l1_suspended_and_ready,
    _l1_suspended_with_a_pod,
    _l1_refused_for_no_reason,
    _l1_without_its_volume,
    _l4_stale_under_recreate,
    _l5_a_volume_without_its_sandbox,
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


def test_a_claim_that_is_over_and_kept_says_so_and_has_nothing() -> None:
    cluster = Cluster()
    for resource in (SANDBOX, POD):
        cluster.delete(resource, "given")
    said = {"conditions": [a_refusal("ClaimExpired")], "sandbox": None}
    merge: Json = {**_over("Retain"), "status": said}
    cluster.put(CLAIM, builders.a_claim(sandbox="given", merge=merge))
    assert cluster.promises == set()


def test_a_suspended_sandbox_rests_and_its_claim_says_so() -> None:
    cluster = Cluster()
    cluster.suspend()
    assert cluster.promises == set()


REFUSED: dict[str, Json] = {
    "InvalidMetadata": {"additionalPodMetadata": {"labels": {"no-domain": "x"}}},
    "EnvVarsInjectionRejected": {"env": [{"name": "A", "value": "1"}]},
    "VolumeClaimTemplatesError": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]},
}


@pytest.mark.parametrize(("reason", "spec"), REFUSED.items())
def test_a_claim_that_may_not_have_what_it_asks_for_says_so(reason: str, spec: Json) -> None:
    cluster = Cluster()
    cluster.put(TEMPLATE, builders.a_template())
    status = {"conditions": [a_refusal(reason)]}
    cluster.put(CLAIM, builders.a_claim("refused", merge={"spec": spec, "status": status}))
    assert cluster.promises == set()


POOL_KEY = PoolKey(builders.NAMESPACE, "pool")
SPARE = SandboxKey(builders.NAMESPACE, "spare")


def _queues(*, knows_it: bool = True) -> WarmDirectory:
    warm = WarmDirectory()
    if knows_it:
        warm.offer(
            PoolKey(builders.NAMESPACE, "pool"), SPARE, "spare-uid", node="n1", is_ready=True
        )
    return warm


def test_a_warm_member_that_waits_is_in_reach() -> None:
    assert Cluster().out_of_reach(_queues()) == []


def test_a_warm_member_that_is_unknown_is_out_of_reach() -> None:
    assert len(Cluster().out_of_reach(_queues(knows_it=False))) == 1


def test_a_warm_member_that_stays_in_flight_is_out_of_reach() -> None:
    warm = _queues()
    warm.take(POOL_KEY)
    (text,) = Cluster().out_of_reach(warm)
    assert text.startswith("L1 ")
    assert text.endswith("in flight")


@pytest.mark.parametrize(
    "merge",
    [
        NOT_READY,
        DELETED,
        {"metadata": {"labels": None}},
        {"metadata": {"ownerReferences": [builders.an_owner(POOL, "gone")]}},
    ],
    ids=["not ready", "ending", "without its label", "of no living pool"],
)
def test_what_is_not_warm_need_not_be_in_reach(merge: Json) -> None:
    cluster = Cluster()
    cluster.put(SANDBOX, builders.a_sandbox("spare", merge=merge))
    assert cluster.out_of_reach(_queues(knows_it=False)) == []
