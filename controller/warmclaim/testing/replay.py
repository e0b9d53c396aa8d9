"""Brings a recorded state up: an embedded API server that holds it, fake nodes, and a manager.

    recorded = Recorded.of(lines(text))
    async with replayed(recorded, folder) as replay:
        await replay.settled(within_s=60)
        replay.outcome()

Names, uids, owners and status are the recorded ones; resource versions are new. An owner that is
not in the record is left out, or the garbage collector would take its dependents.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX
from warmclaim.streaming.snapshot import Line, Sort
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.audit import AuditEntry
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.demo.process import Manager, running_manager
from warmclaim.testing.fake_nodes import HOSTNAME, FakeNodes
from warmclaim.testing.garbage_collector import GarbageCollector
from warmclaim.testing.http_front import HttpFront, serve
from warmclaim.testing.json_values import Json
from warmclaim.testing.resources import NAMESPACE

MANAGER_USER_AGENT: Final = "warmclaim/"
QUIET_S: Final = 2.0
LOOK_S: Final = 0.1
PODS_PER_NODE: Final = 110
NODES_WITHOUT_RECORD: Final = 10

_KINDS_WATCHED: Final = 4
"""Claims, sandboxes, pools, templates: a manager that watches these has seen the state."""


class _Head(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    source: str = ""


class _Metadata(msgspec.Struct):
    name: str
    namespace: str = ""
    uid: str = ""


class _Named(msgspec.Struct):
    """The least that an object must be."""

    metadata: _Metadata


class Recorded:
    """The objects of a snapshot, all of them in memory, and what is to be known about them."""

    def __init__(self) -> None:
        self.objects: list[Json] = []
        self.nodes: list[str] = []
        self.notes: list[str] = []

    @classmethod
    def of(cls, found: Iterable[Line]) -> Recorded:
        """Of a snapshot that is read to its end. Raises what `found` raises, and MsgspecError for a
        group that does not say its kind, and an object that has no name."""
        recorded, head = cls(), _Head("", "")
        for line in found:
            if line.section != "rawObjects":
                continue
            if line.sort is Sort.HEAD:
                head = msgspec.json.decode(line.json, type=_Head)
            elif line.sort is Sort.ITEM:
                recorded._take(head, line.json)
            elif not _is_whole(line.json):
                recorded.notes.append(f"{line.group}: not all of them are in the snapshot")
            if line.sort is Sort.TAIL and head.source == "view":
                recorded.notes.append(f"{line.group}: only what a manager reads of each")
        recorded._leave_out_unknown_owners()
        return recorded

    def _take(self, head: _Head, item: bytes) -> None:
        named = msgspec.json.decode(item, type=_Named)
        if head.kind == "Node":
            self.nodes.append(named.metadata.name)
            return
        value: Json = msgspec.json.decode(item)
        if head.kind == POD.kind:
            value.setdefault("spec", {"containers": []})  # a view leaves out what it has none of
        # Lists of built-in kinds name it once, for all of their items.
        self.objects.append({"apiVersion": head.api_version, "kind": head.kind, **value})

    def _leave_out_unknown_owners(self) -> None:
        known = {value["metadata"].get("uid") for value in self.objects}
        left_out = 0
        for value in self.objects:
            owners = value["metadata"].get("ownerReferences")
            if owners:
                kept = [owner for owner in owners if owner.get("uid") in known]
                left_out += len(owners) - len(kept)
                value["metadata"]["ownerReferences"] = kept
        if left_out:
            self.notes.append(f"{left_out} owners are not in the snapshot and were left out")


def _is_whole(tail: bytes) -> bool:
    return bool(msgspec.json.decode(tail).get("isWhole"))


def restore(cluster: Cluster, recorded: Recorded) -> None:
    """Put everything into an empty cluster, as it is. Raises KeyError for a kind not served."""
    namespaces = {value["metadata"].get("namespace", "") for value in recorded.objects}
    for name in sorted(namespaces - {""}):
        if cluster.store.get(NAMESPACE.resource, name) is None:
            cluster.create(Target(NAMESPACE), {"metadata": {"name": name}})
    names = recorded.nodes or [f"node-{number:03d}" for number in range(NODES_WITHOUT_RECORD)]
    for name in names:
        labels = {HOSTNAME: name}
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        node: Json = {"metadata": {"name": name, "labels": labels}, "spec": {}, "status": ready}
        cluster.put({"apiVersion": "v1", "kind": "Node", **node})
    for value in recorded.objects:
        cluster.put(value)


class Outcome(msgspec.Struct, rename="camel"):
    """What became of the state. `handed_out_twice` are sandboxes that two claims have, and claims
    that have two; `pools` are ready members and those that are wanted."""

    claims: int
    claims_ready: int
    sandboxes: int
    pods: int
    pools: dict[str, tuple[int, int]]
    handed_out_twice: list[str]
    manager_writes: int
    has_settled: bool

    @property
    def is_good(self) -> bool:
        """Whether the manager came to rest and kept its promise."""
        return self.has_settled and not self.handed_out_twice


class Replay:
    """A state that is up, with a manager at work on it."""

    def __init__(
        self, server: FakeApiServer, front: HttpFront, kubeconfig: Path, manager: Manager
    ) -> None:
        self.url = front.url
        self.kubeconfig = kubeconfig
        self.manager = manager
        self._server = server
        self._writes = 0
        self._has_settled = False
        server.requests.observers.append(self._asked)

    async def settled(self, *, within_s: float) -> bool:
        """Whether the manager has seen the state and then wrote nothing for `QUIET_S`, in time."""
        clock, seen = self._server.cluster.clock, -1
        ends_s = quiet_since_s = clock.monotonic()
        ends_s += within_s
        while clock.monotonic() < ends_s:
            if self._writes != seen or self._server.open_watches < _KINDS_WATCHED:
                seen, quiet_since_s = self._writes, clock.monotonic()
            elif clock.monotonic() - quiet_since_s >= QUIET_S:
                self._has_settled = True
                break
            await asyncio.sleep(LOOK_S)
        return self._has_settled

    def outcome(self) -> Outcome:
        """What the server holds now."""
        claims, sandboxes = self._all(str(CLAIM)), self._all(str(SANDBOX))
        return Outcome(
            claims=len(claims),
            claims_ready=sum(map(_is_ready, claims)),
            sandboxes=len(sandboxes),
            pods=len(self._all(str(POD))),
            pools=_pools(self._all(str(POOL)), sandboxes),
            handed_out_twice=_handed_out_twice(claims, sandboxes),
            manager_writes=self._writes,
            has_settled=self._has_settled,
        )

    def _asked(self, entry: AuditEntry) -> None:
        if entry.is_write and entry.user_agent.startswith(MANAGER_USER_AGENT):
            self._writes += 1

    def _all(self, resource: str) -> list[Json]:
        return [commit.object for commit in self._server.cluster.store.scan(resource)]


@asynccontextmanager
async def replayed(recorded: Recorded, folder: Path) -> AsyncGenerator[Replay]:
    """The state, up for the time of a block; `folder` takes the kubeconfig and the manager's log.

    Raises KeyError for an object of a kind that the embedded server does not serve.
    """
    server = FakeApiServer()
    restore(server.cluster, recorded)
    bound = Counter(str(value.get("spec", {}).get("nodeName", "")) for value in recorded.objects)
    pods_max = max(PODS_PER_NODE, *bound.values(), 0) if bound else PODS_PER_NODE
    nodes = FakeNodes(server.cluster, count=0, pods_per_node_max=2 * pods_max)
    async with nodes, GarbageCollector(server.cluster), serve(server) as front:
        kubeconfig = front.write_kubeconfig(folder / "kubeconfig")
        async with running_manager(kubeconfig, folder / "manager.log") as manager:
            yield Replay(server, front, kubeconfig, manager)


def _is_ready(claim: Json) -> bool:
    conditions = claim.get("status", {}).get("conditions", ())
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _controller(value: Json, kind: str) -> str:
    """Uid of the controlling owner, if it is of that kind; else ""."""
    owners: list[Mapping[str, Any]] = value["metadata"].get("ownerReferences", [])
    return next((str(o["uid"]) for o in owners if o.get("controller") and o["kind"] == kind), "")


def _pools(pools: list[Json], sandboxes: list[Json]) -> dict[str, tuple[int, int]]:
    ready = Counter(_controller(box, POOL.kind) for box in sandboxes if _is_ready(box))
    return {
        f"{pool['metadata']['namespace']}/{pool['metadata']['name']}": (
            ready[pool["metadata"]["uid"]],
            int(pool.get("spec", {}).get("replicas", 1)),
        )
        for pool in pools
    }


def _handed_out_twice(claims: list[Json], sandboxes: list[Json]) -> list[str]:
    owned = Counter(_controller(box, CLAIM.kind) for box in sandboxes)
    published = Counter(
        (claim["metadata"]["namespace"], claim.get("status", {}).get("sandbox", {}).get("name", ""))
        for claim in claims
    )
    twice = [f"claim {uid}" for uid, count in owned.items() if uid and count > 1]
    names = [f"sandbox {space}/{name}" for (space, name), n in published.items() if name and n > 1]
    return twice + names
