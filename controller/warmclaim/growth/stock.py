"""A cluster that has its sandboxes already: some thousand copies of what the manager made itself.

The manager fills a small cluster of as many pools, one member each. What it made for each member
(the sandbox, its pod, whatever else) is copied under the names of the pool's further ordinals, so
no second hand writes sandboxes here that could differ from the manager's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from warmclaim.api.names import ANNOTATION_RESERVATION, name_hash
from warmclaim.api.resources import POOL, TEMPLATE
from warmclaim.app import App, Outside
from warmclaim.domain.reservation import BATCH_MAX, Reservation, member_name
from warmclaim.errors import UsageError
from warmclaim.settings import Settings
from warmclaim.testing import builders
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import agent_sandbox_crds
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.grip import Grip
from warmclaim.testing.transport import InProcessTransport
from warmclaim.testing.virtual_loop import SeededRng, World, run_virtual

NAMESPACE: Final = builders.NAMESPACE
PODS_PER_NODE: Final = 100
SANDBOXES_MAX: Final = 1_000_000
_FILL_S: Final = 60.0
_MODEL_NODE: Final = "node-000"
_SIZE = re.compile(r"([1-9][0-9]{0,6})x([1-9][0-9]{0,4})")


class Size(NamedTuple):
    """So many sandboxes wait, in so many pools of the same size."""

    sandboxes: int
    pools: int

    def __str__(self) -> str:
        return f"{self.sandboxes:,} in {self.pools:,}"

    @property
    def each(self) -> int:
        """Members of a pool."""
        return self.sandboxes // self.pools

    @property
    def nodes(self) -> int:
        """Enough for all of them, and for the claimed ones beside them."""
        return max(10, self.sandboxes * 2 // PODS_PER_NODE)


def sizes(text: str) -> tuple[Size, ...]:
    """From "300x1,3000x10". Raises UsageError for what is no size."""
    found: list[Size] = []
    for word in text.split(","):
        match = _SIZE.fullmatch(word.strip())
        if match is None:
            raise UsageError(f"--sizes: {word.strip()!r} is no SANDBOXESxPOOLS, as 3000x10")
        size = Size(int(match[1]), int(match[2]))
        if size.sandboxes % size.pools or size.sandboxes > SANDBOXES_MAX:
            why = f"not {size.sandboxes}x{size.pools}"
            raise UsageError(
                f"--sizes: at most {SANDBOXES_MAX} sandboxes, the same for each pool; {why}"
            )
        found.append(size)
    return tuple(found)


def pool_name(number: int) -> str:
    """The pools are numbered from 0."""
    return f"pool-{number:04d}"


@dataclass(frozen=True)
class Stock:
    """What the manager made: each pool as it is, and its one member with all that is the
    member's, as JSON."""

    shared: list[bytes]
    pools: list[bytes]
    members: list[list[bytes]]

    def objects(self, size: Size) -> Iterator[Json]:
        """Everything that a cluster of this size holds. 60 us for each object."""
        yield from map(msgspec.json.decode, self.shared)
        numbers = iter(range(size.sandboxes))
        for text, member in zip(self.pools, self.members, strict=True):
            pool: Json = msgspec.json.decode(text)
            yield _grown(pool, size.each)
            name, uid = pool["metadata"]["name"], pool["metadata"]["uid"]
            for ordinal in range(size.each):
                number = next(numbers)
                node = f"node-{number % size.nodes:03d}"
                yield from _copied(member, member_name(name, uid, ordinal), number, node)


def _grown(pool: Json, replicas: int) -> Json:
    """The pool with so many members, the last batch of which is all there."""
    last = Reservation(max(0, replicas - BATCH_MAX), replicas, replicas).encode()
    metadata = pool["metadata"]
    annotations = {**metadata.get("annotations", {}), ANNOTATION_RESERVATION: last}
    status = {**pool["status"], "replicas": replicas, "readyReplicas": replicas}
    return {
        **pool,
        "metadata": {**metadata, "annotations": annotations},
        "spec": {**pool["spec"], "replicas": replicas},
        "status": status,
    }


def _copied(member: list[bytes], name: str, number: int, node: str) -> Iterator[Json]:
    """Another member: names, the hashes of them, and all uids of its own."""
    originals: list[Json] = [msgspec.json.decode(text) for text in member]
    old = originals[0]["metadata"]["name"]
    changes = [(old, name), (name_hash(old), name_hash(name)), (_MODEL_NODE, node)]
    for place, original in enumerate(originals):
        uid = original["metadata"]["uid"]
        changes.append((uid, f"{number:08x}-0000-4000-8000-{place:012x}"))
    for text in member:
        for before, after in changes:
            text = text.replace(before.encode(), after.encode())
        value: Json = msgspec.json.decode(text)
        yield value


def made_by_manager(pools: int) -> Stock:
    """Have the manager fill so many pools of one. 20 ms for each."""

    async def scenario(world: World) -> Stock:
        cluster = Cluster(clock=world.clock, rng=world.rng, crds=agent_sandbox_crds())
        grip, server = Grip(cluster), FakeApiServer(cluster)
        for number in range(pools):
            name = pool_name(number)
            template = builders.a_template(name, namespace=NAMESPACE)
            grip.create(TEMPLATE, NAMESPACE, builders.as_sent(template))
            pool = builders.a_pool(name, template=name, namespace=NAMESPACE)
            grip.create(POOL, NAMESPACE, builders.as_sent(pool))
        outside = Outside(
            InProcessTransport(server), world.clock, SeededRng("model"), "model", "default"
        )
        app, stop = App(Settings(), outside), asyncio.Event()
        async with FakeNodes(cluster, count=1, pods_per_node_max=pools):
            life = asyncio.create_task(app.run(stop))
            await world.clock.sleep(_FILL_S)
            stop.set()
            await life
        return _taken(cluster, grip)

    return run_virtual(scenario)


def _taken(cluster: Cluster, grip: Grip) -> Stock:
    owned: dict[str, list[bytes]] = {}
    for kind in cluster.kinds:
        for commit in cluster.store.scan(kind.resource):
            for owner in commit.object["metadata"].get("ownerReferences", ()):
                owned.setdefault(owner["uid"], []).append(commit.encoded)
    shared = [msgspec.json.encode(one) for one in grip.all(TEMPLATE)]
    for template in grip.all(TEMPLATE):
        shared += owned.get(template["metadata"]["uid"], [])
    pools = grip.all(POOL)
    members: list[list[bytes]] = []
    for pool in pools:
        (sandbox,) = owned[pool["metadata"]["uid"]]
        uid = msgspec.json.decode(sandbox)["metadata"]["uid"]
        members.append([sandbox, *owned.get(uid, [])])
    return Stock(shared, [msgspec.json.encode(one) for one in pools], members)
