"""The moves of a WarmQueue, one word each."""

from collections.abc import Callable

import pytest

from warmqueue import (
    Place,
    SandboxKey,
    Taken,
    WarmEntry,
    WarmQueue,
)

A, B, C, D = (SandboxKey("ns", name) for name in "abcd")


def offer(
    queue: WarmQueue,
    key: SandboxKey,
    node: str | None = "n1",
    *,
    is_ready: bool = True,
    uid: str | None = None,
) -> None:
    queue.offer(key, uid or f"uid-{key.name}", node=node, is_ready=is_ready)
    queue.check()


def hold(queue: WarmQueue, key: SandboxKey, node: str | None = "n1") -> None:
    queue.hold(key, f"uid-{key.name}", node=node)
    queue.check()


def take(queue: WarmQueue) -> Taken:
    taken = queue.take()
    queue.check()
    assert taken is not None, "nothing to take"
    return taken


def offer_and_take(queue: WarmQueue, key: SandboxKey) -> None:
    offer(queue, key)
    take(queue)


def entry_of(queue: WarmQueue, key: SandboxKey) -> WarmEntry:
    entry = queue.entry_of(key)
    assert entry is not None, f"{key} is not known"
    return entry


def drain(queue: WarmQueue) -> list[SandboxKey]:
    """The order in which all that waits would be given."""
    order: list[SandboxKey] = []
    while (taken := queue.take()) is not None:
        queue.check()
        order.append(taken.entry.key)
        taken.settle()
    return order


# How a key gets into each place.
PLACES: dict[Place, Callable[[WarmQueue, SandboxKey], None]] = {
    Place.READY: offer,
    Place.NOT_READY: lambda queue, key: offer(queue, key, is_ready=False),
    Place.HELD: hold,
    Place.IN_FLIGHT: offer_and_take,
}


in_each_place = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.value)
