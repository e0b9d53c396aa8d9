"""Runs with the seal on: every promise holds, and S7 as it is there.

WARMCLAIM_SEALED_SEEDS sets how many seeds are run.
"""

from __future__ import annotations

import os

import pytest

from warmclaim.testing.builders import a_sandbox
from warmclaim.testing.cluster import Cluster
from warmclaim.testing.crds import schemaless_crds
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.campaign import SeedResult, Summary, run_seeds
from warmclaim.testing.sim.options import SEALED_FROM, drawn_options
from warmclaim.testing.sim.sealing import ACTS, SealJudge
from warmclaim.testing.sim.trace import Attribution
from warmclaim.testing.virtual_loop import SeededRng, World, run_virtual

SEEDS = int(os.environ.get("WARMCLAIM_SEALED_SEEDS", "40"))
JOBS = min(2, os.cpu_count() or 1)


@pytest.mark.timeout(60 + 2 * SEEDS)
def test_every_promise_holds_with_the_seal_on() -> None:
    failures: dict[int, str] = {}

    def tell(result: SeedResult, _: Summary) -> None:
        if result.failure:
            failures[result.seed] = result.failure

    summary = run_seeds(range(SEALED_FROM, SEALED_FROM + SEEDS), jobs=JOBS, on_result=tell)
    assert failures == {}
    assert [name for name in ACTS if not summary.faults[name]] == []


def test_seeds_before_have_nothing_of_it() -> None:
    assert drawn_options(SEALED_FROM).uses.is_sealed
    before = drawn_options(SEALED_FROM - 1)
    assert not before.uses.is_sealed
    assert not (ACTS.keys() - {"hostile.owner"}) & before.acts.keys()


class Court:
    """A cluster whose sandboxes change hands, before the judge."""

    def __init__(self, world: World) -> None:
        self.attribution = Attribution()
        self.found: list[str] = []
        self.cluster = Cluster(clock=world.clock, rng=SeededRng(0), crds=schemaless_crds())
        judge = SealJudge(self.attribution, lambda promise, text: self.found.append(promise))
        self.cluster.store.observers.append(judge.on_commit)

    def put(self, who: str, value: Json) -> None:
        """Somebody stores it."""
        self.attribution.who = who
        self.cluster.put(value)


EVIL: Json = {"spec": {"podTemplate": {"spec": {"containers": [{"name": "c", "image": "evil"}]}}}}


@pytest.mark.parametrize(
    ("maker", "edit", "found"),
    [("m0", None, []), ("hostile", None, ["S7"]), ("m0", EVIL, ["S7"])],
    ids=["as it was made", "forged", "edited"],
)
def test_the_judge_knows_what_may_be_given(maker: str, edit: Json | None, found: list[str]) -> None:
    async def main(world: World) -> None:
        court = Court(world)
        court.put(maker, a_sandbox("w0"))
        if edit is not None:
            court.put("tenant", a_sandbox("w0", merge=edit))
        court.put("m0", a_sandbox("w0", claim="c", merge=edit))
        assert court.found == found

    run_virtual(main)


def test_the_judge_lets_nothing_be_given_twice() -> None:
    async def main(world: World) -> None:
        court = Court(world)
        court.put("m0", a_sandbox("w0"))
        court.put("m0", a_sandbox("w0", claim="c"))
        court.put("hostile", a_sandbox("w0"))
        court.put("m1", a_sandbox("w0", claim="d"))
        assert court.found == ["S7"]

    run_virtual(main)
