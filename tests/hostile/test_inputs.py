"""Each hostile input, by name: it harms nobody, and one word tells of it."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.hostile import leases, seals
from tests.hostile.catalogue import inputs, kinds, of_kind, replicas
from tests.hostile.judge import Judge
from tests.hostile.world import HostileWorld

from warmclaim.testing.virtual_loop import World, run_virtual

# Inputs whose effect is not yet what a user would expect; each says why.
LATER_MAX = 40


def test_there_are_more_than_three_hundred_and_some_of_each_kind() -> None:
    crafted = [*inputs(), *leases.inputs(), *seals.inputs()]
    assert len(crafted) >= 320
    by_kind = Counter(one.kind for one in crafted)
    assert len(by_kind) == 26
    assert min(by_kind.values()) >= 4
    assert max(Counter(str(one) for one in crafted).values()) == 1
    assert sum(one.id.startswith("right uid") for one in crafted) >= 6
    assert by_kind["sandbox owners"] >= 50
    assert sum(bool(one.later) for one in crafted) <= LATER_MAX


@pytest.mark.parametrize("kind", kinds())
def test_g12_inputs_of(kind: str) -> None:
    async def main(loop: World) -> list[str]:
        async with HostileWorld(loop) as world:
            return await Judge(world, of_kind(kind), replicas=replicas(kind)).run()

    problems = run_virtual(main)
    assert not problems, "\n" + "\n".join(problems)
