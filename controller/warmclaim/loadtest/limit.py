"""The limit: what a claim costs when nobody has to think.

No controller runs. The load generator sends the two writes of the hand-over itself, at once after
each claim's creation was answered: the sandbox changes owner, the claim's status names it. What a
controller adds to this is its own.

The pool is filled by the generator too: for each member a sandbox, its pod and one status, without
waiting for the pod. A controller's fill also waits for the scheduler and for the kubelets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from warmclaim.loadtest.objects import (
    CLAIMS,
    EXTENSIONS_API,
    PODS,
    SANDBOX_API,
    SANDBOXES,
    Body,
    Pool,
    claim_body,
    path,
    pod_template,
)
from warmclaim.loadtest.schedule import Due
from warmclaim.loadtest.stage import Stage
from warmclaim.loadtest.views import (
    CLAIM_KIND,
    LAUNCH_TYPE,
    POOL_KIND,
    SANDBOX_KIND,
    Metadata,
    Thing,
)
from warmclaim.loadtest.wire import JSON_PATCH, MERGE_PATCH, Wire

NODES = 100
_POOL_LABEL = "agents.x-k8s.io/warm-pool-sandbox"
_CLAIM_LABEL = "agents.x-k8s.io/claim-uid"
_STAMP = "2026-01-01T00:00:00Z"
_AT_ONCE = 32


async def fill(stage: Stage, pool: Pool, count: int, first: int) -> list[Metadata]:
    """Create `count` Ready members, numbered from `first` and spread over the nodes, three writes
    each; returned in an order that uses the nodes evenly. Their pods may not run yet.

    Raises as `Wire.send` does, in an ExceptionGroup.
    """
    gate, wire = asyncio.Semaphore(_AT_ONCE), stage.controller

    async def member(number: int) -> Metadata:
        async with gate:
            name, pod = f"{pool.name}-{number:05}", pod_template(stage.image)
            body = _member_body(name, pool, pod)
            answer = await wire.send("POST", path(stage.namespace, SANDBOXES), body)
            meta = msgspec.json.decode(answer, type=Thing).metadata
            await wire.send("POST", path(stage.namespace, PODS), _pod_body(meta, pod))
            status = path(stage.namespace, SANDBOXES, name, "status")
            await wire.send("PATCH", status, _member_status(number), MERGE_PATCH)
            return meta

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(member(number)) for number in range(first, first + count)]
    return [task.result() for task in tasks]


class HandOver:
    """Creates claims as a client and serves them as a controller would, without looking."""

    def __init__(
        self, client: Wire, controller: Wire, namespace: str, members: Mapping[str, list[Metadata]]
    ) -> None:
        """`members` by pool are given away from the end, each once; taken out there."""
        self._client = client
        self._controller = controller
        self._namespace = namespace
        self._members = members

    async def create(self, due: Due) -> None:
        """Create one claim and give it a sandbox. Raises as `Wire.send` does."""
        collection = path(self._namespace, CLAIMS)
        answer = await self._client.send("POST", collection, claim_body(due.name, due.pool))
        claim = msgspec.json.decode(answer, type=Thing).metadata
        sandbox = self._members[due.pool].pop()
        target = path(self._namespace, SANDBOXES, sandbox.name)
        await self._controller.send("PATCH", target, _reservation(sandbox, claim), JSON_PATCH)
        target = path(self._namespace, CLAIMS, due.name, "status")
        await self._controller.send("PATCH", target, _publication(sandbox, claim), JSON_PATCH)


def _reservation(sandbox: Metadata, claim: Metadata) -> list[Body]:
    """The patch that moves a sandbox from its pool to a claim, if the pool still owns it."""
    owner = sandbox.owner_references[0]
    return [
        _op("test", "/metadata/uid", sandbox.uid),
        _op("test", "/metadata/ownerReferences/0/uid", owner.uid),
        _op("replace", "/metadata/ownerReferences", [_owner(CLAIM_KIND, claim.name, claim.uid)]),
        {"op": "remove", "path": _label(_POOL_LABEL)},
        _op("add", _label(LAUNCH_TYPE), "warm"),
        _op("add", _label(_CLAIM_LABEL), claim.uid),
    ]


def _publication(sandbox: Metadata, claim: Metadata) -> list[Body]:
    """The patch that names the sandbox in the claim's status, if none is named."""
    status = {"conditions": [_ready()], "sandbox": {"name": sandbox.name, "podIPs": ["10.0.0.1"]}}
    return [
        _op("test", "/metadata/uid", claim.uid),
        _op("test", "/status", None),
        _op("add", "/status", status),
    ]


def _member_body(name: str, pool: Pool, pod: Body) -> Body:
    labels = {
        _POOL_LABEL: "00000000",
        LAUNCH_TYPE: "warm",
        "agents.x-k8s.io/created-by": "controller",
        "agents.x-k8s.io/sandbox-template-hash": "00000000",
        "agents.x-k8s.io/sandbox-template-ref-hash": "00000000",
    }
    owners = [_owner(POOL_KIND, pool.name, pool.uid)]
    metadata = {"name": name, "labels": labels, "ownerReferences": owners}
    spec = {"podTemplate": pod}
    return {"apiVersion": SANDBOX_API, "kind": SANDBOX_KIND, "metadata": metadata, "spec": spec}


def _pod_body(sandbox: Metadata, pod: Body) -> Body:
    owners = [_owner(SANDBOX_KIND, sandbox.name, sandbox.uid, SANDBOX_API)]
    metadata = pod["metadata"] | {"name": sandbox.name, "ownerReferences": owners}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}


def _member_status(number: int) -> Body:
    status = {
        "conditions": [_ready()],
        "podIPs": [f"10.0.{number // 250}.{number % 250}"],
        "nodeName": f"node-{number % NODES}",
        "selector": f"agents.x-k8s.io/sandbox-name-hash={number:08x}",
    }
    return {"status": status}


def _ready() -> Body:
    return {
        "type": "Ready",
        "status": "True",
        "reason": "DependenciesReady",
        "message": "Pod is Ready",
        "lastTransitionTime": _STAMP,
        "observedGeneration": 1,
    }


def _owner(kind: str, name: str, uid: str, api_version: str = EXTENSIONS_API) -> Body:
    flags = {"controller": True, "blockOwnerDeletion": True}
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid} | flags


def _op(op: str, where: str, value: Any) -> Body:
    return {"op": op, "path": where, "value": value}


def _label(key: str) -> str:
    return f"/metadata/labels/{key.replace('/', '~1')}"
