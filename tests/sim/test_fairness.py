"""L6 is planted: claims served out of order, and claims not served beside a bad one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.sim.wired import Wired, builders, in_ns, item

from warmclaim.api.names import name_hash
from warmclaim.api.resources import CLAIM, SANDBOX
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.json_values import Json
from warmclaim.testing.resources import NAMESPACE
from warmclaim.testing.sim.barrier import claimed_by
from warmclaim.testing.sim.fairness import SERVED_S_MAX, Fairness, overtaken
from warmclaim.testing.sim.trace import Attribution
from warmclaim.testing.sim.wire import Audience
from warmclaim.testing.store import Commit
from warmclaim.testing.virtual_loop import World, run_virtual

CRDS = agent_sandbox_crds()
WORKERS = 2


def test_who_was_overtaken_by_how_many() -> None:
    assert overtaken(["a", "b", "c"], ["a", "b", "c"]) == {"a": 0, "b": 0, "c": 0}
    assert overtaken(["a", "b", "c"], ["c", "b", "a"]) == {"c": 0, "b": 1, "a": 2}
    assert overtaken(["a", "b", "c"], ["b", "a"]) == {"b": 0, "a": 1}


class Batch(Wired):
    """A pool of five ready members, and a manager whose hand the test plays."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.cluster = Cluster(clock=world.clock, rng=world.rng, crds=CRDS)
        self.store = self.cluster.store
        self.cluster.create(Target(NAMESPACE), {"metadata": {"name": "ns-0"}})
        self.put(in_ns(builders.a_pool, "pool", replicas=5))
        for number in range(5):
            self.put(in_ns(builders.a_sandbox, f"w{number}"))
        self.odd: list[tuple[str, str]] = []
        self.fairness = Fairness(self.store, WORKERS, self.report, self._note_odd)
        self.judged_by(Audience([self.fairness]))
        self.claims: dict[str, str] = {}
        self.store.observers.append(self._note)

    def _note_odd(self, resource: str, key: str) -> None:
        self.odd.append((resource, key))

    def _note(self, commit: Commit) -> None:
        metadata = commit.object["metadata"]
        if commit.before is None and commit.object["kind"] == CLAIM.kind:
            self.claims[metadata["name"]] = metadata["uid"]

    async def run(self, order: Sequence[int]) -> None:
        """The batch is made; claims are served at once, in that order."""

        def serve(commit: Commit) -> None:
            if commit.key == "ns-0/fair-4" and commit.before is None:
                self.world.loop.call_soon(self._serve, order)

        self.store.observers.append(serve)
        await self.fairness.run(self.cluster, Attribution(), self.world.clock)

    def _serve(self, order: Sequence[int]) -> None:
        for place, number in enumerate(order):
            name = f"fair-{number}"
            owner = builders.an_owner(CLAIM, name, uid=self.claims[name])
            if place % 2:
                change = {"op": "replace", "path": "/metadata/ownerReferences", "value": [owner]}
                self.send("PATCH", item(SANDBOX, f"w{place}"), [change])
            else:
                merge: Json = {"metadata": {"ownerReferences": [owner]}}
                body = in_ns(builders.a_sandbox, name, merge=merge)
                self.send("POST", SANDBOX.collection("ns-0"), body)
            self.put(in_ns(builders.a_claim, name, sandbox=f"w{place}"))


@pytest.mark.parametrize(
    ("order", "promises"),
    [
        ((0, 1, 2, 3, 4), []),
        ((1, 2, 0, 4, 3), []),  # as two workers may have it
        ((4, 3, 2, 1, 0), ["L6", "L6"]),
        ((1, 2, 3, 0, 4), ["L6"]),
        ((0, 1, 2, 3), ["L6"]),  # one is not served at all
    ],
)
def test_the_order_of_sending_is_that_of_making(order: list[int], promises: list[str]) -> None:
    async def scenario(world: World) -> None:
        batch = Batch(world)
        began = world.clock.monotonic()
        await batch.run(order)
        assert batch.promises == promises, batch.texts
        is_late = world.clock.monotonic() - began >= SERVED_S_MAX
        assert is_late == (len(order) < 5)
        assert batch.odd == [(str(CLAIM), "ns-0/fair-odd")]
        bad = batch.store.get(str(CLAIM), "ns-0/fair-bad")
        assert bad is not None
        assert bad.object["spec"]["warmPoolRef"] == {"name": "no-such-pool"}

    run_virtual(scenario)


def test_without_a_healthy_pool_there_is_no_batch() -> None:
    async def scenario(world: World) -> None:
        batch = Batch(world)
        for number in range(4):
            batch.delete(SANDBOX, f"w{number}")
        await batch.fairness.run(batch.cluster, Attribution(), world.clock)
        assert batch.claims == {}
        assert batch.promises == []

    run_virtual(scenario)


def test_only_what_is_for_a_claim_counts() -> None:
    wired = Wired()
    wired.judged_by(Audience([Fairness(wired.store, 1, wired.report, wired.report)]))
    label = {"op": "add", "path": "/metadata/labels/x", "value": name_hash("x")}
    sent = [
        wired.send("PATCH", item(SANDBOX, "w1"), [label]),
        wired.send("GET", item(SANDBOX, "w1")),
        wired.send("POST", SANDBOX.collection("ns-0"), in_ns(builders.a_sandbox, "w1")),
        wired.send("PATCH", item(CLAIM, "c", "status"), []),
    ]
    assert [claimed_by(exchange) for exchange in sent] == [""] * 4
    cold = wired.send("POST", SANDBOX.collection("ns-0"), in_ns(builders.a_sandbox, "c", claim="c"))
    assert claimed_by(cold) == "c-uid"
