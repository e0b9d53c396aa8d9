"""ColdStarts: they begin at a pace that warm claims' reservations slow down."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

import pytest

from warmclaim.api.meta import ObjectKey
from warmclaim.controllers.cold_starts import (
    AT_ONCE_MAX,
    BLAMED_S,
    DOUBLES_S,
    PER_S_FIRST,
    PER_S_MAX,
    PER_S_MIN,
    TURN_S_MAX,
    WARM_S,
    ColdStarts,
)
from warmclaim.kube.calm import CALM_S_MIN, CROWDED
from warmclaim.testing.virtual_loop import World, run_virtual

CALM_S = CALM_S_MIN
LATE_S = 4 * CROWDED * CALM_S  # a quarter of the pace
MOMENT_S = 0.001


def key(name: object, namespace: str = "a") -> ObjectKey:
    return ObjectKey(namespace, str(name))


class Rig:
    """The claims that were called, and when; each has its sandbox at once, unless `is_stuck`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cold_starts = ColdStarts(world.clock)
        self.cold_starts.wake = self._woken
        self.called: list[ObjectKey] = []
        self.called_s: list[float] = []
        self.is_stuck = False

    def _woken(self, claim: ObjectKey) -> None:
        assert self.cold_starts.may_begin(claim)
        self.called.append(claim)
        self.called_s.append(self.world.clock.monotonic())
        self.cold_starts.begin()
        if not self.is_stuck:
            self.cold_starts.leave(claim)

    def flood(self, count: int, namespace: str = "a") -> None:
        for number in range(count):
            self.cold_starts.line_up(key(number, namespace))

    async def begin_beside_warm_claims(self) -> float:
        """The pace, a moment after a flood has begun."""
        self.cold_starts.reserved(CALM_S)
        self.flood(1, "first")
        await self.world.clock.sleep(LATE_S)
        assert self.called
        return self.cold_starts.per_s_max


def play(scenario: Callable[[Rig], Awaitable[None]]) -> None:
    """Run it beside what calls the claims."""

    async def whole(world: World) -> None:
        rig = Rig(world)
        calling = asyncio.create_task(rig.cold_starts.run())
        await world.clock.sleep(MOMENT_S)
        await scenario(rig)
        calling.cancel()
        await asyncio.wait((calling,))

    run_virtual(whole)


def test_where_nobody_is_served_warm_all_begin_at_once() -> None:
    async def scenario(rig: Rig) -> None:
        assert rig.cold_starts.per_s_max == math.inf
        assert rig.cold_starts.may_begin(key("c"))
        rig.cold_starts.reserved(CALM_S)
        assert not rig.cold_starts.may_begin(key("c"))
        await rig.world.clock.sleep(WARM_S + MOMENT_S)
        assert rig.cold_starts.may_begin(key("c"))

    play(scenario)


def test_one_alone_begins_at_once_beside_warm_claims_too() -> None:
    async def scenario(rig: Rig) -> None:
        rig.cold_starts.reserved(CALM_S)
        rig.flood(1)
        await rig.world.clock.sleep(MOMENT_S)
        assert rig.called == [key(0)]

    play(scenario)


def test_a_flood_begins_with_caution_and_its_pace_doubles() -> None:
    async def scenario(rig: Rig) -> None:
        assert await rig.begin_beside_warm_claims() == pytest.approx(PER_S_FIRST, rel=0.05)
        for doublings in range(1, 4):
            await rig.world.clock.sleep(DOUBLES_S)
            expected = PER_S_FIRST * 2**doublings
            assert rig.cold_starts.per_s_max == pytest.approx(expected, rel=0.05)

    play(scenario)


def test_of_a_hundred_the_last_begins_two_seconds_after_the_first() -> None:
    async def scenario(rig: Rig) -> None:
        rig.cold_starts.reserved(CALM_S)
        rig.flood(100)
        await rig.world.clock.sleep(WARM_S)
        assert len(rig.called) == 100
        assert rig.called_s[-1] - rig.called_s[0] == pytest.approx(2.1, abs=0.1)

    play(scenario)


def test_the_pace_has_an_upper_bound() -> None:
    async def scenario(rig: Rig) -> None:
        await rig.begin_beside_warm_claims()
        for _ in range(100):
            await rig.world.clock.sleep(0.1)
            rig.cold_starts.begin()
            rig.cold_starts.reserved(CALM_S)
        assert rig.cold_starts.per_s_max == PER_S_MAX

    play(scenario)


def test_a_late_reservation_slows_them_by_how_late_it_was() -> None:
    async def scenario(rig: Rig) -> None:
        await rig.begin_beside_warm_claims()
        await rig.world.clock.sleep(BLAMED_S - 2 * LATE_S)
        before = rig.cold_starts.per_s_max
        rig.cold_starts.reserved(LATE_S)
        assert rig.cold_starts.per_s_max == pytest.approx(max(before / 4, PER_S_MIN), rel=0.05)

    play(scenario)


def test_those_that_were_late_together_slow_them_once() -> None:
    async def scenario(rig: Rig) -> None:
        await rig.begin_beside_warm_claims()
        await rig.world.clock.sleep(2 * DOUBLES_S)
        rig.cold_starts.begin()
        rig.cold_starts.reserved(LATE_S)
        slowed = rig.cold_starts.per_s_max
        for _ in range(5):
            rig.cold_starts.reserved(LATE_S)
        assert rig.cold_starts.per_s_max == slowed > PER_S_MIN

    play(scenario)


def test_the_pace_does_not_grow_while_reservations_are_late() -> None:
    async def scenario(rig: Rig) -> None:
        await rig.begin_beside_warm_claims()
        rig.cold_starts.reserved(LATE_S)
        slowed = rig.cold_starts.per_s_max
        for _ in range(10):
            await rig.world.clock.sleep(LATE_S / 2)
            rig.cold_starts.begin()
            rig.cold_starts.reserved(LATE_S)
            assert rig.cold_starts.per_s_max <= slowed

    play(scenario)


def test_what_is_late_without_cold_starts_is_not_theirs() -> None:
    async def scenario(rig: Rig) -> None:
        await rig.begin_beside_warm_claims()
        await rig.world.clock.sleep(2 * BLAMED_S)
        before = rig.cold_starts.per_s_max
        rig.cold_starts.reserved(100 * LATE_S)
        assert rig.cold_starts.per_s_max == before

    play(scenario)


def test_a_tenant_without_a_pool_is_never_stuck() -> None:
    """Reservations that take ten seconds, all the time."""

    async def scenario(rig: Rig) -> None:
        await rig.begin_beside_warm_claims()
        rig.flood(200)
        for _ in range(100):
            await rig.world.clock.sleep(0.1)
            rig.cold_starts.reserved(10.0)
        assert len(rig.called) == pytest.approx(10.0 * PER_S_MIN, rel=0.25)

    play(scenario)


def test_no_more_are_called_than_get_on() -> None:
    async def scenario(rig: Rig) -> None:
        rig.is_stuck = True
        rig.cold_starts.reserved(CALM_S)
        rig.flood(50)
        await rig.world.clock.sleep(1.0)
        assert len(rig.called) == AT_ONCE_MAX
        rig.cold_starts.leave(rig.called[0])
        await rig.world.clock.sleep(0.1)
        assert len(rig.called) == AT_ONCE_MAX + 1

    play(scenario)


def test_those_that_do_not_get_on_lose_their_turn() -> None:
    """And line up again, behind the others."""

    async def scenario(rig: Rig) -> None:
        rig.is_stuck = True
        rig.cold_starts.reserved(CALM_S)
        rig.flood(AT_ONCE_MAX, "stuck")
        await rig.world.clock.sleep(1.0)
        rig.flood(1, "other")
        await rig.world.clock.sleep(TURN_S_MAX - 1.0)
        assert {claim.namespace for claim in rig.called} == {"stuck"}
        await rig.world.clock.sleep(0.1)
        assert rig.called[-1] == key(0, "other")
        assert not rig.cold_starts.may_begin(rig.called[0])

    play(scenario)


def test_they_are_called_in_the_order_of_their_coming() -> None:
    async def scenario(rig: Rig) -> None:
        rig.cold_starts.reserved(CALM_S)
        rig.flood(60)
        assert not rig.called
        await rig.world.clock.sleep(10.0)
        assert rig.called == [key(number) for number in range(60)]
        assert rig.called_s == sorted(rig.called_s)
        assert rig.called_s[-1] - rig.called_s[0] > 1.0
        assert len(rig.cold_starts) == 0

    play(scenario)


def test_namespaces_take_turns() -> None:
    async def scenario(rig: Rig) -> None:
        rig.cold_starts.reserved(CALM_S)
        rig.flood(100, "flood")
        rig.flood(2, "small")
        await rig.world.clock.sleep(1.0)
        assert [claim.namespace for claim in rig.called[:4]] == ["flood", "small"] * 2

    play(scenario)


def test_nobody_overtakes_the_line() -> None:
    """Also once nobody is to be yielded to any more."""

    async def scenario(rig: Rig) -> None:
        rig.cold_starts.reserved(CALM_S)
        rig.flood(5_000)
        await rig.world.clock.sleep(WARM_S + 0.1)
        assert rig.cold_starts.per_s_max == math.inf
        assert len(rig.cold_starts) > 0
        assert not rig.cold_starts.may_begin(key("late"))
        await rig.world.clock.sleep(5.0)
        assert len(rig.called) == 5_000

    play(scenario)


def test_who_waits_already_keeps_the_place() -> None:
    async def scenario(rig: Rig) -> None:
        rig.cold_starts.reserved(CALM_S)
        rig.flood(3)
        rig.cold_starts.line_up(key(0))
        assert len(rig.cold_starts) == 3
        await rig.world.clock.sleep(1.0)
        assert rig.called == [key(0), key(1), key(2)]

    play(scenario)


def test_who_leaves_is_not_called() -> None:
    async def scenario(rig: Rig) -> None:
        rig.cold_starts.reserved(CALM_S)
        rig.flood(3)
        rig.cold_starts.leave(key(1))
        rig.cold_starts.leave(key("unknown"))
        await rig.world.clock.sleep(1.0)
        assert rig.called == [key(0), key(2)]

    play(scenario)


def test_who_was_called_and_leaves_has_no_turn_any_more() -> None:
    async def scenario(rig: Rig) -> None:
        rig.is_stuck = True
        rig.cold_starts.reserved(CALM_S)
        rig.flood(1)
        await rig.world.clock.sleep(1.0)
        assert rig.cold_starts.may_begin(key(0))
        rig.cold_starts.leave(key(0))
        assert len(rig.cold_starts) == 0
        assert not rig.cold_starts.may_begin(key(0))

    play(scenario)


def test_a_server_that_became_slower_for_good_is_calm_again() -> None:
    async def scenario(rig: Rig) -> None:
        await rig.begin_beside_warm_claims()
        for _ in range(3_000):
            rig.cold_starts.begin()
            await rig.world.clock.sleep(0.1)
            rig.cold_starts.reserved(LATE_S)
        assert rig.cold_starts.per_s_max == PER_S_MAX

    play(scenario)
