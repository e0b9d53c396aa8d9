"""The reflector follows: ends, silence, 410. H, B and E numbers name faults."""

from __future__ import annotations

import asyncio

import pytest
from tests.kube.fakes import (
    FakeStream,
    a_list,
    a_widget,
    bookmark,
    error_line,
    line,
    refusal,
    settle,
    widget,
)
from tests.kube.reflector_rig import (
    B9,
    A,
    B,
    C,
    Rig,
    ending,
    hanging,
    running,
)

from warmclaim.errors import StreamError
from warmclaim.kube.ladder import ReflectorSettings


async def test_first_list_is_a_consistent_read_and_the_watch_starts_at_its_version() -> None:
    async with running(a_list(A, B, rv=7), hanging()) as rig:
        assert rig.asked() == ["list", "watch@7"]
        assert rig.informer.is_synced
        assert rig.names == "ab"


async def test_b1_clean_eof_resumes_from_the_last_version() -> None:
    async with running(a_list(A, rv=7), ending(line("ADDED", a_widget("b", 9))), hanging()) as rig:
        await rig.clock.run_for(2)
        assert rig.asked() == ["list", "watch@7", "watch@9"]
        assert rig.names == "ab"


async def test_b1_stream_that_lived_long_is_opened_again_at_once() -> None:
    stream = FakeStream()
    async with running(a_list(A, rv=7), stream, hanging()) as rig:
        await rig.clock.run_for(30)
        stream.say(bookmark(8))
        await settle()
        stream.say(b"")
        await settle()
        assert rig.asked() == ["list", "watch@7", "watch@8"]


async def test_others_have_their_turn_while_a_long_piece_is_taken_up() -> None:
    stream = FakeStream()
    many = b"".join(line("ADDED", a_widget(f"w{number:02}", 10 + number)) for number in range(40))
    async with running(a_list(A, rv=7), stream, hanging()) as rig:
        seen: list[int] = []

        async def look() -> None:
            while len(rig.informer.store.values()) < 41:
                seen.append(len(rig.informer.store.values()))
                await asyncio.sleep(0)

        looking = asyncio.create_task(look())
        stream.say(many)
        await looking
        assert {9, 17, 25, 33} <= set(seen)  # one was there, and each turn takes up eight


async def test_an_object_that_the_stream_left_out_ends_it_and_lists_consistently() -> None:
    script = (a_list(A, rv=7), hanging(line("ADDED", B9)), a_list(A, B9, C, rv=10), hanging())
    async with running(*script) as rig:
        rig.informer.observe(widget("c", 3))
        assert rig.names == "abc"
        await rig.clock.run_for(2)
        assert rig.asked() == ["list", "watch@7", "list", "watch@10"]
        assert rig.stats.doubts == 1
        assert rig.stats.silent_streams == 0


async def test_b2_h4_torn_line_is_dropped_and_the_watch_resumed() -> None:
    torn = line("ADDED", a_widget("b", 9)).rstrip(b"\n")
    async with running(a_list(A, rv=7), ending(torn), hanging()) as rig:
        await rig.clock.run_for(2)
        assert rig.asked() == ["list", "watch@7", "watch@7"]
        assert rig.names == "a"
        assert rig.stats.torn_lines == 1


async def test_h10_reset_resumes_from_the_last_version() -> None:
    broken = FakeStream([line("ADDED", B9), StreamError("reset")])
    async with running(a_list(A, rv=7), broken, hanging()) as rig:
        await rig.clock.run_for(2)
        assert rig.asked() == ["list", "watch@7", "watch@9"]
        assert broken.is_closed


async def test_b3_silence_of_70_s_opens_a_new_stream_within_75_s() -> None:
    silent = hanging(line("ADDED", B9))
    async with running(a_list(A, rv=7), silent, hanging()) as rig:
        await rig.clock.run_for(69)
        assert rig.asked() == ["list", "watch@7"]
        assert rig.informer.staleness_s() == pytest.approx(69)
        await rig.clock.run_for(6)
        assert rig.asked() == ["list", "watch@7", "watch@9"]
        assert silent.is_closed


async def test_b3_bookmarks_keep_a_quiet_stream() -> None:
    stream = FakeStream()
    async with running(a_list(A, rv=7), stream, hanging()) as rig:
        for rv in range(8, 18):
            await rig.clock.run_for(60)
            stream.say(bookmark(rv))
            await settle()
            assert rig.informer.staleness_s() == pytest.approx(0)
        assert rig.asked() == ["list", "watch@7"]
        assert rig.informer.position == 17


async def test_b18_without_bookmarks_two_silent_streams_make_a_list() -> None:
    async with running(a_list(A, rv=7), hanging(), hanging(), a_list(A, B, rv=9), hanging()) as rig:
        await rig.clock.run_for(145)
        assert rig.asked() == ["list", "watch@7", "watch@7", "list>=7", "watch@9"]
        assert rig.names == "ab"


async def test_watch_length_is_drawn_between_5_and_10_minutes() -> None:
    async with running(a_list(A, rv=7), hanging()) as rig:
        assert dict(rig.transport.requests[-1].query)["timeoutSeconds"] == "300"


# 410.


async def test_b4_h11_410_in_the_stream_lists_again_not_older_than_was_seen() -> None:
    async with running(
        a_list(A, rv=7),
        ending(line("ADDED", B9), error_line(410, "Expired"), line("ADDED", a_widget("x", 99))),
        a_list(A, C, rv=20),
        hanging(),
    ) as rig:
        await rig.clock.run_for(2)
        assert rig.asked() == ["list", "watch@7", "list>=9", "watch@20"]
        query = dict(rig.transport.requests[2].query)
        assert query["resourceVersionMatch"] == "NotOlderThan"
        assert rig.names == "ac", "b was deleted meanwhile, and x came after the error"


async def test_b4_http_410_lists_again_and_if_that_is_expired_consistently() -> None:
    async with running(
        a_list(A, rv=7), refusal(410, "Expired"), refusal(410), a_list(B, rv=20), hanging()
    ) as rig:
        await rig.clock.run_for(5)
        assert rig.asked() == ["list", "watch@7", "list>=7", "list", "watch@20"]
        assert rig.names == "b"


async def test_b5_410_in_the_middle_of_a_list_starts_it_again_and_keeps_the_cache() -> None:
    async with running(
        a_list(A, B, rv=7),
        ending(error_line(410)),
        a_list(C, rv=20, token="p2"),
        refusal(410, "Expired"),
        a_list(B, rv=21, token="p2"),
        a_list(C, rv=21),
        hanging(),
    ) as rig:
        await rig.clock.run_for(1)
        assert rig.asked()[-2:] == ["list>=7", "more:p2"]
        assert rig.names == "ab", "half a list is no list"
        await rig.clock.run_for(3)
        assert rig.asked()[-3:] == ["list", "more:p2", "watch@21"]
        assert rig.names == "bc"


async def test_failure_in_the_middle_of_the_first_list_starts_it_again() -> None:
    async with running(
        a_list(A, rv=7, token="p2"), refusal(500), a_list(A, rv=8), hanging()
    ) as rig:
        assert not rig.informer.is_synced
        await rig.clock.run_for(1)
        assert rig.asked() == ["list", "more:p2", "list", "watch@8"]


async def test_b6_version_too_large_lists_consistently() -> None:
    too_large = refusal(
        504, "Timeout", cause="ResourceVersionTooLarge", headers={"retry-after": "1"}
    )
    async with running(
        a_list(A, rv=7), ending(error_line(410)), too_large, a_list(B, rv=8), hanging()
    ) as rig:
        await rig.clock.run_for(5)
        assert rig.asked() == ["list", "watch@7", "list>=7", "list", "watch@8"]


async def test_b6_version_too_large_for_a_watch_lists_consistently() -> None:
    too_large = refusal(504, "Timeout", cause="ResourceVersionTooLarge")
    async with running(a_list(A, rv=7), too_large, a_list(B, rv=8), hanging()) as rig:
        await rig.clock.run_for(5)
        assert rig.asked() == ["list", "watch@7", "list", "watch@8"]


async def test_cancellation_closes_the_stream_and_leaves_no_task() -> None:
    stream = hanging()
    before = asyncio.all_tasks()
    async with running(a_list(A, rv=7), stream) as rig:
        assert rig.asked()[-1] == "watch@7"
    assert stream.is_closed
    assert asyncio.all_tasks() == before


async def test_bug_of_ours_ends_the_reflector_loudly() -> None:
    rig = Rig(ReflectorSettings(), a_list(A, rv=7), hanging())

    def broken(_change: object) -> None:
        raise ZeroDivisionError

    rig.informer.subscribe(broken)
    with pytest.raises(ZeroDivisionError):
        await rig.informer.run()
