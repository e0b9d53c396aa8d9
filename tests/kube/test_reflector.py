"""The reflector against every clause of a watch's small print. H, B and E numbers name faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from tests.kube.fakes import (
    WIDGET,
    Answer,
    FakeClock,
    FakeRng,
    FakeStream,
    ScriptedTransport,
    Widget,
    a_list,
    a_widget,
    bookmark,
    error_line,
    line,
    refusal,
    settle,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.errors import NotSentError, PermanentError, StreamError, UnknownOutcomeError
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Informer
from warmclaim.kube.ladder import ReflectorSettings
from warmclaim.seams import Request, Response


class Rig:
    def __init__(self, settings: ReflectorSettings, *script: Answer) -> None:
        self.clock = FakeClock()
        self.transport = ScriptedTransport(*script)
        client = ApiClient(self.transport, clock=self.clock)
        self.informer: Informer[Widget] = Informer(
            client,
            WIDGET,
            clock=self.clock,
            rng=FakeRng(),
            settings=settings,
            do_handlers_raise=True,
        )
        self.stats = self.informer.stats

    @property
    def names(self) -> str:
        return "".join(sorted(obj.metadata.name for obj in self.informer.store.values()))

    def asked(self) -> list[str]:
        """The requests so far, short: "list", "list>=7", "watch@7"."""
        return [_short(request) for request in self.transport.requests]


def _short(request: Request) -> str:
    query = dict(request.query)
    version = query.get("resourceVersion", "")
    if "watch" in query:
        return f"watch@{version}" + ("+initial" if "sendInitialEvents" in query else "")
    if "continue" in query:
        return f"more:{query['continue']}"
    return f"list>={version}" if version else "list"


@asynccontextmanager
async def running(
    *script: Answer, settings: ReflectorSettings | None = None
) -> AsyncGenerator[Rig]:
    rig = Rig(settings or ReflectorSettings(), *script)
    task = asyncio.create_task(rig.informer.run())
    await settle()
    try:
        yield rig
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def hanging(*pieces: bytes | Exception) -> FakeStream:
    return FakeStream([*pieces, "hang"])


def ending(*pieces: bytes | Exception) -> FakeStream:
    return FakeStream([*pieces, b""])


A, B, C = a_widget("a", 1), a_widget("b", 2), a_widget("c", 3)
B9 = a_widget("b", 9)
STREAMED = ReflectorSettings(use_watch_list=True)


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


# Refusals and back-off.


@pytest.mark.parametrize("answer", [refusal(429), refusal(500), refusal(503), refusal(403)])
async def test_b7_b16_refused_watch_is_tried_again_later_and_the_cache_served(
    answer: Response,
) -> None:
    async with running(a_list(A, rv=7), answer, answer, hanging()) as rig:
        assert rig.names == "a"
        await rig.clock.run_for(0.7)
        assert len(rig.asked()) == 2
        await rig.clock.run_for(0.2)
        assert len(rig.asked()) == 3
        await rig.clock.run_for(1.4)
        assert len(rig.asked()) == 3
        await rig.clock.run_for(0.2)
        assert rig.asked() == ["list", "watch@7", "watch@7", "watch@7"]
        assert rig.names == "a"


async def test_b7_h8_wish_of_the_server_is_honoured() -> None:
    throttled = Response(429, b"Too many requests", {"retry-after": "7"})
    async with running(a_list(A, rv=7), throttled, hanging()) as rig:
        await rig.clock.run_for(6.9)
        assert len(rig.asked()) == 2
        await rig.clock.run_for(0.2)
        assert len(rig.asked()) == 3


async def test_b16_server_that_starts_is_asked_until_it_lists() -> None:
    starting = refusal(429, "TooManyRequests", "storage is (re)initializing")
    async with running(starting, starting, a_list(A, rv=7), hanging()) as rig:
        assert not rig.informer.is_synced
        await rig.clock.run_for(3)
        assert rig.informer.is_synced


async def test_h6_server_that_closes_at_once_is_not_called_in_a_hot_loop() -> None:
    async with running(a_list(A, rv=7), lambda _: ending()) as rig:
        await rig.clock.run_for(600)
        # 0.8 s doubled to 30 s: 6 in the first minute, then two a minute.
        assert len(rig.asked()) <= 30
        assert max(rig.clock.slept) <= 70


async def test_h6_server_that_closes_after_each_event_is_called_once_a_second_at_most() -> None:
    versions = iter(range(8, 10_000))
    async with running(
        a_list(A, rv=7), lambda _: ending(line("MODIFIED", a_widget("a", next(versions))))
    ) as rig:
        await rig.clock.run_for(80)
        assert 90 <= len(rig.asked()) <= 102


async def test_refused_connections_are_tried_each_second_for_a_minute_then_seldom() -> None:
    async with running(a_list(A, rv=7), NotSentError("refused")) as rig:
        await rig.clock.run_for(60)
        in_a_minute = len(rig.asked())
        assert 60 <= in_a_minute <= 80
        await rig.clock.run_for(600)
        assert len(rig.asked()) - in_a_minute <= 30


async def test_healthy_stream_forgets_the_delays_before_it() -> None:
    busy = refusal(503)
    stream = FakeStream()
    async with running(busy, busy, busy, busy, a_list(A, rv=7), stream, busy, hanging()) as rig:
        await rig.clock.run_for(0.8 + 1.6 + 3.2 + 6.4 + 11)
        stream.say(b"")
        await rig.clock.run_for(0.9)
        assert rig.asked()[-3:] == ["watch@7", "watch@7", "watch@7"]


async def test_same_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with running(NotSentError("refused")) as rig:
        await rig.clock.run_for(60)
        assert rig.stats.failures > 50
        warnings = [r for r in caplog.records if r.levelname == "WARNING"]
        assert len(warnings) == 1


async def test_failures_of_any_kind_end_nothing() -> None:
    async with running(
        NotSentError("dns"),
        UnknownOutcomeError("timeout"),
        refusal(401),
        refusal(404),
        Response(200, b"<html>", {"content-type": "text/html"}),
        Response(302, b""),
        a_list(A, rv=7),
        refusal(401),
        refusal(404),
        Response(200, b"<html>", {"content-type": "text/html"}),
        UnknownOutcomeError("timeout"),
        hanging(),
    ) as rig:
        await rig.clock.run_for(200)
        assert rig.names == "a"
        assert rig.asked()[-1] == "watch@7"
        assert rig.stats.failures == 10


async def test_e7_404_of_the_kind_does_not_empty_the_cache() -> None:
    async with running(
        a_list(A, rv=7),
        ending(error_line(410)),
        Response(404, b"404 page not found"),
        refusal(404, "NotFound"),
        a_list(B, rv=9),
        hanging(),
    ) as rig:
        await rig.clock.run_for(2)
        assert rig.names == "a"
        await rig.clock.run_for(6)
        assert rig.names == "b"


# Nonsense.

NONSENSE = [
    error_line(500, "InternalError"),
    line("RENAMED", B),
    line("MODIFIED", {"metadata": {"name": "a"}}),
    line("MODIFIED", {"metadata": {"resourceVersion": "9"}}),
    b"not json\n",
]


@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_b8_nonsense_resumes_and_the_third_in_a_row_lists_again(nonsense: bytes) -> None:
    async with running(
        a_list(A, rv=7),
        ending(nonsense, line("ADDED", a_widget("late", 99))),
        ending(nonsense),
        ending(nonsense),
        a_list(A, B, rv=12),
        hanging(),
    ) as rig:
        await rig.clock.run_for(30)
        assert rig.asked() == ["list", "watch@7", "watch@7", "watch@7", "list>=7", "watch@12"]
        assert rig.names == "ab"


async def test_b8_sound_event_in_between_starts_the_count_again() -> None:
    bad = b"not json\n"
    async with running(
        a_list(A, rv=7),
        ending(bad),
        ending(bad),
        ending(line("ADDED", B9), bad),
        ending(bad),
        hanging(),
    ) as rig:
        await rig.clock.run_for(60)
        assert rig.stats.lists == 1
        assert rig.asked()[-1] == "watch@9"


async def test_unreadable_object_is_counted_and_the_others_go_on_in_the_same_stream() -> None:
    poison = a_widget("p", 8) | {"spec": 5}
    events = [line("ADDED", poison), line("MODIFIED", poison), line("ADDED", B9)]
    async with running(a_list(A, rv=7), hanging(*events)) as rig:
        assert rig.asked() == ["list", "watch@7"]
        assert rig.names == "ab"
        assert rig.informer.skipped == 2
        assert rig.informer.position == 9


async def test_unreadable_object_keeps_its_last_state_and_its_deletion_is_seen() -> None:
    poison = a_widget("a", 8) | {"spec": 5}
    gone = a_widget("a", 9) | {"spec": 5}
    stream = hanging(line("MODIFIED", poison))
    async with running(a_list(A, B, rv=7), stream) as rig:
        assert rig.names == "ab"
        stream_again = FakeStream()
        rig.transport.script[:] = [stream_again]
        stream_again.say(line("DELETED", gone))
        await rig.clock.run_for(75)
        assert rig.names == "b"


async def test_unreadable_object_in_a_list_is_not_taken_for_gone() -> None:
    poison = a_widget("a", 8) | {"spec": 5}
    async with running(
        a_list(A, B, rv=7), ending(error_line(410)), a_list(poison, B, rv=9), hanging()
    ) as rig:
        await rig.clock.run_for(2)
        assert rig.asked()[-1] == "watch@9"
        assert rig.names == "ab"
        assert rig.informer.skipped == 1


async def test_b19_pages_that_are_too_large_are_asked_for_smaller() -> None:
    too_large = PermanentError(200, "AnswerTooLarge", "")
    async with running(too_large, too_large, a_list(A, rv=7), hanging()) as rig:
        await rig.clock.run_for(3)
        limits = [dict(r.query)["limit"] for r in rig.transport.requests[:3]]
        assert limits == ["500", "125", "31"]
        assert rig.names == "a"


async def test_streamed_list_is_followed_only_when_it_is_whole() -> None:
    stream = FakeStream([line("ADDED", A)])
    async with running(stream, hanging(), settings=STREAMED) as rig:
        await rig.clock.run_for(10)
        assert rig.informer.unwatched_s() > 0
        stream.say(bookmark(12, ends_initial=True))
        await rig.clock.run_for(10)
        assert rig.informer.unwatched_s() == 0


async def test_h7_b19_line_beyond_the_limit_lists_again() -> None:
    async with running(
        a_list(A, rv=7),
        ending(line("ADDED", a_widget("big", 8, blob="x" * 5000)), line("ADDED", C)),
        a_list(A, B, rv=9),
        hanging(),
        settings=ReflectorSettings(line_bytes_max=1000),
    ) as rig:
        await rig.clock.run_for(2)
        assert rig.asked() == ["list", "watch@7", "list>=7", "watch@9"]
        assert rig.stats.long_lines == 1


async def test_b10_repeated_events_are_counted_and_change_nothing() -> None:
    told: list[str] = []
    b9 = line("ADDED", B9)
    async with running(a_list(A, rv=7), FakeStream(), hanging()) as rig:
        rig.informer.subscribe(lambda change: told.append("x"))
        told.clear()
        rig.transport.script[:] = [hanging(b9, b9, line("MODIFIED", A), b9)]
        await rig.clock.run_for(75)
        assert told == ["x"]
        assert rig.stats.repeated_events == 3


# Lists that are older than what was seen.


async def test_b13_b14_deletions_and_successors_over_a_relist_are_told() -> None:
    told: list[str] = []
    async with running(
        a_list(A, B, rv=7),
        ending(error_line(410)),
        a_list(a_widget("b", 15, uid="new"), rv=20),
        hanging(),
    ) as rig:
        rig.informer.subscribe(
            lambda c: told.append(
                f"{c.old.metadata.uid if c.old else ''}>{c.new.metadata.uid if c.new else ''}"
            )
        )
        told.clear()
        await rig.clock.run_for(2)
        assert told == ["uid-a>", "uid-b>", ">new"]


async def test_b15_list_older_than_what_was_seen_is_refused_and_asked_again() -> None:
    async with running(
        a_list(A, B, rv=50),
        ending(error_line(410)),
        a_list(A, rv=40),
        a_list(A, rv=41),
        a_list(C, rv=60),
        hanging(),
    ) as rig:
        await rig.clock.run_for(2)
        assert rig.names == "ab"
        await rig.clock.run_for(5)
        assert rig.asked() == ["list", "watch@50", "list>=50", "list", "list", "watch@60"]
        assert rig.names == "c"
        assert rig.stats.refused_lists == 2
        assert rig.stats.resets == 0


async def test_e6_database_that_insists_on_the_past_is_believed_at_the_third_time() -> None:
    async with running(
        a_list(a_widget("a", 30), B, rv=50),
        refusal(504, "Timeout", cause="ResourceVersionTooLarge"),
        a_list(A, rv=20),
        a_list(A, rv=20),
        a_list(A, rv=20),
        hanging(line("ADDED", a_widget("c", 21))),
    ) as rig:
        await rig.clock.run_for(1)
        assert rig.names == "ab"
        await rig.clock.run_for(10)
        assert rig.asked() == ["list", "watch@50", "list", "list", "list", "watch@20"]
        assert rig.names == "ac"
        assert rig.informer.position == 21
        assert rig.stats.resets == 1
        a = rig.informer.store.get(ObjectKey("ns", "a"))
        assert a is not None
        assert a.metadata.version == 1


async def test_e6_lists_from_caches_do_not_count_as_insistence() -> None:
    async with running(
        a_list(A, rv=50),
        ending(error_line(410)),
        a_list(rv=20),
        a_list(rv=20),
        a_list(A, rv=51),
        hanging(),
    ) as rig:
        await rig.clock.run_for(10)
        assert rig.asked()[-2:] == ["list", "watch@51"]
        assert rig.stats.resets == 0


# Lists as streams.


async def test_watch_list_is_whole_at_its_bookmark_and_goes_on_as_a_watch() -> None:
    stream = FakeStream([line("ADDED", a_widget("b", 9)), line("ADDED", A)])
    async with running(stream, hanging(), settings=STREAMED) as rig:
        assert rig.asked() == ["watch@+initial"]
        assert not rig.informer.is_synced
        assert rig.names == ""
        stream.say(bookmark(12, ends_initial=True))
        await settle()
        assert rig.names == "ab"
        assert rig.informer.position == 12
        stream.say(line("DELETED", a_widget("b", 13)))
        await settle()
        assert rig.names == "a"
        await rig.clock.run_for(20)
        stream.say(b"")
        await settle()
        assert rig.asked() == ["watch@+initial", "watch@13"]


async def test_h5_b17_drop_inside_synthetic_added_loses_no_object() -> None:
    # The synthetic events come in no order: whoever resumes at 9 never hears of a.
    dropped = FakeStream([line("ADDED", a_widget("b", 9)), StreamError("reset")])
    whole = hanging(
        line("ADDED", a_widget("b", 9)), line("ADDED", A), bookmark(12, ends_initial=True)
    )
    async with running(dropped, whole, settings=STREAMED) as rig:
        assert not rig.informer.is_synced
        await rig.clock.run_for(2)
        assert rig.asked() == ["watch@+initial", "watch@+initial"]
        assert rig.names == "ab"


async def test_h5_b17_eof_and_torn_line_inside_the_initial_events() -> None:
    dropped = ending(line("ADDED", a_widget("b", 9)), line("ADDED", A)[:-5])
    async with running(dropped, a_list(A, B, rv=12), settings=STREAMED) as rig:
        rig.transport.script[:] = [hanging(line("ADDED", A), bookmark(12, ends_initial=True))]
        await rig.clock.run_for(2)
        assert rig.names == "a"


async def test_watch_list_that_the_server_refuses_is_read_in_pages() -> None:
    async with running(
        refusal(422, "Invalid", "sendInitialEvents is forbidden"),
        a_list(A, rv=7),
        hanging(),
        settings=STREAMED,
    ) as rig:
        await rig.clock.run_for(2)
        assert rig.asked() == ["watch@+initial", "list", "watch@7"]
        assert rig.names == "a"


async def test_watch_list_that_the_server_does_not_know_is_read_in_pages() -> None:
    # It ignores the parameter: ADDED events, and no bookmark ends them.
    async with running(
        hanging(line("ADDED", A), bookmark(5)),
        hanging(line("ADDED", A), bookmark(6)),
        a_list(A, B, rv=7),
        hanging(),
        settings=STREAMED,
    ) as rig:
        await rig.clock.run_for(150)
        assert rig.asked() == ["watch@+initial", "watch@+initial", "list", "watch@7"]
        assert rig.names == "ab"


async def test_b4_410_inside_the_initial_events_starts_them_again_consistently() -> None:
    async with running(
        hanging(bookmark(7, ends_initial=True), error_line(410)),
        ending(line("ADDED", A), error_line(410)),
        hanging(line("ADDED", B), bookmark(9, ends_initial=True)),
        settings=STREAMED,
    ) as rig:
        await rig.clock.run_for(5)
        assert rig.asked() == ["watch@+initial", "watch@7+initial", "watch@+initial"]
        assert rig.names == "b"


async def test_b15_streamed_list_older_than_what_was_seen_is_refused() -> None:
    async with running(
        hanging(line("ADDED", A), bookmark(50, ends_initial=True), error_line(410)),
        hanging(line("ADDED", B), bookmark(40, ends_initial=True)),
        hanging(line("ADDED", C), bookmark(60, ends_initial=True)),
        settings=STREAMED,
    ) as rig:
        await rig.clock.run_for(5)
        assert rig.names == "c"
        assert rig.stats.refused_lists == 1


async def test_unreadable_object_in_the_initial_events_is_skipped() -> None:
    poison = a_widget("p", 3) | {"spec": 5}
    events = (line("ADDED", poison), b"rubbish\n", line("ADDED", A), bookmark(7, ends_initial=True))
    async with running(hanging(*events), settings=STREAMED) as rig:
        assert rig.names == "a"
        assert rig.informer.skipped == 2


async def test_long_line_in_the_initial_events_starts_them_again() -> None:
    settings = ReflectorSettings(use_watch_list=True, line_bytes_max=1000)
    big = line("ADDED", a_widget("big", 8, blob="x" * 5000))
    async with running(
        hanging(big), hanging(line("ADDED", A), bookmark(7, ends_initial=True)), settings=settings
    ) as rig:
        await rig.clock.run_for(2)
        assert rig.names == "a"


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
