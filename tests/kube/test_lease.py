"""Leader election: one leader by its own clock, whatever the server, the net or the record do."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from tests.kube.lease_server import KEY, TIMING, Candidate, LeaseServer, SimClock, settle

from warmclaim.kube.lease import LEASE_NAME, LeadershipLost, LeaseTiming, lease_name
from warmclaim.kube.lease_record import FOREIGN_DURATION_S_MAX, micro_time
from warmclaim.seams import Channel, Request

FOREIGN: dict[str, Any] = {
    "holderIdentity": "go-manager_1",
    "leaseDurationSeconds": 15,
    "acquireTime": "2026-01-02T03:04:05.000000Z",
    "renewTime": "2026-01-02T03:04:05.000000Z",
    "leaseTransitions": 3,
}


@pytest.fixture
def clock() -> SimClock:
    return SimClock()


@pytest.fixture(params=[False, True], ids=["watched", "polled"])
def server(clock: SimClock, request: pytest.FixtureRequest) -> LeaseServer:
    """Whatever holds with the followers' watch must hold without it."""
    return LeaseServer(clock, refuses_watches=request.param)


@pytest.fixture
async def a(server: LeaseServer) -> AsyncGenerator[Candidate]:
    candidate = Candidate(server, "a")
    yield candidate
    await candidate.stop()


@pytest.fixture
async def b(server: LeaseServer) -> AsyncGenerator[Candidate]:
    candidate = Candidate(server, "b")
    yield candidate
    await candidate.stop()


async def lost(task: asyncio.Task[None]) -> LeadershipLost:
    with pytest.raises(LeadershipLost) as caught:
        await task
    return caught.value


async def test_h0_the_first_election_creates_the_lease(
    clock: SimClock, server: LeaseServer, a: Candidate
) -> None:
    a.start()
    await clock.advance(0.1)
    assert a.works
    assert a.elector.is_leader
    assert a.changes == [True]
    assert server.spec["holderIdentity"] == "a"
    assert server.spec["leaseDurationSeconds"] == 15
    assert server.spec["leaseTransitions"] == 0
    assert server.spec["acquireTime"] == server.spec["renewTime"]
    assert {request.channel for request in a.link.requests} == {Channel.LEASE}


async def test_a_renewal_is_one_put_every_retry_period_and_keeps_the_rest(
    clock: SimClock, server: LeaseServer, a: Candidate
) -> None:
    server.overwrite({"leaseTransitions": 7})
    assert server.stored is not None
    server.stored["metadata"]["labels"] = {"kept": "yes"}
    a.start()
    await clock.advance(0.1)
    acquired = server.spec["acquireTime"]
    a.link.requests.clear()
    await clock.advance(20.0)
    assert {request.method for request in a.link.requests} == {"PUT"}
    assert 9 <= len(a.link.requests) <= 10
    assert server.spec["acquireTime"] == acquired < server.spec["renewTime"]
    assert server.spec["leaseTransitions"] == 8
    assert server.stored["metadata"]["labels"] == {"kept": "yes"}


async def test_work_that_returns_ends_the_run(clock: SimClock, a: Candidate) -> None:
    task = a.start()
    await clock.advance(1.0)
    a.may_end.set()
    await task
    assert not a.elector.is_leader
    assert a.changes == [True, False]


async def test_what_work_raises_is_raised_by_the_run(clock: SimClock, a: Candidate) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    task = asyncio.create_task(a.elector.run(broken))
    await clock.advance(1.0)
    with pytest.raises(ZeroDivisionError):
        await task


@pytest.mark.parametrize("fault", ["reset", "hang", "hang for ever", "500", "403", "429", "crash"])
async def test_h1_no_end_of_the_renewals_leaves_the_work_running(
    clock: SimClock, server: LeaseServer, fault: str
) -> None:
    a = Candidate(server, "a", wind_up_s=4.0)
    task = a.start()
    await clock.advance(1.0)
    a.link.fault = lambda request: fault
    await clock.advance(2.1 if fault == "crash" else 10.5)
    assert not a.elector.is_leader
    assert a.works, "it still winds up"
    assert not task.done(), "the run may not end before its work has"
    assert a.changes == [True, False], "but it is said at once"
    await clock.advance(4.0)
    assert not a.works
    await lost(task)
    await a.stop()


async def test_h1_a_lease_taken_by_another_ends_the_work_at_the_next_renewal(
    clock: SimClock, server: LeaseServer, a: Candidate
) -> None:
    task = a.start()
    await clock.advance(1.0)
    server.overwrite(FOREIGN)
    await clock.advance(2.1)
    assert not a.works
    assert "taken by 'go-manager_1'" in str(await lost(task))


async def test_h1_a_cancelled_run_awaits_its_work_even_when_cancelled_again(
    clock: SimClock, server: LeaseServer
) -> None:
    a = Candidate(server, "a", wind_up_s=5.0)
    task = a.start()
    await clock.advance(1.0)
    for _ in range(3):
        task.cancel()
        await clock.advance(1.0)
    assert a.works
    assert not task.done()
    assert server.writes[-1][0] > clock.now_s - 2.1, "the renewals go on meanwhile"
    await clock.advance(3.0)
    assert not a.works
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_h2_a_hung_put_steps_the_leader_down_before_anyone_takes_over(
    clock: SimClock, server: LeaseServer, a: Candidate, b: Candidate
) -> None:
    a.start()
    await clock.advance(1.0)
    b.start()
    await clock.advance(5.0)
    last_renewal_s = server.writes[-1][0]
    a.link.fault = lambda request: "hang for ever"
    leaders: list[tuple[float, bool, bool]] = []

    def note() -> None:
        leaders.append((clock.now_s, a.elector.is_leader, b.elector.is_leader))

    await clock.advance(30.0, each=note)
    assert b.works
    assert not any(first and second for _, first, second in leaders)
    a_ends_s = min(moment for moment, first, _ in leaders if not first)
    b_begins_s = min(moment for moment, _, second in leaders if second)
    assert a_ends_s <= last_renewal_s + TIMING.renew_deadline_s
    assert last_renewal_s + TIMING.duration_s <= b_begins_s <= last_renewal_s + 15 + 4.4 + 0.1


async def test_h2_no_request_may_outlast_the_renew_deadline(clock: SimClock, a: Candidate) -> None:
    task = a.start()
    await clock.advance(1.0)
    renewed_s, sent = clock.now_s, len(a.link.requests)
    a.link.fault = lambda request: "hang"
    await clock.advance(12.0)
    await lost(task)
    assert clock.now_s - renewed_s < 15
    assert all(request.timeout_s <= 2.0 for request in a.link.requests)
    assert len(a.link.requests) - sent >= 3


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


async def test_c5_a_leader_that_was_stopped_for_long_does_no_work_before_it_knows(
    clock: SimClock, server: LeaseServer, a: Candidate
) -> None:
    task = a.start()
    await clock.advance(1.0)
    clock.now_s += 60.0  # the whole process stood still
    assert not a.elector.is_leader
    server.overwrite(FOREIGN)
    await clock.advance(0.1)
    assert not a.works
    await lost(task)


async def test_the_margin_is_told_and_the_term_known_past_the_deadline(
    clock: SimClock, a: Candidate
) -> None:
    assert a.elector.deadline_left_s == 0.0
    a.start()
    await clock.advance(1.0)
    assert 8.0 < a.elector.deadline_left_s <= 10.0
    clock.now_s += 60.0
    assert a.elector.deadline_left_s == 0.0
    assert a.elector.is_working, "a watchdog thread must still see it"


async def test_a_failing_listener_stops_nothing(clock: SimClock, server: LeaseServer) -> None:
    a = Candidate(server, "a")

    def broken(is_leading: bool) -> None:
        raise RuntimeError(is_leading)

    a.elector._on_change = broken  # pyright: ignore[reportPrivateUsage]
    a.start()
    await clock.advance(1.0)
    assert a.works
    await a.stop()
    assert not a.works


async def test_one_elector_runs_one_term_at_a_time(clock: SimClock, a: Candidate) -> None:
    a.start()
    await clock.advance(1.0)
    with pytest.raises(RuntimeError, match="already running"):
        await a.elector.run(a.may_end.wait)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


FAULTS = (
    "",
    "",
    "",
    "",
    "hang",
    "hang for ever",
    "lose answer",
    "late",
    "reset",
    "500",
    "409",
    "429",
)


@pytest.mark.parametrize("seed", range(40))
async def test_of_three_candidates_never_two_believe_they_lead(seed: int) -> None:
    chance = random.Random(seed)
    clock = SimClock()
    server = LeaseServer(clock)
    candidates = [Candidate(server, who, wind_up_s=chance.choice([0, 1])) for who in "abc"]
    tasks = [asyncio.create_task(candidate.run_for_ever()) for candidate in candidates]

    def fault_of(candidate: Candidate, rate: float) -> Any:
        def fault(request: Request) -> str:
            word = chance.choice(FAULTS) if chance.random() < rate else ""
            # The leader's fence bears a transport that forgets its time limit; a follower waits.
            return "hang" if word == "hang for ever" and not candidate.elector.is_leader else word

        return fault

    def check() -> None:
        believing = [c.who for c in candidates if c.elector.is_leader]
        assert len(believing) <= 1, f"{believing} at {clock.now_s}"

    for _ in range(12):
        for candidate in candidates:
            candidate.link.fault = fault_of(candidate, chance.choice([0.0, 0.0, 0.3, 0.9]))
        clock.wall_s += chance.choice([0.0, 0.0, 3600.0, -3600.0])
        await clock.advance(chance.uniform(1.0, 25.0), each=check)
    for candidate in candidates:
        candidate.link.fault = lambda request: ""
    await clock.advance(45.0, each=check)
    assert sum(candidate.works for candidate in candidates) == 1, "and then one does lead"
    for task in tasks:
        task.cancel()
    await clock.advance(2.0)
    await asyncio.gather(*tasks, return_exceptions=True)
    for candidate in candidates:
        await candidate.link.close()
    await settle()


@pytest.mark.parametrize(
    ("controllers", "name"),
    [
        ({"sandbox"}, LEASE_NAME),
        ({"claim", "pool", "sandbox"}, LEASE_NAME),
        ({"claim", "pool", "sandbox", "template"}, LEASE_NAME),
        ({"claim", "pool"}, f"{LEASE_NAME}-claim-pool"),
        ({"pool"}, f"{LEASE_NAME}-pool"),
        ({"sandbox", "claim"}, f"{LEASE_NAME}-claim-sandbox"),
    ],
)
def test_each_set_of_controllers_has_its_lease(controllers: set[str], name: str) -> None:
    assert lease_name(frozenset(controllers)) == name
    assert KEY.name == LEASE_NAME


@pytest.mark.parametrize("times", [(10, 10, 2), (15, 2.4, 2), (15, 10, 0), (15, 20, 2)])
def test_times_that_do_not_fit_together_are_refused(times: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        LeaseTiming(*times)
