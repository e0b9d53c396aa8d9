"""Lists from the past, and lists as streams. H, B and E numbers name faults."""

from __future__ import annotations

from tests.kube.fakes import (
    FakeStream,
    a_list,
    a_widget,
    bookmark,
    error_line,
    line,
    refusal,
    settle,
)
from tests.kube.reflector_rig import (
    STREAMED,
    A,
    B,
    C,
    ending,
    hanging,
    running,
)

from warmclaim.api.meta import ObjectKey
from warmclaim.errors import StreamError
from warmclaim.kube.ladder import ReflectorSettings

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


async def test_streamed_list_is_followed_only_when_it_is_whole() -> None:
    stream = FakeStream([line("ADDED", A)])
    async with running(stream, hanging(), settings=STREAMED) as rig:
        await rig.clock.run_for(10)
        assert rig.informer.unwatched_s() > 0
        stream.say(bookmark(12, ends_initial=True))
        await rig.clock.run_for(10)
        assert rig.informer.unwatched_s() == 0
