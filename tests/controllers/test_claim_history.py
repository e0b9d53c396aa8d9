"""The history of claims that are gone: one row for each, by whoever leads; no request for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.controllers.app_world import (
    CLAIM,
    NAMESPACE,
    SANDBOX,
    AppWorld,
    always,
    once,
    refusal,
    running,
    virtual,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.api.timestamps import rfc3339
from warmclaim.controllers import claim_history
from warmclaim.domain.claim_history import ClaimEnd, ClaimRow
from warmclaim.settings import LeaseSettings
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template
from warmclaim.testing.virtual_loop import World, run_virtual

Scenario = Callable[[AppWorld, list[ClaimRow]], Awaitable[None]]


def told(scenario: Scenario, **settings: Any) -> None:
    """Run a scenario with a manager that is up, and the rows that it tells."""
    rows: list[ClaimRow] = []

    async def with_rows(world: AppWorld) -> None:
        await scenario(world, rows)

    virtual(with_rows, history=rows, **settings)


def stock(world: AppWorld, *nodes: str) -> None:
    world.put(a_template("python"), a_pool("pool", template="python", replicas=len(nodes)))
    world.put(*(a_sandbox(f"w{n}", pool="pool", node=node) for n, node in enumerate(nodes)))


async def gone(world: AppWorld, name: str = "c") -> None:
    """Somebody deletes the claim, and everybody learns of it."""
    await world.hand.delete(CLAIM, ObjectKey(NAMESPACE, name))
    await world.run_for(0.1)


def a_life(name: str, uid: str) -> dict[str, Any]:
    """A claim with a uid of its own."""
    return a_claim(name, pool="pool", merge={"metadata": {"uid": uid}})


def cut_off(world: AppWorld) -> None:
    """No watch of claims from here on."""
    world.server.end_watches()
    world.faults.refused_streams = "/sandboxclaims"


def listed_anew(world: AppWorld) -> None:
    """Claims can be watched again, but not from where the watch was."""
    world.faults.refused_streams = ""
    world.server.cluster.store.compact()
    world.server.end_watches()


def known(*times: int | None) -> list[int]:
    return [time for time in times if time is not None]


def test_a_warm_claim_has_its_times_counts_and_sandbox() -> None:
    async def scenario(world: AppWorld, rows: list[ClaimRow]) -> None:
        stock(world, "n1", "n2", "n2", "n2")
        await world.run_for(0.1)
        world.put(a_claim("c", pool="pool"))
        published = (await world.served("c")).published
        await world.run_for(3)
        writes, reads = world.writes(), world.reads()
        assert rows == []
        await gone(world)
        (row,) = rows
        assert (row.uid, row.namespace, row.name, row.pool) == ("c-uid", NAMESPACE, "c", "pool")
        assert (row.outcome, row.reason, row.launch_type) == (ClaimEnd.SERVED, "", "warm")
        assert (row.sandbox, row.node) == (published, "n2")
        assert (row.pool_waiting, row.best_node_waiting, row.second_node_waiting) == (4, 3, 1)
        assert (row.attempts, row.conflicts, row.candidates_refused) == (1, 0, {})
        times = known(
            row.seen_us, row.picked_us, row.reserved_us, row.published_us, row.ready_us,
            row.deleted_us,
        )  # fmt: skip
        assert len(times) == 6
        assert times == sorted(times)
        assert row.published_us == row.ready_us
        assert row.controller_version
        assert (world.writes(), world.reads()) == (writes, reads)

    told(scenario)


def test_a_cold_start_is_told_with_the_node_that_it_got_later() -> None:
    async def scenario(world: AppWorld, rows: list[ClaimRow]) -> None:
        world.put(a_template("python"), a_pool("pool", template="python", replicas=0))
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        assert (await world.sandbox("c")).node is None
        started = a_sandbox("c", claim="c", node="n7")
        key, status = ObjectKey(NAMESPACE, "c"), {"status": started["status"]}
        await world.hand.merge_patch(SANDBOX, key, status, subresource="status")
        await world.run_for(0.1)
        await world.hand.delete(SANDBOX, key)
        await gone(world)
        (row,) = rows
        assert (row.outcome, row.launch_type, row.node) == (ClaimEnd.SERVED, "cold", "n7")
        assert (row.picked_us, row.reserved_us, row.attempts) == (None, None, 0)
        assert known(row.published_us) < known(row.ready_us)

    told(scenario)


def test_reservations_that_were_not_won_are_counted() -> None:
    async def scenario(world: AppWorld, rows: list[ClaimRow]) -> None:
        stock(world, "n1", "n1", "n1")
        await world.run_for(0.1)
        world.faults.before = once(refusal(404, "NotFound"), "PATCH", "/sandboxes/")
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        await gone(world)
        (row,) = rows
        assert (row.attempts, row.conflicts) == (2, 1)
        assert row.pool_waiting == 2

    told(scenario)


def test_candidates_that_may_not_be_handed_out_are_counted_by_reason() -> None:
    async def scenario(world: AppWorld, rows: list[ClaimRow]) -> None:
        world.put(a_template("python"), a_pool("pool", template="python", replicas=2))
        malformed = {"spec": {"podTemplate": {"metadata": {"labels": 7}}}}
        for number in range(2):
            world.put(a_sandbox(f"bad{number}", pool="pool", merge=malformed))
        await world.run_for(0.1)
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        await gone(world)
        (row,) = rows
        assert row.candidates_refused == {"malformed": 2}
        assert (row.launch_type, row.attempts, row.picked_us) == ("cold", 0, None)

    told(scenario)


@pytest.mark.parametrize(
    ("claim", "outcome", "reason"),
    [
        (a_claim("c", pool="nowhere"), ClaimEnd.REFUSED, "WarmPoolNotFound"),
        (
            a_claim(
                "c",
                pool="pool",
                merge={"spec": {"lifecycle": {"shutdownTime": rfc3339(1)}}},
            ),
            ClaimEnd.EXPIRED,
            "ClaimExpired",
        ),
    ],
    ids=["refused", "expired"],
)
def test_a_claim_that_was_not_served_says_why(
    claim: dict[str, Any], outcome: ClaimEnd, reason: str
) -> None:
    async def scenario(world: AppWorld, rows: list[ClaimRow]) -> None:
        world.put(a_template("python"), a_pool("pool", template="python", replicas=0))
        world.put(claim)
        await world.run_for(1)
        await gone(world)
        (row,) = rows
        assert (row.outcome, row.reason) == (outcome, reason)
        assert (row.sandbox, row.ready_us) == ("", None)

    told(scenario)


def test_a_claim_that_waited_and_was_deleted_is_abandoned() -> None:
    async def scenario(world: AppWorld, rows: list[ClaimRow]) -> None:
        stock(world, "n1")
        await world.run_for(0.1)
        world.faults.before = always(refusal(429, "TooManyRequests", "slow"), "PATCH")
        world.put(a_claim("c", pool="pool"))
        await world.run_for(2)
        await gone(world)
        (row,) = rows
        assert row.outcome is ClaimEnd.ABANDONED
        assert row.attempts > 1
        assert (row.reserved_us, row.ready_us) == (None, None)

    told(scenario)


class TestOneRow:
    def test_made_again_under_the_same_name_each_life_has_its_own(self) -> None:
        async def scenario(world: AppWorld, rows: list[ClaimRow]) -> None:
            stock(world, "n1", "n2")
            await world.run_for(0.1)
            for uid in ("first", "second"):
                world.put(a_life("c", uid))
                await world.served("c")
                await gone(world)
            assert [row.uid for row in rows] == ["first", "second"]
            assert [row.pool_waiting for row in rows] == [2, 1]

        told(scenario)

    def test_made_again_while_the_watch_was_away(self) -> None:
        async def scenario(world: AppWorld, rows: list[ClaimRow]) -> None:
            stock(world, "n1", "n2")
            await world.run_for(0.1)
            world.put(a_life("c", "first"))
            await world.served("c")
            cut_off(world)
            await gone(world)
            world.put(a_life("c", "second"))
            await world.run_for(5)
            assert rows == []
            listed_anew(world)
            await world.run_for(20)
            assert [row.uid for row in rows] == ["first"]
            await gone(world)
            assert [row.uid for row in rows] == ["first", "second"]
            assert rows[0].sandbox != rows[1].sandbox

        told(scenario)

    def test_gone_while_the_watch_was_away_and_listed_again_and_again(self) -> None:
        async def scenario(world: AppWorld, rows: list[ClaimRow]) -> None:
            stock(world, "n1", "n2")
            await world.run_for(0.1)
            world.put(a_life("c", "one"), a_life("d", "two"))
            await world.served("c")
            await world.served("d")
            cut_off(world)
            await gone(world)
            await world.run_for(20)
            for _ in range(2):
                listed_anew(world)
                await world.run_for(20)
            assert [row.uid for row in rows] == ["one"]

        told(scenario)

    def test_shown_again_by_a_server_that_lags(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(claim_history, "TOLD_UIDS_MAX", 2)

        async def scenario(world: AppWorld, rows: list[ClaimRow]) -> None:
            world.put(a_template("python"), a_pool("pool", template="python", replicas=0))
            for uid in ("a", "b", "a", "c", "d", "a"):
                world.put(a_life("c", uid))
                await world.run_for(0.1)
                await gone(world)
            assert [row.uid for row in rows] == ["a", "b", "c", "d", "a"]

        told(scenario)


def test_a_sandbox_of_somebody_else_is_not_told_of() -> None:
    async def scenario(world: AppWorld, rows: list[ClaimRow]) -> None:
        world.put(a_sandbox("theirs", claim="other", node="n9"), a_claim("c", sandbox="theirs"))
        await world.run_for(0.01)
        await gone(world)
        (row,) = rows
        assert (row.node, row.launch_type) == ("", "")

    told(scenario)


def test_who_leads_tells_and_a_successor_knows_what_the_one_before_noted() -> None:
    rows: dict[str, list[ClaimRow]] = {"controller": [], "standby": []}
    lease = LeaseSettings(namespace=NAMESPACE)

    async def main(world: World) -> None:
        first = AppWorld(world, history=rows["controller"], lease=lease)
        first.history = rows["standby"]
        _, standby = first.another("standby", lease=lease)
        stock(first, "n1", "n2", "n3")
        stop = asyncio.Event()
        leader = asyncio.create_task(first.app.run(stop))
        await first.app.caches.wait_synced()
        await first.run_for(1)
        async with running(standby):
            first.put(a_life("c", "c"), a_life("d", "d"))
            await first.served("c")
            await first.served("d")
            await first.run_for(6)
            await gone(first)
            assert [row.uid for row in rows["controller"]] == ["c"]
            stop.set()
            await leader
            await first.run_for(5)
            await gone(first, "d")
        (ours,), (theirs,) = rows["controller"], rows["standby"]
        assert (ours.uid, theirs.uid) == ("c", "d")
        assert (theirs.outcome, theirs.launch_type, bool(theirs.node)) == ("served", "warm", True)
        assert known(theirs.seen_us) <= known(theirs.ready_us) != []

    run_virtual(main)
