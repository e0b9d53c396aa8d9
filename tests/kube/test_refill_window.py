"""RefillWindow: how many requests of refill are under way while claims are served."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.kube.fakes import JSON, WIDGET, Answer, ScriptedTransport, a_widget

from warmclaim.errors import ThrottledError
from warmclaim.kube.calm import CALM_S_MIN, CROWDED, FORGETTING
from warmclaim.kube.client import ApiClient
from warmclaim.kube.refill_window import RefillWindow
from warmclaim.seams import Channel, Request, Response
from warmclaim.testing.virtual_loop import World, run_virtual

AT_ONCE_MAX = 8
WAIT_S_MAX = 1.0
QUICK_S, SLOW_S = CALM_S_MIN, 10 * CALM_S_MIN


class Rig:
    """A window whose claims and shortage are set by hand."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.is_busy, self.need = True, 0.0
        self.window = RefillWindow(
            world.clock,
            lambda: self.is_busy,
            lambda: self.need,
            at_once_max=AT_ONCE_MAX,
            wait_s_max=WAIT_S_MAX,
        )
        self.inside: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def ask(self, number: int) -> None:
        await self.window.enter()
        self.inside.append(number)

    def start(self, count: int) -> None:
        self.tasks += [asyncio.create_task(self.ask(number)) for number in range(count)]

    def claims(self, count: int, took_s: float) -> None:
        for _ in range(count):
            self.window.claim_answered(took_s)


def test_nothing_is_held_back_while_no_claim_is_served() -> None:
    async def scenario(world: World) -> None:
        rig = Rig(world)
        rig.is_busy = False
        rig.start(AT_ONCE_MAX + 1)
        await world.clock.sleep(0)
        assert rig.inside == list(range(AT_ONCE_MAX))

    run_virtual(scenario)


def test_a_burst_begins_with_one_and_quick_answers_make_it_more() -> None:
    async def scenario(world: World) -> None:
        rig = Rig(world)
        assert rig.window.size == 1
        rig.claims(3, QUICK_S)
        assert rig.window.size == 2
        rig.claims(1000, QUICK_S)
        assert rig.window.size == AT_ONCE_MAX

    run_virtual(scenario)


def test_a_slow_answer_halves_it_once_for_all_that_were_under_way_together() -> None:
    async def scenario(world: World) -> None:
        rig = Rig(world)
        rig.claims(1000, QUICK_S)
        await world.clock.sleep(SLOW_S)
        rig.claims(5, SLOW_S)
        assert rig.window.size == AT_ONCE_MAX // 2
        await world.clock.sleep(SLOW_S)
        rig.claims(1, SLOW_S)
        assert rig.window.size == AT_ONCE_MAX // 4
        for _ in range(10):
            await world.clock.sleep(SLOW_S)
            rig.claims(1, SLOW_S)
        assert rig.window.size == 1

    run_virtual(scenario)


def test_what_is_slow_is_measured_by_the_calm_server() -> None:
    async def scenario(world: World) -> None:
        rig = Rig(world)
        rig.claims(1000, 5 * CALM_S_MIN)
        assert rig.window.size == AT_ONCE_MAX, "it never was quicker"
        await world.clock.sleep(1)
        rig.claims(1, 5 * CALM_S_MIN * CROWDED * 1.01 * FORGETTING)
        assert rig.window.size == AT_ONCE_MAX // 2

    run_virtual(scenario)


def test_a_server_that_became_slower_for_good_is_calm_again_in_the_end() -> None:
    async def scenario(world: World) -> None:
        rig = Rig(world)
        rig.claims(10, QUICK_S)
        for _ in range(1500):
            await world.clock.sleep(SLOW_S)
            rig.claims(1, SLOW_S)
        assert rig.window.size == AT_ONCE_MAX

    run_virtual(scenario)


def test_the_next_burst_begins_with_one_again() -> None:
    async def scenario(world: World) -> None:
        rig = Rig(world)
        rig.claims(1000, QUICK_S)
        rig.is_busy = False
        assert rig.window.size == AT_ONCE_MAX
        rig.is_busy = True
        assert rig.window.size == 1

    run_virtual(scenario)


@pytest.mark.parametrize(("need", "size"), [(0.0, 1), (0.25, 2), (0.5, 4), (1.0, AT_ONCE_MAX)])
def test_an_emptying_pool_gets_its_part_however_slow_the_server(need: float, size: int) -> None:
    async def scenario(world: World) -> None:
        rig = Rig(world)
        rig.need = need
        assert rig.window.size == size

    run_virtual(scenario)


def test_who_waits_goes_in_for_one_that_leaves_in_the_order_of_coming() -> None:
    async def scenario(world: World) -> None:
        rig = Rig(world)
        rig.start(4)
        await world.clock.sleep(0.1)
        assert rig.inside == [0]
        rig.window.leave()
        await world.clock.sleep(0.1)
        assert rig.inside == [0, 1]
        rig.is_busy = False
        rig.window.leave()
        await world.clock.sleep(0.1)
        assert rig.inside == [0, 1, 2, 3]

    run_virtual(scenario)


def test_nobody_waits_longer_than_the_bound() -> None:
    async def scenario(world: World) -> None:
        rig = Rig(world)
        rig.start(4)
        await world.clock.sleep(WAIT_S_MAX * 0.99)
        assert rig.inside == [0]
        await world.clock.sleep(WAIT_S_MAX * 0.02)
        assert sorted(rig.inside) == [0, 1, 2, 3]

    run_virtual(scenario)


@pytest.mark.parametrize("seed", range(40))
def test_places_are_neither_lost_nor_doubled_by_who_gives_up(seed: int) -> None:
    """Whatever is cancelled or timed out in the moment in which it is let in."""

    async def use(rig: Rig, world: World, for_s: float) -> None:
        await rig.window.enter()
        try:
            await world.clock.sleep(for_s)
        finally:
            rig.window.leave()

    async def scenario(world: World) -> None:
        rig, rng = Rig(world), world.rng
        tasks: list[asyncio.Task[None]] = []
        for _ in range(60):
            # In steps of the bound's quarter, so that ends, waits' ends and cancels coincide.
            tasks.append(asyncio.create_task(use(rig, world, int(rng.random() * 6) / 4)))
            await world.clock.sleep(int(rng.random() * 2) / 4)
            if rng.random() < 0.4:
                tasks[int(rng.random() * len(tasks))].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        rig.start(3)
        await world.clock.sleep(WAIT_S_MAX / 2)
        assert rig.inside == [0], "exactly one place is free"

    run_virtual(scenario, seed=seed)


class Held(ScriptedTransport):
    """Answers nothing until told."""

    def __init__(self, *script: Answer) -> None:
        super().__init__(*script)
        self.go = asyncio.Event()

    async def request(self, request: Request) -> Response:
        response = await super().request(request)
        await self.go.wait()
        return response


def test_requests_of_refill_pass_through_the_window_and_claims_do_not() -> None:
    async def scenario(world: World) -> None:
        rig, transport = Rig(world), Held(Response(201, json.dumps(a_widget()).encode(), JSON))
        client = ApiClient(transport, clock=world.clock, refill=rig.window)
        creates = [
            asyncio.create_task(client.create(WIDGET, "ns", a_widget(), channel=channel))
            for channel in (*[Channel.REFILL] * 3, *[Channel.CLAIMS] * 3)
        ]
        await world.clock.sleep(0.1)
        sent = [request.channel for request in transport.requests]
        assert sorted(sent) == [*[Channel.CLAIMS] * 3, Channel.REFILL]
        transport.go.set()
        await asyncio.gather(*creates)
        assert len(transport.requests) == 6

    run_virtual(scenario)


def test_a_throttled_request_makes_it_less() -> None:
    async def scenario(world: World) -> None:
        rig = Rig(world)
        rig.claims(1000, QUICK_S)
        client = ApiClient(
            ScriptedTransport(Response(429, b"{}")), clock=world.clock, refill=rig.window
        )
        with pytest.raises(ThrottledError):
            await client.create(WIDGET, "ns", a_widget(), channel=Channel.REFILL)
        assert rig.window.size == AT_ONCE_MAX // 2

    run_virtual(scenario)
