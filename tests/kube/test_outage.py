"""The probe by itself: when it asks, when it says that the outage is over, and who hears it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.kube.fakes import (
    WIDGET,
    FakeClock,
    ScriptedTransport,
    a_widget,
    ok,
    refusal,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    NotSentError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
    WarmclaimError,
    means_no_service,
)
from warmclaim.kube.client import ApiClient
from warmclaim.kube.outage import (
    DOUBT_EVERY_S,
    ENDS_APART_S,
    PROBE_EVERY_S,
    PROBE_NAME,
    PROBE_S_MAX,
    SETTLING_S,
    Outage,
)
from warmclaim.seams import Response
from warmclaim.testing.virtual_loop import World, run_virtual

REFUSED = NotSentError("connection refused")


class Rig:
    """A server that answers the probe while `is_up`, and a journal of probes and ends."""

    def __init__(self, world: World) -> None:
        self.clock = world.clock
        self.outage = Outage(world.clock)
        self.outage.on_end(lambda: self.ends.append(self.now))
        self.is_up = True
        self.takes_s = 0.01
        self.probes: list[float] = []
        self.ends: list[float] = []

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    async def probe(self) -> bool:
        self.probes.append(self.now)
        await self.clock.sleep(self.takes_s)
        return self.is_up

    async def fails(self, seconds: float, every_s: float = 0.1) -> None:
        """Requests fail, one after the other."""
        until_s = self.now + seconds
        while self.now < until_s:
            self.outage.suspect(REFUSED)
            await self.clock.sleep(every_s)


def virtual(scenario: Callable[[Rig], Awaitable[None]]) -> None:
    async def main(world: World) -> None:
        rig = Rig(world)
        task = asyncio.create_task(rig.outage.run(rig.probe))
        await scenario(rig)
        task.cancel()

    run_virtual(main)


@pytest.mark.parametrize(
    ("error", "means"),
    [
        (REFUSED, True),
        (UnknownOutcomeError("timed out"), True),
        (TransientError(0, "NoAnswer", ""), True),
        (TransientError(500, "InternalError", ""), True),
        (TransientError(503, "ServiceUnavailable", ""), True),
        (TransientError(404, "", "page not found"), False),
        (ThrottledError(429, "TooManyRequests", ""), False),
        (ConflictError(409, "Conflict", ""), False),
        (NotFoundError(404, "NotFound", ""), False),
        (ForbiddenError(403, "Forbidden", ""), False),
        (ZeroDivisionError(), False),
    ],
)
def test_which_errors_may_come_from_an_outage(error: Exception, means: bool) -> None:
    assert means_no_service(error) is means


def test_without_a_failure_nothing_is_asked() -> None:
    async def scenario(rig: Rig) -> None:
        rig.outage.suspect(ConflictError(409, "Conflict", ""))
        await rig.clock.sleep(3600)
        assert rig.probes == []

    virtual(scenario)


def test_failures_with_a_sound_server_cost_a_probe_a_second_and_end_no_wait() -> None:
    async def scenario(rig: Rig) -> None:
        wait = asyncio.create_task(rig.outage.back_off(100))
        await rig.fails(60)
        assert len(rig.probes) == pytest.approx(60 / DOUBT_EVERY_S, abs=1)
        assert not rig.outage.is_on
        assert rig.ends == []
        assert not wait.done()
        wait.cancel()

    virtual(scenario)


def test_an_outage_is_probed_four_times_a_second_and_its_end_ends_every_wait() -> None:
    async def scenario(rig: Rig) -> None:
        rig.is_up = False
        began_s = rig.now
        rig.outage.suspect(REFUSED)
        waits = [asyncio.create_task(rig.outage.back_off(1000 + n)) for n in range(20)]
        await rig.clock.sleep(300)
        assert rig.outage.is_on
        assert len(rig.probes) == pytest.approx(300 / PROBE_EVERY_S, abs=1)
        rig.is_up = True
        await rig.clock.sleep(PROBE_EVERY_S + rig.takes_s)
        assert all(wait.done() for wait in waits)
        assert not rig.outage.is_on
        assert rig.outage.has_ended_since(began_s)
        assert not rig.outage.has_ended_since(rig.ends[0])
        probes = len(rig.probes)
        await rig.clock.sleep(60)
        assert len(rig.probes) == probes

    virtual(scenario)


def test_a_probe_that_waits_in_the_server_is_the_only_one() -> None:
    async def scenario(rig: Rig) -> None:
        rig.is_up, rig.takes_s = False, PROBE_S_MAX
        rig.outage.suspect(REFUSED)
        await rig.clock.sleep(30)
        assert len(rig.probes) == pytest.approx(30 / PROBE_S_MAX, abs=1)

    virtual(scenario)


def test_a_wait_that_nothing_ends_has_its_full_length() -> None:
    async def scenario(rig: Rig) -> None:
        began_s = rig.now
        await rig.outage.back_off(7.5)
        assert rig.now - began_s == 7.5

    virtual(scenario)


def test_a_cancelled_wait_is_forgotten() -> None:
    async def scenario(rig: Rig) -> None:
        wait = asyncio.create_task(rig.outage.back_off(7.5))
        await rig.clock.sleep(1)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        assert not rig.outage._waits  # pyright: ignore[reportPrivateUsage]

    virtual(scenario)


def test_ends_are_a_second_apart_however_the_server_flaps() -> None:
    async def scenario(rig: Rig) -> None:
        failing = asyncio.create_task(rig.fails(60))
        while not failing.done():
            rig.is_up = not rig.is_up
            await rig.clock.sleep(0.2)
        assert 20 <= len(rig.ends) <= 61
        apart = [later - sooner for sooner, later in zip(rig.ends, rig.ends[1:], strict=False)]
        assert min(apart) >= ENDS_APART_S

    virtual(scenario)


def test_what_fails_shortly_after_an_end_is_woken_once_more() -> None:
    async def scenario(rig: Rig) -> None:
        rig.is_up = False
        rig.outage.suspect(REFUSED)
        await rig.clock.sleep(5)
        rig.is_up = True
        await rig.clock.sleep(0.5)
        wait = asyncio.create_task(rig.outage.back_off(30))
        rig.outage.suspect(TransientError(503, "", "another kind is not served yet"))
        await rig.clock.sleep(ENDS_APART_S)
        assert wait.done()
        await rig.clock.sleep(SETTLING_S)
        wait = asyncio.create_task(rig.outage.back_off(30))
        rig.outage.suspect(TransientError(503, "", "by now that is its own"))
        await rig.clock.sleep(5)
        assert not wait.done()
        wait.cancel()

    virtual(scenario)


# The client's part.


@pytest.mark.parametrize(
    ("answer", "is_served"),
    [
        (ok(a_widget()), True),
        (refusal(401), True),
        (refusal(403), True),
        (refusal(404, "NotFound"), True),
        (refusal(429), False),
        (refusal(500), False),
        (refusal(503), False),
        (Response(200, b"<html>", {"content-type": "text/html"}), False),
        (Response(302, b""), False),
        (REFUSED, False),
        (UnknownOutcomeError("timed out"), False),
    ],
)
async def test_which_answers_say_that_the_server_serves(
    answer: Response | WarmclaimError, is_served: bool
) -> None:
    transport = ScriptedTransport(answer)
    client = ApiClient(transport, clock=FakeClock())
    assert await client.is_served(WIDGET, "ns") is is_served
    request = transport.requests[0]
    assert request.path == f"/apis/example.org/v1/namespaces/ns/widgets/{PROBE_NAME}"
    assert request.query == ()
    assert request.timeout_s == PROBE_S_MAX


async def test_the_pause_of_a_starting_server_ends_with_the_outage() -> None:
    clock = FakeClock()
    throttled = Response(429, b"storage is (re)initializing", {"retry-after": "4"})
    transport = ScriptedTransport(throttled, ok(a_widget()))
    client = ApiClient(transport, clock=clock)
    with pytest.raises(ThrottledError):
        await client.get(WIDGET, ObjectKey("ns", "a"))
    reading = asyncio.create_task(client.get(WIDGET, ObjectKey("ns", "a")))
    probing = asyncio.create_task(client.outage.run(lambda: client.is_served(WIDGET, "ns")))
    await clock.run_for(0.5)
    assert len(transport.requests) == 1
    transport.script[:] = [REFUSED, ok(a_widget())]
    client.outage.suspect(REFUSED)
    await clock.run_for(PROBE_EVERY_S)
    assert (await reading).metadata.name == "a"
    probing.cancel()
