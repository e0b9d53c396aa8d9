"""Nodes, a scheduler and a kubelet that run nothing: pods become Ready after a drawn delay.

    async with FakeNodes(cluster, count=100, ready_delay_s=(0.5, 2.0)) as nodes:
        nodes.pods_by_node()        # {"node-000": 6, ...}

Idle nodes write nothing: no heartbeats, no leases.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import islice

from sortedcontainers import SortedSet

from warmclaim.testing.actors import Actor
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.deletion import DeleteOptions
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import MERGE_PATCH
from warmclaim.testing.resources import NODE, POD
from warmclaim.testing.store import Commit, Verb

HOSTNAME = "kubernetes.io/hostname"


class FakeNodes(Actor):
    """`count` nodes named `prefix`-000 and so on; each takes `pods_per_node_max` pods.

    The scheduler binds a pod to the node with fewest pods (the first by name among equals), which
    honours a topologySpreadConstraint by hostname; nodes that are unschedulable, gone or full are
    left out, and a pod that fits nowhere waits for one that leaves. The kubelet makes it Running
    and Ready `ready_delay_s` (a range, drawn for each pod) after that, and confirms the end of a
    deleted pod `stop_delay_s` after its deletion. Cost of a pod: O(log nodes) and two writes.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        count: int = 100,
        ready_delay_s: tuple[float, float] = (0.0, 0.0),
        stop_delay_s: tuple[float, float] = (0.0, 0.0),
        schedule_delay_s: tuple[float, float] = (0.0, 0.0),
        pods_per_node_max: int = 110,
        prefix: str = "node",
    ) -> None:
        super().__init__(cluster)
        self.names = tuple(f"{prefix}-{number:03d}" for number in range(count))
        self.ready_delay_s = ready_delay_s
        self.stop_delay_s = stop_delay_s
        self.schedule_delay_s = schedule_delay_s
        self._pods_max = pods_per_node_max
        self._where: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._by_count: SortedSet[tuple[int, str]] = SortedSet()  # (pods, node) of open nodes
        self._waiting: dict[str, None] = {}
        self._addresses = 0

    def pods_by_node(self) -> Mapping[str, int]:
        """How many pods are bound to each schedulable node."""
        return dict(self._counts)

    def begin(self) -> None:
        for commit in self.cluster.store.scan(NODE.resource):
            self._on_node(commit)
        for commit in self.cluster.store.scan(POD.resource):
            self._on_pod(commit)
        for name in self.names:
            if self.cluster.store.get(NODE.resource, name) is None:
                self._on_node(self.cluster.put(self._node(name)))

    def observe(self, commit: Commit) -> None:
        if commit.resource == POD.resource:
            self._on_pod(commit)
        elif commit.resource == NODE.resource:
            self._on_node(commit)

    # -------------------------------------------------------------- observing

    def _on_node(self, commit: Commit) -> None:
        name = commit.object["metadata"]["name"]
        is_open = commit.is_live and not commit.object.get("spec", {}).get("unschedulable")
        if not is_open:
            self._uncount(name)
        elif name not in self._counts:
            self._count(name, sum(1 for node in self._where.values() if node == name))
            self._retry_waiting(len(self._waiting))

    def _on_pod(self, commit: Commit) -> None:
        pod, key = commit.object, commit.key
        node = pod["spec"].get("nodeName", "")
        if not commit.is_live:
            self._waiting.pop(key, None)
            self._move(key, "")
            self._retry_waiting(1)
            return
        self._move(key, node)
        if "deletionTimestamp" in pod["metadata"]:
            self._on_terminating(commit)
        elif not node:
            if commit.verb is Verb.ADDED or not self._is_known_unbound(commit):
                self.plan(partial(self._schedule, key), after_s=self.drawn(self.schedule_delay_s))
        elif pod.get("status", {}).get("phase", "Pending") == "Pending" and _is_new_to_node(commit):
            uid = pod["metadata"]["uid"]
            self.plan(partial(self._run_pod, key, uid), after_s=self.drawn(self.ready_delay_s))

    def _on_terminating(self, commit: Commit) -> None:
        if commit.before is not None and "deletionTimestamp" in commit.before["metadata"]:
            return
        uid, key = commit.object["metadata"]["uid"], commit.key
        self.plan(partial(self._confirm_end, key, uid), after_s=self.drawn(self.stop_delay_s))

    def _is_known_unbound(self, commit: Commit) -> bool:
        return commit.before is not None and not commit.before["spec"].get("nodeName")

    def _move(self, key: str, node: str) -> None:
        """Books a pod on `node` ("" for none) and off the one it was on."""
        old = self._where.pop(key, "")
        if node:
            self._where[key] = node
        if old != node:
            for name, change in ((old, -1), (node, 1)):
                if name in self._counts:
                    self._count(name, self._counts[name] + change)

    def _count(self, node: str, pods: int) -> None:
        self._uncount(node)
        self._counts[node] = pods
        self._by_count.add((pods, node))

    def _uncount(self, node: str) -> None:
        if node in self._counts:
            self._by_count.remove((self._counts.pop(node), node))

    def _retry_waiting(self, pods: int) -> None:
        for key in list(islice(self._waiting, pods)):
            del self._waiting[key]
            self.plan(partial(self._schedule, key))

    # ----------------------------------------------------------------- acting

    def _schedule(self, key: str) -> None:
        found = self.cluster.store.get(POD.resource, key)
        if found is None or found.object["spec"].get("nodeName"):
            return
        pod = found.object
        node = self._emptiest()
        if node is None:
            self._waiting[key] = None
            self._say_unschedulable(pod)
            return
        conditions = [self._condition("PodScheduled", "True")]
        status = {**pod.get("status", {}), "conditions": conditions}
        # One write where a real scheduler's binding and the kubelet's first report are two.
        bound = {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": status}
        self.cluster.store.put(POD.resource, key, bound)

    def _say_unschedulable(self, pod: Json) -> None:
        if not pod.get("status", {}).get("conditions"):
            said = "0 nodes are available: all are full or unschedulable."
            unfit = self._condition("PodScheduled", "False", "Unschedulable", said)
            self._patch_status(pod, {"conditions": [unfit]})

    def _emptiest(self) -> str | None:
        if not self._by_count:
            return None
        pods, node = self._by_count[0]
        return node if pods < self._pods_max else None

    def _run_pod(self, key: str, uid: str) -> None:
        pod = self._same_pod(key, uid)
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            return
        self._addresses += 1
        number = self._addresses
        address = f"10.{64 + (number >> 16) % 64}.{(number >> 8) % 256}.{number % 256}"
        names = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        now = self.cluster.now()
        ready = {
            "phase": "Running",
            "conditions": [self._condition(name, "True") for name in names],
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": now,
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container.get("image", ""),
                    "imageID": "",
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": now}},
                }
                for container in pod["spec"]["containers"]
            ],
        }
        self._patch_status(pod, ready)

    def _confirm_end(self, key: str, uid: str) -> None:
        pod = self._same_pod(key, uid)
        if pod is not None:
            options = DeleteOptions(uid=uid, grace_s=0)
            metadata = pod["metadata"]
            self.cluster.delete(Target(POD, metadata["namespace"], metadata["name"]), options)

    def _same_pod(self, key: str, uid: str) -> Json | None:
        """The pod, unless another has its name by now."""
        found = self.cluster.store.get(POD.resource, key)
        if found is None or found.object["metadata"]["uid"] != uid:
            return None
        return found.object

    def _patch_status(self, pod: Json, change: Json) -> None:
        metadata = pod["metadata"]
        target = Target(POD, metadata["namespace"], metadata["name"], subresource="status")
        self.cluster.patch(target, MERGE_PATCH, {"status": change})

    def _condition(self, type_: str, status: str, reason: str = "", message: str = "") -> Json:
        condition: Json = {
            "type": type_,
            "status": status,
            "lastProbeTime": None,
            "lastTransitionTime": self.cluster.now(),
        }
        if reason:
            condition |= {"reason": reason, "message": message}
        return condition

    def _node(self, name: str) -> Json:
        capacity = {"cpu": "64", "memory": "256Gi", "pods": str(self._pods_max)}
        now = self.cluster.now()
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {HOSTNAME: name, "type": "fake"}},
            "spec": {},
            "status": {
                "capacity": capacity,
                "allocatable": capacity,
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True",
                        "reason": "KubeletReady",
                        "message": "a fake node is always ready",
                        "lastHeartbeatTime": now,
                        "lastTransitionTime": now,
                    }
                ],
            },
        }


def _is_new_to_node(commit: Commit) -> bool:
    return commit.before is None or not commit.before["spec"].get("nodeName")
