"""Why a claim is not Ready, where the claim controller says it: once, and without a hot loop."""

from __future__ import annotations

from tests.controllers.app_world import NAMESPACE, SANDBOX, AppWorld, always, refusal, virtual

from warmclaim.api.conditions import FINISHED, READY, find
from warmclaim.api.meta import ObjectKey
from warmclaim.seams import Request, Response
from warmclaim.settings import ClaimSettings
from warmclaim.testing.builders import a_claim, a_condition, a_pool, a_sandbox, a_template
from warmclaim.testing.json_values import Json

QUIET = ClaimSettings(events_disabled=True, observability_disabled=True)


async def ready_of(world: AppWorld) -> tuple[str, str, str]:
    ready = find((await world.claim("c")).conditions, READY)
    assert ready is not None
    return ready.status, ready.reason, ready.message


def stock(world: AppWorld, *more: Json, replicas: int = 3) -> None:
    world.put(a_template("python"), a_pool("pool", replicas=replicas), *more)


class TestAdoptionConflict:
    def test_when_others_win_every_try_it_is_said_and_tried_again_later(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, a_sandbox("w1"), a_sandbox("w2"))
            await world.run_for(1)
            world.faults.before = always(refusal(409, "Conflict"), "PATCH", "/sandboxes/")
            world.put(a_claim("c", pool="pool"))
            await world.run_for(60)
            assert await ready_of(world) == (
                "False",
                "AdoptionConflict",
                "none of 5 warm sandboxes could be won; "
                "the next pass retries from a converged view",
            )
            assert world.writes() == ["patch sandboxclaims/status 200"]
            tries = sum(r.method == "PATCH" and "/sandboxes/" in r.path for r in world.faults.seen)
            assert tries <= 5 * 15  # back-off: 5 ms, doubled up to 30 s
            world.faults.before = always(refusal(404, "NotFound"), "none")
            await world.until(lambda: world.is_published("c"), within_s=31)
            assert (await ready_of(world))[0] == "True"

        virtual(scenario, claims=QUIET)

    def test_a_refusal_for_good_is_said_and_tried_once_a_minute(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, replicas=0)
            denied = refusal(400, "BadRequest", "no such thing")
            world.faults.before = always(denied, "POST", "/sandboxes")
            world.put(a_claim("c", pool="pool"))
            await world.run_for(600)
            assert await ready_of(world) == (
                "False",
                "ReconcilerError",
                "Error seen: 400 BadRequest: no such thing",
            )
            posts = sum(r.method == "POST" for r in world.faults.seen)
            assert 9 <= posts <= 12

        virtual(scenario, claims=QUIET)


class TestAlreadyThere:
    """The API's own controller waits for its cache here; this one asks the server."""

    def test_a_sandbox_of_an_earlier_try_is_published_at_once(self) -> None:
        async def scenario(world: AppWorld) -> None:
            stock(world, replicas=0)
            await world.run_for(1)
            lost = list[Request]()

            async def lose(request: Request) -> Response | Exception | None:
                if request.method != "POST" or lost:
                    return None
                lost.append(request)
                return refusal(409, "AlreadyExists")

            world.faults.after = lose
            world.put(a_claim("c", pool="pool"))
            await world.served("c", within_s=0.5)
            assert len(lost) == 1
            assert world.writes() == ["create sandboxes 201", "patch sandboxclaims/status 200"]

        virtual(scenario, claims=QUIET)


class TestMissing:
    def test_a_sandbox_that_vanished_takes_its_end_with_it(self) -> None:
        async def scenario(world: AppWorld) -> None:
            ended = a_condition(FINISHED, reason="PodSucceeded")
            conditions = [ended, a_condition(READY, "False", reason="PodSucceeded")]
            life = {"ttlSecondsAfterFinished": 86_400 * 365 * 9}
            stock(
                world,
                a_sandbox("w1", claim="c", merge={"status": {"conditions": conditions}}),
                a_claim("c", sandbox="w1", merge={"spec": {"lifecycle": life}}),
                replicas=0,
            )
            await world.run_for(1)
            assert find((await world.claim("c")).conditions, FINISHED) is not None
            await world.hand.delete(SANDBOX, ObjectKey(NAMESPACE, "w1"))
            await world.run_for(5)
            claim = await world.claim("c")
            assert find(claim.conditions, FINISHED) is None
            assert claim.published == "c"

        virtual(scenario, claims=QUIET)

    def test_one_that_expired_by_itself_is_said_so(self) -> None:
        async def scenario(world: AppWorld) -> None:
            over = a_condition(
                READY, "False", reason="SandboxExpired", message="Sandbox has expired"
            )
            expired = a_sandbox("w1", claim="c", merge={"status": {"conditions": [over]}})
            stock(world, expired, a_claim("c", sandbox="w1"))
            await world.run_for(5)
            assert await ready_of(world) == (
                "False",
                "SandboxExpired",
                "Underlying Sandbox resource has expired independently of the Claim.",
            )
            assert world.writes().count("patch sandboxclaims/status 200") == 1

        virtual(scenario, claims=QUIET)
