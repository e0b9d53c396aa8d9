"""Leader election: a leader that goes lets the next one begin at once, where it can."""

import asyncio

import pytest
from tests.kube.lease.terms import FOREIGN
from tests.kube.lease_server import Candidate, LeaseServer, SimClock


async def test_a_follower_takes_over_at_once_after_a_release(
    clock: SimClock, server: LeaseServer, a: Candidate, b: Candidate
) -> None:
    a.start()
    await clock.advance(1.0)
    b.start()
    await clock.advance(3.0)
    await a.stop()
    assert not a.works
    task = asyncio.create_task(a.elector.release())
    await clock.advance(0.1)
    await task
    released = server.writes[-1 if server.refuses_watches else -2][2]
    assert released["holderIdentity"] == ""
    assert released["leaseDurationSeconds"] == 1
    await clock.advance(2.1 if server.refuses_watches else 0.0)
    assert b.works
    assert server.spec["leaseTransitions"] == 1


async def test_without_a_release_a_follower_waits_for_the_whole_duration(
    clock: SimClock, a: Candidate, b: Candidate
) -> None:
    a.start()
    await clock.advance(1.0)
    b.start()
    await clock.advance(1.0)
    await a.stop()
    await clock.advance(13.0)
    assert not b.works


async def test_nothing_is_released_while_the_work_runs(
    clock: SimClock, server: LeaseServer, a: Candidate, caplog: pytest.LogCaptureFixture
) -> None:
    a.start()
    await clock.advance(1.0)
    await a.elector.release()
    assert "work still runs" in caplog.text
    assert server.holder == "a"


async def test_a_release_reads_first_when_a_renewal_was_under_way(
    clock: SimClock, server: LeaseServer, a: Candidate
) -> None:
    a.start()
    await clock.advance(1.0)
    a.link.break_writes("late")
    await clock.advance(1.5)
    await a.stop()
    a.link.break_writes("")
    task = asyncio.create_task(a.elector.release())
    await clock.advance(1.0)
    await task
    assert server.holder == ""


@pytest.mark.parametrize("fault", ["reset", "500", "hang", "lose answer", "409"])
async def test_a_release_that_fails_is_only_logged(
    clock: SimClock, server: LeaseServer, a: Candidate, fault: str
) -> None:
    a.start()
    await clock.advance(1.0)
    await a.stop()
    a.link.break_writes(fault)
    task = asyncio.create_task(a.elector.release())
    await clock.advance(10.0)
    await task
    assert server.holder == ("" if fault == "lose answer" else "a")


async def test_a_follower_that_never_led_releases_nothing(
    clock: SimClock, server: LeaseServer, a: Candidate
) -> None:
    server.overwrite(FOREIGN)
    a.start()
    await clock.advance(1.0)
    await a.stop()
    a.link.requests.clear()
    await a.elector.release()
    assert a.link.requests == []
