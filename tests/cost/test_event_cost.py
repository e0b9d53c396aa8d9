"""What a watch event costs in memory, counted in blocks of the allocator: no clock, no bytes.

A view that reads a further field holds more blocks for each object. A cache, a subscriber or a
decoder that keeps something for each event holds more after many events than after few.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from tests.cost.bounds import EVENT_BLOCKS_MAX, KEPT_BLOCKS_MAX
from tests.kube.fakes import FakeClock, FakeRng, ScriptedTransport, a_list

from warmclaim.api.claim import Claim
from warmclaim.api.pod import Pod
from warmclaim.api.resources import SANDBOX
from warmclaim.api.sandbox import Sandbox
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Informer
from warmclaim.kube.watch_decoder import ObjectEvent, WatchDecoder
from warmclaim.testing.builders import a_claim, a_pod, a_sandbox
from warmclaim.testing.json_values import Json

OBJECTS = 200
FEW_ROUNDS, MANY_ROUNDS = 5, 50


def blocks_of(move: Callable[[], object]) -> int:
    """Blocks more in use after the move, while what it returned is still there."""
    for _ in range(3):
        gc.collect()  # what other tests left, and what its end leaves in turn
    before = sys.getallocatedblocks()
    kept = move()
    gc.collect()
    found = sys.getallocatedblocks() - before
    del kept
    return found


def lines(made: Callable[[int], Json], version: int = 1) -> bytes:
    events = (
        {"type": "MODIFIED", "object": _numbered(made(number), version)}
        for number in range(OBJECTS)
    )
    return b"".join(msgspec.json.encode(event) + b"\n" for event in events)


def _numbered(thing: Json, version: int) -> Json:
    return {**thing, "metadata": {**thing["metadata"], "resourceVersion": str(version)}}


MADE: dict[str, tuple[type[Any], Callable[[int], Json]]] = {
    "sandbox": (Sandbox, lambda n: a_sandbox(f"s{n}", pool="pool", node=f"node-{n % 10}")),
    "pod": (Pod, lambda n: a_pod(f"s{n}", node=f"node-{n % 10}")),
    "claim": (Claim, lambda n: a_claim(f"c{n}", pool="pool")),
}


def test_the_counter_sees_what_is_kept() -> None:
    assert blocks_of(lambda: [object() for _ in range(2 * OBJECTS)]) > OBJECTS


@pytest.mark.parametrize("kind", MADE)
def test_a_decoded_event_holds_the_fields_that_are_read_and_no_more(kind: str) -> None:
    view, made = MADE[kind]
    decoder, text = WatchDecoder[Any](view), lines(made)
    decoder.feed(text)  # what is made once, such as the decoder's own tables
    each = blocks_of(lambda: decoder.feed(text)) / OBJECTS
    assert 0 < each <= EVENT_BLOCKS_MAX[kind]


def test_nothing_is_kept_of_an_event_but_the_newest_object() -> None:
    client = ApiClient(ScriptedTransport(a_list()), clock=FakeClock())
    informer: Informer[Sandbox] = Informer(client, SANDBOX, clock=FakeClock(), rng=FakeRng())
    decoder, made = WatchDecoder(Sandbox), MADE["sandbox"][1]
    version = 0

    def rounds(count: int) -> None:
        nonlocal version
        for _ in range(count):
            version += 1
            for event in decoder.feed(lines(made, version)):
                assert isinstance(event, ObjectEvent)
                informer.put(event.object)

    rounds(FEW_ROUNDS)
    few, many = (blocks_of(partial(rounds, count)) for count in (FEW_ROUNDS, MANY_ROUNDS))
    assert abs(many - few) <= KEPT_BLOCKS_MAX
    assert len(informer.store.keys()) == OBJECTS
