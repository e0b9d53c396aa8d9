"""The reflector refused, and told nonsense. H, B and E numbers name faults."""

from __future__ import annotations

import logging

import pytest
from tests.kube.fakes import (
    WIDGET,
    FakeStream,
    a_list,
    a_widget,
    bookmark,
    error_line,
    line,
    refusal,
)
from tests.kube.reflector_rig import (
    B9,
    A,
    B,
    C,
    ending,
    hanging,
    running,
)

from warmclaim.errors import NotSentError, StreamError, UnknownOutcomeError
from warmclaim.kube.ladder import ReflectorSettings
from warmclaim.seams import Response
from warmclaim.testing.refusals import not_permitted

# Refusals and back-off.


@pytest.mark.parametrize("answer", [refusal(429), refusal(500), refusal(503)])
async def test_b7_b16_outage_is_asked_into_more_and_more_seldom_and_the_cache_serves(
    answer: Response,
) -> None:
    async with running(a_list(A, rv=7), answer, answer, answer, hanging()) as rig:
        assert rig.names == "a"
        await rig.clock.run_for(0.7)
        assert len(rig.asked()) == 2
        await rig.clock.run_for(0.2)
        assert len(rig.asked()) == 3
        await rig.clock.run_for(1.6 + 3.2)
        assert rig.asked() == ["list", "watch@7", "watch@7", "watch@7", "watch@7"]
        assert rig.names == "a"


async def test_b7_refused_permission_is_asked_for_more_and_more_seldom() -> None:
    async with running(a_list(A, rv=7), refusal(403)) as rig:
        await rig.clock.run_for(0.8 + 1.6 + 3.2 + 6.4 + 0.1)
        assert len(rig.asked()) == 2 + 4
        await rig.clock.run_for(300)
        assert len(rig.asked()) <= 2 + 4 + 12


async def test_b7_a_missing_permission_is_said_once_and_ends_with_a_success(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = not_permitted("watch", "widgets.test.example", "")
    no = Response(403, said.body, said.headers)
    with caplog.at_level(logging.INFO):
        async with running(a_list(A, rv=7), no, no, no, no, hanging()) as rig:
            await rig.clock.run_for(0.8 + 1.6 + 3.2)
            assert [str(one) for one in rig.permissions.missing()] == [
                f"watch {WIDGET} at the cluster scope"
            ]
            await rig.clock.run_for(6.4 + 0.1)
            assert rig.permissions.missing() == []
    warnings = [record.message for record in caplog.records]
    assert warnings == [
        f"permission missing: watch {WIDGET} at the cluster scope; the rest goes on",
        f"permission granted: watch {WIDGET} at the cluster scope",
    ]


async def test_e1_restarted_server_that_knows_no_history_is_listed_at_once() -> None:
    stream = FakeStream()
    async with running(
        a_list(A, rv=7),
        stream,
        NotSentError("refused"),
        refusal(503),
        refusal(429),
        ending(error_line(410, "Expired")),
        a_list(B, rv=9),
        hanging(),
    ) as rig:
        await rig.clock.run_for(60)
        stream.say(bookmark(8))
        await rig.clock.run_for(40)
        stream.say(StreamError("reset"))
        await rig.clock.run_for(0.8 + 1.6 + 3.2 + 0.1)
        assert rig.asked()[2:] == ["watch@8", "watch@8", "watch@8", "watch@8", "list>=8", "watch@9"]


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


async def test_refused_connections_are_tried_more_and_more_seldom() -> None:
    async with running(a_list(A, rv=7), NotSentError("refused")) as rig:
        await rig.clock.run_for(0.8 + 1.6 + 3.2 + 6.4 + 12.8 + 25.6 + 0.1)
        assert len(rig.asked()) == 2 + 6
        await rig.clock.run_for(600)
        assert len(rig.asked()) == 2 + 6 + 20


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
        await rig.clock.run_for(600)
        assert rig.stats.failures > 20
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
