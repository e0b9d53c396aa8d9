"""A world with the seal on: the Secret with its keys, and hands that would get round it."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import Any

from tests.controllers.app_world import NAMESPACE, SANDBOX, AppWorld, running
from tests.controllers.pool_world import POOLS, fills, start

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import ANNOTATION_SEAL
from warmclaim.api.resources import POOL, SECRET
from warmclaim.api.secret import encoded
from warmclaim.settings import PoolSettings
from warmclaim.testing.builders import a_sandbox, an_object, an_owner, as_sent
from warmclaim.testing.json_values import Json
from warmclaim.testing.virtual_loop import World, run_virtual

SECRET_KEY = ObjectKey("keys", "seal")
FIRST, SECOND, THIRD = b"1" * 32, b"2" * 32, b"3" * 32
SEALED: dict[str, Any] = {
    "controllers": frozenset({"claim", "pool"}),
    "pools": PoolSettings(seal_secret=str(SECRET_KEY)),
}
SEALED_POOLS = {**SEALED, **POOLS}
EVIL: Json = {"spec": {"podTemplate": {"spec": {"containers": [{"name": "c", "image": "evil"}]}}}}


def a_sealed_world(loop: World, current: bytes = FIRST) -> AppWorld:
    """Its manager, not running yet, looks after pools alone and seals with that key."""
    world = AppWorld(loop, **SEALED_POOLS)
    put_keys(world, current)
    return world


def sealed_pool(
    scenario: Callable[[AppWorld], Awaitable[None]],
    replicas: int,
    *,
    forged: int = 0,
    current: bytes = FIRST,
) -> None:
    """Run a scenario beside a pool that is full of sealed members, on virtual time. Sandboxes are
    never more than its replicas and those that the scenario forges."""

    async def main(loop: World) -> None:
        world = a_sealed_world(loop, current)
        async with running(world.app):
            start(world, replicas).ceiling = replicas + forged
            await fills(world, replicas)
            await scenario(world)

    run_virtual(main)


def put_keys(world: AppWorld, current: bytes, previous: bytes = b"") -> None:
    """The Secret holds these from now on."""
    value = an_object(SECRET, SECRET_KEY.name, SECRET_KEY.namespace)
    world.put({**value, "data": encoded({"current": current, "previous": previous})})


def stored(world: AppWorld, name: str) -> Json:
    """A sandbox as the server has it."""
    found = world.server.cluster.store.get(str(SANDBOX), f"{NAMESPACE}/{name}")
    assert found is not None
    return found.object


def seal(world: AppWorld, name: str) -> str:
    """What it bears."""
    return str(stored(world, name)["metadata"]["annotations"].get(ANNOTATION_SEAL, ""))


def owners_of(world: AppWorld) -> list[Json]:
    """The reference that a true member has."""
    found = world.server.cluster.store.get(str(POOL), f"{NAMESPACE}/pool")
    assert found is not None
    return [an_owner(POOL, "pool", uid=found.object["metadata"]["uid"])]


async def forge(world: AppWorld, name: str, **annotations: str) -> None:
    """G2: a sandbox of somebody's own, with the true uid of the pool, Ready at once."""
    body = a_sandbox(name, merge={"metadata": {"annotations": annotations}})
    await _send(world, {**body, **EVIL}, body["status"])


async def forge_twin(world: AppWorld, name: str, of: str) -> None:
    """The same, a genuine member's copy in all but its name and its image; its seal too."""
    twin = copy.deepcopy(stored(world, of))
    twin["metadata"]["name"] = name
    await _send(world, twin, a_sandbox("any")["status"])


async def _send(world: AppWorld, body: Json, status: Json) -> None:
    sent = as_sent(body, ownerReferences=owners_of(world))
    sent.pop("status", None)
    key = ObjectKey(NAMESPACE, body["metadata"]["name"])
    await world.hand.create(SANDBOX, NAMESPACE, sent)
    await world.hand.merge_patch(SANDBOX, key, {"status": status}, subresource="status")


async def edit(world: AppWorld, name: str, patch: Json) -> None:
    """G3: somebody changes a sandbox."""
    await world.hand.merge_patch(SANDBOX, ObjectKey(NAMESPACE, name), patch)


def refused(world: AppWorld, reason: str = "unsealed") -> float:
    """How often a candidate was refused for that reason."""
    name = "warmclaim_members_refused_total"
    return world.app.metrics.registry.get_sample_value(name, {"reason": reason}) or 0.0


def told(world: AppWorld) -> list[str]:
    """Events: reason and note."""
    found = world.server.cluster.store.scan("events.events.k8s.io")
    return [f"{commit.object['reason']}: {commit.object['note']}" for commit in found]


def secret_reads(world: AppWorld) -> list[str]:
    """Requests of the manager about secrets: verb and name."""
    return [f"{e.verb} {e.name}" for e in world.server.requests.last if e.resource == "secrets"]
