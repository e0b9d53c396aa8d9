"""Leader election: one leader by its own clock; how a term begins, goes on and ends."""

import asyncio

import pytest
from tests.kube.lease.terms import FOREIGN, lost
from tests.kube.lease_server import KEY, TIMING, Candidate, LeaseServer, SimClock

from warmclaim.kube.lease import LEASE_NAME, LeaseTiming, lease_name
from warmclaim.seams import Channel


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
