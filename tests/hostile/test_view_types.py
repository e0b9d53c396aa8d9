"""Every wrong type in every field that is read: the object is left out and counted, no more."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from tests.hostile.inputs import Ground, Line
from tests.hostile.judge import SETTLE_S, log_problem
from tests.hostile.view_types import WrongType, wrong_types
from tests.hostile.world import GOOD, HostileWorld

from warmclaim.api.resources import POD
from warmclaim.testing.virtual_loop import World, run_virtual

ALL = wrong_types()
KINDS = sorted({one.resource.plural for one in ALL})
REOPENED_S_MAX = 60.0


def test_there_are_hundreds_and_some_for_each_view() -> None:
    assert len(ALL) >= 400
    assert KINDS == [
        "pods", "sandboxclaims", "sandboxes", "sandboxtemplates", "sandboxwarmpools", "services",
    ]  # fmt: skip
    paths = {str(one).partition(" ")[0] for one in ALL}
    assert "sandboxclaims.status.sandbox.podIPs" in paths
    assert "pods.metadata.ownerReferences.0.uid" in paths


@pytest.mark.parametrize("plural", KINDS)
def test_g11_a_watch_goes_on_past_all_of_them(plural: str) -> None:
    problems: list[str] = []

    async def main(loop: World) -> None:
        async with HostileWorld(loop) as world:
            ground = world.ground(GOOD, replicas=2)
            await world.run_for(SETTLE_S)
            for one in (one for one in ALL if one.resource.plural == plural):
                problems.extend(await _spiked(world, ground, one))
            world.good_claim("after")
            await world.run_for(SETTLE_S)
            assert "after" in world.published_s
            assert world.is_up
            problems.extend(filter(None, map(log_problem, world.log.lines)))

    run_virtual(main)
    assert not problems, "\n".join(problems)


async def _spiked(world: HostileWorld, ground: Ground, one: WrongType) -> list[str]:
    """What was wrong after that object came by the watch; then the watch is open again."""
    informer = world.app.caches.informers[str(one.resource)]
    before, objects = informer.skipped, len(informer.store)

    def line(version: int) -> bytes:
        return msgspec.json.encode({"type": "ADDED", "object": one.body("odd", version)}) + b"\n"

    await world.do(ground, [Line(one.resource, line)])
    await world.run_for(0.01)
    problems = [] if informer.skipped == before + 1 else [f"{one}: counted {informer.skipped}"]
    if len(informer.store) != objects:
        problems.append(f"{one}: taken in")
    if informer.unwatched_s() and one.has_identity:
        problems.append(f"{one}: ended the watch")
    for _ in range(int(REOPENED_S_MAX)):
        if not informer.unwatched_s():
            return problems
        await world.run_for(1.0)
    return [*problems, f"{one}: the watch is not opened again"]


def test_g11_a_list_with_all_of_them_is_read_and_only_they_are_left_out() -> None:
    async def main(loop: World) -> None:
        world = HostileWorld(loop)
        world.ground(GOOD, replicas=2)
        stored = list(_stored(world))
        async with world:
            await world.run_for(SETTLE_S)
            world.good_claim("after")
            await world.run_for(SETTLE_S)
            assert "after" in world.published_s
            for name, informer in world.app.caches.informers.items():
                wanted = sum(str(one.resource) == name for one in stored)
                assert informer.skipped == wanted, name
                assert not [key for key in sorted(informer.store.keys()) if key.namespace == "odd"]
            assert not [line for line in world.log.lines if log_problem(line)]

    run_virtual(main)


def _stored(world: HostileWorld) -> Iterable[WrongType]:
    """Put them in the store, under names of their own. Left out are those whose identity or labels
    are wrong (no store could hold them, no selector find them), and pods that the embedded
    server's own nodes cannot take."""
    for number, one in enumerate(ALL):
        is_labels = one.path[:2] == ("metadata", "labels")
        is_nodes = one.resource is POD and one.path[0] != "metadata"
        if not one.has_identity or is_labels or is_nodes:
            continue
        body = one.body("odd", 1)
        body["metadata"]["name"] = f"typed-{number}"
        world.cluster.put(body)
        yield one
