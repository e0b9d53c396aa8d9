"""The claim controller on the embedded API server: two writes, and what wakes a claim."""

from __future__ import annotations

from tests.controllers.app_world import CLAIM, NAMESPACE, POOL, SANDBOX, AppWorld, virtual

from warmclaim.api import names
from warmclaim.api.conditions import READY, find
from warmclaim.api.meta import ObjectKey
from warmclaim.seams import Request
from warmclaim.settings import ClaimSettings
from warmclaim.telemetry.exposition import exposition
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template

TWO_WRITES = ["patch sandboxes 200", "patch sandboxclaims/status 200"]


def warm(name: str, node: str = "n1", **more: object) -> dict[str, object]:
    return a_sandbox(name, pool="pool", node=node, **more)  # type: ignore[arg-type]


def stock(world: AppWorld, *sandboxes: dict[str, object], replicas: int = 3) -> None:
    world.put(a_template("python"), a_pool("pool", template="python", replicas=replicas))
    world.put(*sandboxes)


def test_a_warm_claim_costs_two_writes_and_no_read() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"))
        await world.run_for(0.1)
        world.put(a_claim("c", pool="pool"))
        claim = await world.served("c")
        await world.run_for(5)
        assert claim.published == "w1"
        assert world.writes()[:2] == TWO_WRITES
        # Told and noted after publication, when nobody waits for it.
        assert sorted(world.writes()[2:]) == ["create events 201", "patch sandboxclaims 200"]
        assert world.reads() == 0
        assert world.server.requests.count(verb="list", user_agent="controller") <= 4

    virtual(scenario)


def test_without_events_and_notes_there_is_nothing_but_the_two_writes() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"))
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        await world.run_for(60)
        assert world.writes() == TWO_WRITES

    virtual(scenario, claims=ClaimSettings(events_disabled=True, observability_disabled=True))


def test_b7_on_a_quiet_cluster_a_claim_still_costs_no_read() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"))
        await world.run_for(50)  # the server says nothing for up to a minute
        world.put(a_claim("c", pool="pool"))
        await world.served("c", within_s=1)
        assert world.reads() == 0

    virtual(scenario)


def test_b7_with_a_watch_that_cannot_be_had_a_claim_is_read_before_it_is_given_anything() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"))
        await world.run_for(1)
        world.faults.refused_streams = "/sandboxes"
        world.server.end_watches()
        await world.run_for(40)
        world.put(a_claim("c", pool="pool"))
        await world.served("c", within_s=1)
        assert world.reads() == 1

    virtual(scenario)


def test_a_scrape_counts_sandboxes_and_what_could_not_be_read() -> None:
    async def scenario(world: AppWorld) -> None:
        odd = warm("odd", merge={"status": {"podIPs": "no list"}})
        stock(world, warm("w1"), warm("w2"), odd)
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        lines = exposition(world.app.metrics.registry).decode().splitlines()
        counted = [line for line in lines if line.startswith("agent_sandboxes{")]
        assert len(counted) == 2
        for owner in ("SandboxClaim", "SandboxWarmPool"):
            (line,) = (line for line in counted if f'owned_by="{owner}"' in line)
            assert 'ready_condition="true"' in line
            assert line.endswith(" 1.0")
        assert 'warmclaim_objects_skipped{resource="sandboxes.agents.x-k8s.io"} 1.0' in lines

    virtual(scenario)


def test_the_sandbox_carries_the_claims_marks_and_no_longer_the_pools() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"))
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        meta = (await world.sandbox("w1")).metadata
        assert meta.labels[names.LABEL_LAUNCH_TYPE] == names.WARM
        assert meta.labels[names.LABEL_CLAIM_UID] == "c-uid"
        assert names.LABEL_WARM_POOL not in meta.labels
        assert meta.annotations[names.ANNOTATION_POD_NAME] == "w1"
        assert [owner.kind for owner in meta.owner_references] == ["SandboxClaim"]

    virtual(scenario)


def test_ready_and_addresses_are_forwarded() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"))
        world.put(a_claim("c", pool="pool"))
        claim = await world.served("c")
        assert claim.is_ready
        assert claim.status is not None
        assert claim.status.sandbox is not None
        assert claim.status.sandbox.pod_ips

    virtual(scenario)


def test_claims_go_to_the_node_with_most_waiting_sandboxes() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("a", "n1"), warm("b", "n2"), warm("c", "n2"))
        await world.run_for(0.1)
        world.put(a_claim("first", pool="pool"))
        first = await world.served("first")
        world.put(a_claim("second", pool="pool"))
        second = await world.served("second")
        assert (first.published, second.published) == ("b", "a")

    virtual(scenario)


def test_a_missing_pool_is_said_and_its_arrival_wakes_the_claim() -> None:
    async def scenario(world: AppWorld) -> None:
        world.put(a_claim("c", pool="pool"))
        await world.run_for(1)
        ready = find((await world.claim("c")).conditions, READY)
        assert ready is not None
        assert (ready.reason, ready.message) == (
            "WarmPoolNotFound",
            'SandboxWarmPool "pool" not found',
        )
        writes = len(world.writes())
        await world.run_for(600)
        assert len(world.writes()) == writes  # woken by watch, never by polling
        stock(world, warm("w1"))
        await world.served("c", within_s=1)

    virtual(scenario)


def test_without_a_candidate_a_claim_starts_cold_under_its_own_name() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, replicas=0)
        world.put(a_claim("c", pool="pool"))
        claim = await world.served("c")
        assert claim.published == "c"
        sandbox = await world.sandbox("c")
        assert sandbox.metadata.labels[names.LABEL_LAUNCH_TYPE] == names.COLD

    virtual(scenario)


def test_a_claim_waits_for_a_member_without_an_address_and_is_woken_by_it() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1", ready=False))
        world.put(a_claim("c", pool="pool"))
        await world.run_for(1.5)
        assert not await world.is_published("c")
        await world.hand.merge_patch(
            SANDBOX,
            ObjectKey(NAMESPACE, "w1"),
            {"status": warm("w1")["status"]},
            subresource="status",
        )
        claim = await world.served("c", within_s=0.1)
        assert claim.published == "w1"

    virtual(scenario)


def test_a_claim_waits_for_a_member_that_its_pool_still_owes() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, replicas=1)
        world.put(a_claim("c", pool="pool"))
        await world.run_for(1.5)
        assert not await world.is_published("c")
        world.put(warm("w1"))
        claim = await world.served("c", within_s=0.1)
        assert claim.published == "w1"

    virtual(scenario)


def test_a_claim_waits_two_seconds_at_most() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1", ready=False))
        world.put(a_claim("c", pool="pool"))
        waited_s = await world.until(lambda: world.is_published("c"), within_s=3)
        assert 1.9 < waited_s < 2.2
        assert (await world.claim("c")).published == "c"

    virtual(scenario)


def test_only_as_many_claims_wait_as_members_are_on_their_way() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1", ready=False), replicas=1)
        world.put(a_claim("early", pool="pool"))
        await world.run_for(0.1)
        world.put(a_claim("late", pool="pool"))
        await world.run_for(0.3)
        assert not await world.is_published("early")
        assert (await world.claim("late")).published == "late"

    virtual(scenario)


def test_a_member_that_only_looks_like_one_is_never_handed_out() -> None:
    async def scenario(world: AppWorld) -> None:
        forged = warm("forged")
        forged["metadata"]["ownerReferences"][0]["uid"] = "somebody"  # type: ignore[index]
        orphan = warm("orphan")
        orphan["metadata"]["ownerReferences"] = []  # type: ignore[index]
        stock(world, forged, orphan)
        world.put(a_claim("c", pool="pool"))
        claim = await world.served("c", within_s=4)
        assert claim.published == "c"

    virtual(scenario)


def test_a_published_sandbox_that_vanished_is_taken_back_and_replaced() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"), warm("w2"))
        world.put(a_claim("c", pool="pool"))
        first = (await world.served("c")).published
        await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, first))

        async def is_replaced() -> bool:
            return (await world.claim("c")).published not in ("", first)

        await world.until(is_replaced, within_s=5)
        assert await world.owned("c") == [(await world.claim("c")).published]

    virtual(scenario)


def test_a_restart_finishes_a_reservation_that_was_not_published() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w2"), a_sandbox("w1", claim="c", node="n1"))
        world.put(a_claim("c", pool="pool"))
        assert (await world.served("c")).published == "w1"
        assert world.writes()[:1] == ["patch sandboxclaims/status 200"]

    virtual(scenario)


def test_what_one_claims_pass_reads_back_is_news_for_the_claim_it_concerns() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"), warm("w2"))
        world.put(a_claim("owner", pool="none"))
        await world.run_for(0.1)
        stolen: list[str] = []

        async def steal(request: Request) -> None:
            if request.method == "PATCH" and "/sandboxes/" in request.path and not stolen:
                stolen.append(request.path.rpartition("/")[2])
                world.put(a_sandbox(stolen[0], claim="owner", node="n1"))

        world.faults.before = steal
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        assert (await world.served("owner")).published == stolen[0]

    virtual(scenario)


def test_a_deleted_claim_leaves_nothing_behind() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"))
        world.put(a_claim("c", pool="pool"))
        await world.served("c")
        await world.hand.delete(CLAIM, ObjectKey(NAMESPACE, "c"))
        await world.run_for(1)
        assert not await world.exists(CLAIM, "c")
        world.app.warm.check()
        assert len(world.app.warm) == 0

    virtual(scenario)


def test_a_pool_made_again_under_its_name_does_not_own_the_older_ones_members() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, warm("w1"))
        await world.run_for(0.1)
        await world.hand.delete(POOL, ObjectKey(NAMESPACE, "pool"), propagation="Orphan")
        renewed = a_pool("pool", template="python", replicas=0)
        renewed["metadata"]["uid"] = "another-uid"
        world.put(renewed)
        world.put(a_claim("c", pool="pool"))
        assert (await world.served("c")).published == "c"

    virtual(scenario)


def test_owners_forged_in_another_namespace_do_not_hide_what_a_pool_still_owes() -> None:
    """A claim waits for members that its pool still owes; who counts as one is decided here."""

    async def scenario(world: AppWorld) -> None:
        stock(world, replicas=1)
        for number in range(3):
            world.put(warm(f"forged-{number}", namespace="mallory"))
        await world.run_for(1)
        world.put(a_claim("c", pool="pool"))
        await world.run_for(0.5)
        world.put(warm("w1"))
        assert (await world.served("c")).published == "w1"

    virtual(scenario)
