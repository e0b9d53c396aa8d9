"""Notes on served claims: when, how often, and that they stand before nobody's Ready."""

from __future__ import annotations

import asyncio

import pytest
from tests.controllers.app_world import (
    CLAIM,
    NAMESPACE,
    SANDBOX,
    AppWorld,
    Fault,
    always,
    refusal,
    running,
    virtual,
)

from warmclaim.api import names
from warmclaim.api.meta import ObjectKey
from warmclaim.api.timestamps import seconds_of
from warmclaim.app.claims_first import QUIET_S
from warmclaim.controllers.shortage import LASTS_S
from warmclaim.errors import UnknownOutcomeError
from warmclaim.seams import Request, Response
from warmclaim.settings import ClaimSettings, LeaseSettings
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template
from warmclaim.testing.json_values import Json
from warmclaim.testing.virtual_loop import World, run_virtual

SEEN, READY = names.ANNOTATION_CONTROLLER_OBSERVED, names.ANNOTATION_FIRST_READY
NOTE = "patch sandboxclaims 200"
OFF = ClaimSettings(events_disabled=True, observability_disabled=True)
QUIET = ClaimSettings(events_disabled=True)
NOT_READY: Json = {"conditions": []}


def stock(world: AppWorld, *more: Json, replicas: int = 3) -> None:
    world.put(a_template("python"), a_pool("pool", replicas=replicas), *more)


def member(name: str) -> Json:
    return a_sandbox(name, pool="pool")


async def noted_on(world: AppWorld, name: str = "c") -> dict[str, str]:
    return (await world.claim(name)).metadata.annotations


def is_note(request: Request) -> bool:
    return request.method == "PATCH" and request.path.endswith("/sandboxclaims/c")


def notes_sent(world: AppWorld) -> list[bytes]:
    return [request.body or b"" for request in world.faults.seen if is_note(request)]


def at_the_note(answer: Response | Exception, *, times: int) -> Fault:
    """The same answer to the first few notes on the claim."""
    left = [answer] * times

    async def strike(request: Request) -> Response | Exception | None:
        return left.pop() if left and is_note(request) else None

    return strike


class TestWhen:
    def test_one_patch_after_ready_with_both_times(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, member("w1"))
            await world.run_for(3.5)
            began = world.clock.wall()
            world.put(a_claim("c", pool="pool"))
            await world.served("c")
            await world.run_for(60)
            noted = await noted_on(world)
            seen_s, ready_s = seconds_of(noted[SEEN]), seconds_of(noted[READY])
            assert seen_s is not None
            assert ready_s is not None
            assert began - 1e-5 <= seen_s <= ready_s <= began + 0.1
            assert noted[SEEN].endswith("Z")
            assert world.writes()[2:] == [NOTE]
            assert world.reads() == 0

        virtual(scenario, claims=QUIET)

    def test_nothing_is_noted_before_ready(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, replicas=0)
            world.put(a_claim("c", pool="pool"))
            await world.served("c")
            await world.run_for(60)
            assert READY not in await noted_on(world)
            assert SEEN not in await noted_on(world)
            status = member("c")["status"]
            key = ObjectKey(NAMESPACE, "c")
            await world.hand.merge_patch(SANDBOX, key, {"status": status}, subresource="status")
            before = world.clock.wall()
            await world.run_for(10)
            ready_s = seconds_of((await noted_on(world))[READY])
            assert ready_s is not None
            assert abs(ready_s - before) < 1

        virtual(scenario, claims=QUIET)

    def test_a_burst_is_served_before_any_claim_of_it_is_noted(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, *(member(f"w{n}") for n in range(30)), replicas=30)
            await world.run_for(1)

            async def slowly(request: Request) -> None:
                if request.method == "PATCH":
                    await world.clock.sleep(0.05)

            world.faults.before = slowly
            world.put(*(a_claim(f"c{n}", pool="pool") for n in range(30)))
            await world.run_for(30)
            writes = [text for text in world.writes() if text != "patch sandboxes 200"]
            assert writes == ["patch sandboxclaims/status 200"] * 30 + [NOTE] * 30

        virtual(scenario, claims=ClaimSettings(workers=2, events_disabled=True))

    def test_while_claims_come_on_they_are_noted_after_half_a_minute(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, *(member(f"w{n:03}") for n in range(200)), replicas=0)
            await world.run_for(1)
            for number in range(200):
                world.put(a_claim(f"c{number}", pool="pool"))
                await world.run_for(0.2)
                noted = world.writes().count(NOTE)
                assert noted == 0 if number < 148 else noted >= number - 155

        virtual(scenario, claims=QUIET)

    def test_while_their_pool_is_short_they_wait_in_gaps_too(self) -> None:
        """Refill needs the connections that notes would take."""

        async def scenario(world: AppWorld) -> None:
            stock(world, *(member(f"w{n}") for n in range(8)), replicas=8)
            await world.run_for(1)
            for number in range(7):
                world.put(a_claim(f"c{number}", pool="pool"))
                await world.run_for(0.01)
            await world.run_for(QUIET_S + 0.1)
            assert world.writes().count(NOTE) == 0
            await world.run_for(LASTS_S)
            assert world.writes().count(NOTE) == 7

        virtual(scenario, claims=QUIET)

    def test_switched_off_nothing_is_noted(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, member("w1"))
            world.put(a_claim("c", pool="pool"))
            await world.served("c")
            await world.run_for(60)
            assert await noted_on(world) == {}

        virtual(scenario, claims=OFF)


class TestOnce:
    def test_readiness_that_comes_and_goes_is_noted_once(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, member("w1"))
            world.put(a_claim("c", pool="pool"))
            await world.served("c")
            await world.run_for(10)
            first = await noted_on(world)
            key, ready = ObjectKey(NAMESPACE, "w1"), member("w1")["status"]
            for status in (NOT_READY, ready) * 3:
                await world.hand.merge_patch(SANDBOX, key, {"status": status}, subresource="status")
                await world.run_for(10)
            assert await noted_on(world) == first
            assert world.writes().count(NOTE) == 1

        virtual(scenario, claims=QUIET)

    @pytest.mark.parametrize(
        "answer",
        [UnknownOutcomeError("lost"), refusal(500, "InternalError")],
        ids=["no answer", "500"],
    )
    def test_a_lost_answer_is_made_good(self, answer: Response | Exception) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, member("w1"))
            world.faults.after = at_the_note(answer, times=1)
            world.put(a_claim("c", pool="pool"))
            await world.served("c")
            await world.run_for(60)
            noted = await noted_on(world)
            assert seconds_of(noted[READY]) is not None
            assert seconds_of(noted[SEEN]) is not None

        virtual(scenario, claims=QUIET)

    def test_one_that_never_arrived_is_sent_again(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, member("w1"))
            world.faults.before = at_the_note(UnknownOutcomeError("lost"), times=3)
            world.put(a_claim("c", pool="pool"))
            await world.served("c")
            await world.run_for(60)
            assert {SEEN, READY} == (await noted_on(world)).keys()
            assert world.writes().count(NOTE) == 1

        virtual(scenario, claims=QUIET)

    @pytest.mark.parametrize(
        "answer",
        [
            refusal(403, "Forbidden", "not allowed"),
            refusal(422, "Invalid", "annotations: too long"),
            refusal(400, "BadRequest"),
        ],
        ids=["403", "422", "400"],
    )
    def test_what_is_refused_is_not_tried_again(self, answer: Response) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, member("w1"))
            world.faults.before = at_the_note(answer, times=100)
            world.put(a_claim("c", pool="pool"))
            await world.served("c")
            await world.run_for(600)
            assert len(notes_sent(world)) == 1
            assert (await world.claim("c")).is_ready

        virtual(scenario, claims=QUIET)

    def test_a_refused_label_of_its_sandbox_takes_no_note_from_the_claim(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, a_sandbox("w1", claim="c"))
            world.faults.before = always(refusal(422, "Invalid"), "PATCH", "/sandboxes/w1")
            world.put(a_claim("c", sandbox="w1"))
            await world.run_for(600)
            assert (await noted_on(world))[READY] == "unknown"
            assert sum(r.path.endswith("/sandboxes/w1") for r in world.faults.seen) == 1

        virtual(scenario, claims=QUIET)

    def test_what_is_stripped_again_is_not_fought_for(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, member("w1"))
            world.put(a_claim("c", pool="pool"))
            await world.served("c")
            await world.run_for(10)
            stripped = {"metadata": {"annotations": None}}
            for _ in range(5):
                await world.hand.merge_patch(CLAIM, ObjectKey(NAMESPACE, "c"), stripped)
                await world.run_for(10)
            assert world.writes().count(NOTE) == 1

        virtual(scenario, claims=QUIET)

    def test_what_its_answer_brings_is_news_for_the_claim(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, member("w1"))

            async def clear(request: Request) -> None:
                if is_note(request):
                    world.server.end_watches()
                    world.faults.refused_streams = "/sandboxclaims"
                    nothing = {"status": {"conditions": None, "sandbox": None}}
                    key = ObjectKey(NAMESPACE, "c")
                    await world.hand.merge_patch(CLAIM, key, nothing, subresource="status")

            world.faults.before = clear
            world.put(a_claim("c", pool="pool"))
            await world.served("c")
            await world.until(lambda: noted_and_shown(world), within_s=10)

        virtual(scenario, claims=QUIET)


async def noted_and_shown(world: AppWorld) -> bool:
    return READY in await noted_on(world) and (await world.claim("c")).published == "w1"


class TestBefore:
    """Claims that were Ready before this process looked."""

    def test_one_that_lacks_the_time_gets_unknown_once(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, a_sandbox("w1", claim="c"))
            world.put(a_claim("c", sandbox="w1"))
            await world.run_for(60)
            (body,) = notes_sent(world)
            assert body == (
                b'{"metadata":{"uid":"c-uid","annotations":'
                b'{"agents.x-k8s.io/claim-first-ready-at":"unknown"}}}'
            )
            for status in (NOT_READY, member("w1")["status"]):
                key = ObjectKey(NAMESPACE, "w1")
                await world.hand.merge_patch(SANDBOX, key, {"status": status}, subresource="status")
                await world.run_for(10)
            assert (await noted_on(world)) == {READY: "unknown"}

        virtual(scenario)

    def test_a_standby_that_saw_it_become_ready_knows_when(self) -> None:
        async def main(world: World) -> None:
            lease = LeaseSettings(enabled=True)
            app_world = AppWorld(world, claims=OFF, lease=lease)
            _, standby = app_world.another("standby", claims=QUIET, lease=lease)
            stock(app_world, member("w1"))
            async with running(app_world.app):
                await app_world.run_for(1)
                stop = asyncio.Event()
                task = asyncio.create_task(standby.run(stop))
                await standby.caches.wait_synced()
                began_s = app_world.clock.wall()
                app_world.put(a_claim("c", pool="pool"))
                await app_world.served("c")
            await app_world.run_for(60)
            ready_s = seconds_of((await noted_on(app_world))[READY])
            assert ready_s is not None
            assert abs(ready_s - began_s) < 1
            assert app_world.writes("standby").count(NOTE) == 1
            stop.set()
            await task

        run_virtual(main)

    def test_one_made_again_under_its_name_begins_anew(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, member("w1"), member("w2"))
            world.put(a_claim("c", pool="pool"))
            await world.served("c")
            await world.run_for(10)
            await world.hand.delete(CLAIM, ObjectKey(NAMESPACE, "c"))
            await world.run_for(10)
            again = a_claim("c", pool="pool", merge={"metadata": {"uid": "c-again"}})
            before = world.clock.wall()
            world.put(again)
            await world.served("c")
            await world.run_for(10)
            seen_s = seconds_of((await noted_on(world))[SEEN])
            assert seen_s is not None
            assert seen_s >= before - 1e-5

        virtual(scenario, claims=QUIET)


def test_a_claim_without_room_for_a_note_is_served_and_left_as_it_is() -> None:
    async def scenario(world: AppWorld) -> None:
        stock(world, member("w1"))
        full = {"note": "f" * (256 * 1024 - len("note"))}
        world.put(a_claim("c", pool="pool", merge={"metadata": {"annotations": full}}))
        await world.served("c")
        await world.run_for(600)
        assert await noted_on(world) == full
        assert [write for write in world.writes() if "status" not in write][1:] == [
            "patch sandboxclaims 422"
        ]

    virtual(scenario, claims=QUIET)
