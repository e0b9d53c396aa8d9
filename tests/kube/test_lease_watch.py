"""The followers' watch of the Lease: it makes the hand-over quick, nothing else needs it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from tests.kube.lease_server import KEY, TIMING, Candidate, Chance, LeaseServer, SimClock, settle

from warmclaim.kube.lease import HERD_S_MAX
from warmclaim.seams import Channel, Request

POLL_S_MAX = TIMING.retry_period_s * 2.2
FOREIGN: dict[str, Any] = {"holderIdentity": "go-manager_1", "leaseDurationSeconds": 15}


@pytest.fixture
def clock() -> SimClock:
    return SimClock()


@pytest.fixture
def server(clock: SimClock) -> LeaseServer:
    return LeaseServer(clock)


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


async def led_and_followed(clock: SimClock, leader: Candidate, *followers: Candidate) -> None:
    leader.start()
    await clock.advance(1.0)
    for follower in followers:
        follower.start()
    await clock.advance(5.0)
    assert leader.works


async def released(clock: SimClock, leader: Candidate) -> float:
    """The leader stops and gives the Lease back; when that was."""
    await leader.stop()
    begun_s = clock.now_s
    task = asyncio.create_task(leader.elector.release())
    await clock.advance(0.1)
    await task
    return begun_s


def breaks_watches(candidate: Candidate, fault: str) -> None:
    def of(request: Request) -> str:
        return fault if ("watch", "1") in request.query else ""

    candidate.link.fault = of


async def test_a_release_is_followed_by_the_next_term_within_the_round_trips(
    clock: SimClock, server: LeaseServer, a: Candidate, b: Candidate
) -> None:
    await led_and_followed(clock, a, b)
    begun_s = await released(clock, a)
    assert b.works
    at_s, who, _ = server.writes[-1]
    assert who == "b"
    assert at_s - begun_s < 0.05, "release, read, take: 5 ms each here"


async def test_of_many_followers_one_takes_over_and_none_asks_more_than_twice(
    clock: SimClock, server: LeaseServer, a: Candidate
) -> None:
    followers = [Candidate(server, f"f{number}") for number in range(5)]
    for number, follower in enumerate(followers):
        follower.elector._rng = Chance(number / 5)  # pyright: ignore[reportPrivateUsage]
    await led_and_followed(clock, a, *followers)
    for follower in followers:
        follower.link.requests.clear()
    await released(clock, a)
    assert [f.who for f in followers if f.works] == ["f0"]
    assert all(len(follower.link.requests) <= 2 for follower in followers)
    assert max(moment for moment, _, _ in server.writes) <= clock.now_s
    assert HERD_S_MAX <= 0.05
    for follower in followers:
        await follower.stop()


async def test_a_dead_leader_is_followed_when_its_time_is_up(
    clock: SimClock, server: LeaseServer, a: Candidate, b: Candidate
) -> None:
    await led_and_followed(clock, a, b)
    died_s = server.writes[-1][0]
    await a.stop()
    await clock.advance(TIMING.duration_s - (clock.now_s - died_s) - 0.01)
    assert not b.works
    await clock.advance(0.1)
    assert b.works


async def test_a_follower_has_one_stream_and_a_leader_none(
    clock: SimClock, server: LeaseServer, a: Candidate, b: Candidate
) -> None:
    await led_and_followed(clock, a, b)
    await clock.advance(60.0)
    assert len(server.streams) == 1
    assert a.link.watches == []
    assert len(b.link.watches) == 1
    assert b.link.watches[0].channel is Channel.WATCH
    assert b.link.watches[0].path.endswith(f"/namespaces/{KEY.namespace}/leases")
    await released(clock, a)
    assert b.works
    assert server.streams == []


async def test_a_cancelled_candidate_leaves_no_stream(
    clock: SimClock, server: LeaseServer, a: Candidate, b: Candidate
) -> None:
    await led_and_followed(clock, a, b)
    await b.stop()
    assert server.streams == []


async def test_a_mute_stream_is_replaced_and_a_release_found_by_polling_meanwhile(
    clock: SimClock, server: LeaseServer, a: Candidate, b: Candidate
) -> None:
    await led_and_followed(clock, a, b)
    server.is_mute = True
    await clock.advance(10 * POLL_S_MAX)
    assert 3 <= len(b.link.watches) <= 6
    begun_s = await released(clock, a)
    assert not b.works
    await clock.advance(POLL_S_MAX)
    assert b.works
    assert server.writes[-1][0] - begun_s <= POLL_S_MAX


async def test_a_stream_that_was_mute_is_as_good_as_new_after_its_replacement(
    clock: SimClock, server: LeaseServer, a: Candidate, b: Candidate
) -> None:
    await led_and_followed(clock, a, b)
    server.is_mute = True
    await clock.advance(POLL_S_MAX)
    server.is_mute = False
    await clock.advance(3 * POLL_S_MAX)
    await released(clock, a)
    assert b.works


@pytest.mark.parametrize("fault", ["403", "404", "500", "429", "reset", "lose answer", "hang"])
async def test_a_watch_that_is_refused_is_asked_for_more_and_more_seldom(
    clock: SimClock, a: Candidate, b: Candidate, fault: str
) -> None:
    breaks_watches(b, fault)
    await led_and_followed(clock, a, b)
    await clock.advance(600.0)
    assert len(b.link.watches) <= 6 + 600 / 30
    polls = len([r for r in b.link.requests if r.method == "GET"])
    assert polls >= 600 / POLL_S_MAX - 2, "and the polls go on as ever"
    begun_s = await released(clock, a)
    await clock.advance(POLL_S_MAX)
    assert b.works
    assert clock.now_s - begun_s < 2 * POLL_S_MAX


async def test_streams_that_end_at_once_are_opened_more_and_more_seldom(
    clock: SimClock, server: LeaseServer, a: Candidate, b: Candidate
) -> None:
    await led_and_followed(clock, a, b)

    def end_all() -> None:
        for stream in list(server.streams):
            stream.say(b"")

    before = len(b.link.watches)
    await clock.advance(600.0, each=end_all)
    assert len(b.link.watches) - before <= 6 + 600 / 30


async def test_a_stream_that_ends_after_a_healthy_life_is_followed_at_once(
    clock: SimClock, server: LeaseServer, a: Candidate, b: Candidate
) -> None:
    await led_and_followed(clock, a, b)
    await clock.advance(30.0)
    server.streams[0].say(b"")
    await clock.advance(0.1)
    assert len(server.streams) == 1
    assert len(b.link.watches) == 2


async def test_b15_an_old_record_from_a_lagging_server_is_no_news(
    clock: SimClock, server: LeaseServer, a: Candidate, b: Candidate
) -> None:
    await led_and_followed(clock, a)
    await released(clock, a)
    freed = server.history[-1]
    server.overwrite(FOREIGN)
    b.start()
    await clock.advance(1.0)
    b.link.requests.clear()
    server.streams[0].say(freed)
    await clock.advance(0.5)
    assert b.link.requests == []
    await clock.advance(10.0)
    assert not b.works


@pytest.mark.parametrize("record", [None, {}, {"holderIdentity": ""}])
async def test_d3_a_wiped_record_is_not_taken_before_its_time(
    clock: SimClock, server: LeaseServer, b: Candidate, record: dict[str, Any] | None
) -> None:
    server.overwrite(FOREIGN)
    b.start()
    await clock.advance(5.0)
    server.overwrite(record)
    await clock.advance(9.0)
    assert not b.works
    await clock.advance(1.5)
    assert b.works


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b'{"type":"ADDED","object":{"metadata":{"name":"x","resourceVersion":"99"},"spec":5}}\n',
        b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n',
    ],
)
async def test_b8_a_stream_that_makes_no_sense_is_left(
    clock: SimClock, server: LeaseServer, a: Candidate, b: Candidate, line: bytes
) -> None:
    await led_and_followed(clock, a, b)
    server.streams[0].say(line)
    await clock.advance(POLL_S_MAX)
    assert len(b.link.watches) == 2
    await released(clock, a)
    assert b.works


async def test_somebody_elses_lease_is_none_of_ours(
    clock: SimClock, server: LeaseServer, a: Candidate, b: Candidate
) -> None:
    await led_and_followed(clock, a, b)
    metadata = {"name": "other", "namespace": KEY.namespace, "resourceVersion": "99", "uid": "u"}
    spec = {"holderIdentity": "", "leaseDurationSeconds": 1}
    line = json.dumps({"type": "ADDED", "object": {"metadata": metadata, "spec": spec}})
    b.link.requests.clear()
    server.streams[0].say(line.encode() + b"\n")
    await clock.advance(0.1)
    assert b.link.requests == []
    await clock.advance(30.0)
    assert a.works
    assert not b.works


async def test_c7_a_mistake_of_ours_in_the_watch_ends_the_candidacy(
    clock: SimClock, a: Candidate, b: Candidate
) -> None:
    a.start()
    await clock.advance(1.0)
    breaks_watches(b, "crash")
    task = b.start()
    await clock.advance(2 * POLL_S_MAX)
    await settle()
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        await task
