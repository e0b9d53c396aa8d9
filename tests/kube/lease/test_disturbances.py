"""Leader election, whatever the clocks, other leaders or the record do (H3, H9, D1-D7)."""

import asyncio
import logging
from typing import Any

import pytest
from tests.kube.lease.terms import FOREIGN, lost
from tests.kube.lease_server import Candidate, LeaseServer, SimClock

from warmclaim.kube.lease_record import FOREIGN_DURATION_S_MAX, micro_time


@pytest.mark.parametrize("step_s", [3600.0, -3600.0, -1_767_323_000.0, 2_600_000_000.0])
async def test_h3_d4_a_step_of_the_wall_clock_changes_nothing(
    clock: SimClock, server: LeaseServer, a: Candidate, b: Candidate, step_s: float
) -> None:
    a.start()
    await clock.advance(1.0)
    b.start()
    await clock.advance(3.0)
    clock.wall_s += step_s
    await clock.advance(60.0)
    assert a.works
    assert a.terms == 1
    assert not b.works
    assert server.holder == "a"


@pytest.mark.parametrize(
    ("wall_s", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000000Z"),
        (1_767_323_045.0, "2026-01-02T03:04:05.000000Z"),
        (1_767_323_045.25, "2026-01-02T03:04:05.250000Z"),
        (4_294_967_296.0, "2106-02-07T06:28:16.000000Z"),
        (-5.0, "1970-01-01T00:00:00.000000Z"),
        (1e20, "9999-12-31T23:59:59.000000Z"),
        (float("nan"), "1970-01-01T00:00:00.000000Z"),
        (float("inf"), "1970-01-01T00:00:00.000000Z"),
    ],
)
def test_h9_times_are_utc_with_six_digits_always(wall_s: float, text: str) -> None:
    assert micro_time(wall_s) == text


async def test_d1_against_a_leader_without_manners_we_stop_and_go_on(
    clock: SimClock, server: LeaseServer, a: Candidate
) -> None:
    task = asyncio.create_task(a.run_for_ever())
    await clock.advance(1.0)
    for number in range(30):
        server.overwrite({**FOREIGN, "leaseTransitions": number})
        await clock.advance(2.1)
        assert not a.works
        assert not a.elector.is_leader
    await clock.advance(20.0)
    assert a.works, "when the other has gone, the lease is ours again"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_d2_a_renewal_that_hangs_once_is_made_up_for_in_the_same_term(
    clock: SimClock, a: Candidate
) -> None:
    a.start()
    await clock.advance(1.0)
    a.link.break_writes("hang")
    await clock.advance(4.0)
    a.link.break_writes("")
    await clock.advance(30.0)
    assert a.works
    assert a.terms == 1


@pytest.mark.parametrize("fault", ["lose answer", "late"])
async def test_d2_a_write_whose_answer_is_lost_is_read_back(
    clock: SimClock, server: LeaseServer, a: Candidate, fault: str
) -> None:
    a.link.break_writes(fault)
    a.start()
    await clock.advance(30.0)
    assert server.holder == "a"
    if fault == "lose answer":
        assert a.works, "each write is found by reading"
        assert a.terms == 1
    a.link.break_writes("")
    await clock.advance(10.0)
    assert a.works


GARBAGE: list[Any] = [
    pytest.param({}, 0.0, id="emptied"),
    pytest.param(None, 0.0, id="deleted"),
    pytest.param({"holderIdentity": ""}, 0.0, id="no-holder"),
    pytest.param({"holderIdentity": "", "leaseDurationSeconds": 1}, 0.0, id="released"),
    pytest.param({"holderIdentity": "x"}, 15.0, id="holder-alone"),
    pytest.param({**FOREIGN, "leaseDurationSeconds": 0}, 15.0, id="duration-0"),
    pytest.param({**FOREIGN, "leaseDurationSeconds": -5}, 15.0, id="duration-negative"),
    pytest.param({**FOREIGN, "leaseDurationSeconds": 1}, 1.0, id="duration-1"),
    pytest.param(
        {**FOREIGN, "leaseDurationSeconds": 10**9}, FOREIGN_DURATION_S_MAX, id="duration-1e9"
    ),
    pytest.param({**FOREIGN, "renewTime": "9999-12-31T23:59:59.999999Z"}, 15.0, id="far-future"),
    pytest.param({**FOREIGN, "renewTime": "yesterday", "acquireTime": ""}, 15.0, id="no-times"),
    pytest.param({**FOREIGN, "leaseTransitions": -1}, 15.0, id="transitions-negative"),
    pytest.param({**FOREIGN, "leaseTransitions": 2**31 - 1}, 15.0, id="transitions-most"),
    pytest.param({**FOREIGN, "holderIdentity": "ü\n" * 5000}, 15.0, id="holder-huge"),
]


@pytest.mark.parametrize(("record", "wait_s"), GARBAGE)
async def test_d3_a_follower_takes_any_record_over_after_a_sane_wait(
    clock: SimClock,
    server: LeaseServer,
    a: Candidate,
    record: dict[str, Any] | None,
    wait_s: float,
) -> None:
    server.overwrite(record)
    a.start()
    if wait_s:
        await clock.advance(wait_s - 0.1)
        assert not a.works
        assert a.elector.holder
    await clock.advance(2.5)
    assert a.works
    assert 0 <= server.spec["leaseTransitions"] < 2**31


@pytest.mark.parametrize(("record", "wait_s"), GARBAGE)
async def test_d3_a_leader_survives_or_steps_down_in_time(
    clock: SimClock,
    server: LeaseServer,
    a: Candidate,
    record: dict[str, Any] | None,
    wait_s: float,
) -> None:
    del wait_s
    task = a.start()
    await clock.advance(1.0)
    server.overwrite(record)
    await clock.advance(2.5)
    if record and record.get("holderIdentity"):
        assert not a.works
        await lost(task)
    else:
        assert a.works
        assert server.holder == "a"


@pytest.mark.parametrize("record", [None, {}, {"holderIdentity": ""}])
async def test_d3_a_follower_lets_the_time_of_a_wiped_holder_run_out(
    clock: SimClock, server: LeaseServer, a: Candidate, record: dict[str, Any] | None
) -> None:
    server.overwrite(FOREIGN)
    a.start()
    await clock.advance(5.0)
    server.overwrite(record)
    await clock.advance(9.0)
    assert not a.works
    await clock.advance(3.0)
    assert a.works


async def test_d3_a_lease_that_cannot_be_read_is_waited_for(
    clock: SimClock, server: LeaseServer, a: Candidate
) -> None:
    server.overwrite({"holderIdentity": 5, "leaseDurationSeconds": "long"})
    task = a.start()
    await clock.advance(60.0)
    assert not task.done()
    assert not a.works
    assert a.elector.problem is not None


async def test_d6_each_term_of_a_flapping_lease_does_work(
    clock: SimClock, server: LeaseServer, a: Candidate
) -> None:
    task = asyncio.create_task(a.run_for_ever())
    for number in range(10):
        await clock.advance(5.0)
        assert a.terms == number + 1
        server.overwrite({**FOREIGN, "leaseDurationSeconds": 1})
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_d7_a_missing_permission_is_said_once_and_tried_on(
    clock: SimClock, a: Candidate, caplog: pytest.LogCaptureFixture
) -> None:
    a.link.fault = lambda request: "403"
    a.start()
    with caplog.at_level(logging.WARNING):
        await clock.advance(60.0)
    assert a.elector.problem is not None
    assert a.elector.problem.startswith("403")
    assert len(caplog.records) == 1
    assert 14 <= len(a.link.requests) <= 31
    a.link.fault = lambda request: ""
    await clock.advance(5.0)
    assert a.works
    assert a.elector.problem is None
