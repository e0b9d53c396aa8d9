"""/debug/ reports: what a profile, the tasks and the memory tell, and what they never do."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from warmclaim.runtime import cpu_profile, reports
from warmclaim.runtime.cpu_profile import Profile
from warmclaim.runtime.diagnostics import Diagnostics, Outlet
from warmclaim.runtime.reports import Reports
from warmclaim.runtime.task_report import TASKS_MAX, TaskLooks
from warmclaim.seams import SystemClock


class MovedClock(SystemClock):
    """Set ahead by hand."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return self.ahead_s


async def nothing(_: Outlet, __: bool) -> None:
    """A snapshot nobody asks for."""


@asynccontextmanager
async def served(clock: MovedClock | None = None) -> AsyncGenerator[tuple[str, TaskLooks]]:
    looks = TaskLooks(clock or MovedClock())
    port = Diagnostics(
        "127.0.0.1:0",
        nothing,
        SystemClock(),
        reports=Reports(looks, lambda: {"claim records": 7}).by_path(),
    )
    await port.start()
    try:
        yield f"http://127.0.0.1:{port.port}", looks
    finally:
        await port.close()


async def got(url: str) -> tuple[int, str, dict[str, str]]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text(), dict(answer.headers)


async def test_a_profile_names_the_functions_that_run() -> None:
    async with served() as (url, _):
        asked = asyncio.create_task(got(f"{url}/debug/profile?seconds=1"))
        while not asked.done():
            _busy_leaf()
            await asyncio.sleep(0)
        status, text, headers = await asked
    assert status == 200, text
    assert headers["Cache-Control"] == "no-store"
    profile = json.loads(text)
    assert "_busy_leaf" in {frame["name"] for frame in profile["shared"]["frames"]}


def _busy_leaf() -> int:
    return sum(number * number for number in range(20_000))


async def test_a_second_profile_at_once_is_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_end = asyncio.Event()

    async def slow(seconds: int) -> Profile:
        await may_end.wait()
        return Profile(200, b"%d" % seconds)

    monkeypatch.setattr(reports, "cpu_profile", slow)
    async with served() as (url, _):
        first = asyncio.create_task(got(f"{url}/debug/profile?seconds=60"))
        await asyncio.sleep(0.2)
        status, _, headers = await got(f"{url}/debug/profile")
        assert (status, headers["Retry-After"]) == (429, "10")
        may_end.set()
        assert (await first)[:2] == (200, "60")


@pytest.mark.parametrize("seconds", ["0", "61", "-1", "1.5", "x", "", "9999", "\u0661"])
async def test_a_profile_has_its_bounds(seconds: str) -> None:
    async with served() as (url, _):
        status, text, _ = await got(f"{url}/debug/profile?seconds={seconds}")
    assert (status, text) == (400, "seconds is a number from 1 to 60\n")


async def test_without_the_profiler_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_profile, "_program", lambda: None)
    async with served() as (url, _):
        status, text, _ = await got(f"{url}/debug/profile?seconds=1")
    assert (status, "warmclaim[profiling]" in text) == (501, True)


async def test_a_profiler_that_fails_is_told_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def command(*_: object) -> list[str]:
        return ["/bin/sh", "-c", "echo 'Error: Permission denied' >&2; exit 1"]

    monkeypatch.setattr(cpu_profile, "_command", command)
    async with served() as (url, _):
        status, text, _ = await got(f"{url}/debug/profile?seconds=1")
    assert status == 500
    assert text.startswith("py-spy made no profile: Error: Permission denied; the kernel")


async def waiter(event: asyncio.Event) -> None:
    password = "canary-in-a-variable"
    await deeper(event)
    assert password


async def deeper(event: asyncio.Event) -> None:
    await event.wait()


async def test_tasks_say_where_they_wait_and_since_when() -> None:
    clock, first, second = MovedClock(), asyncio.Event(), asyncio.Event()

    async def both() -> None:
        await deeper(first)
        await deeper(second)

    task = asyncio.create_task(waiter(first), name="a waiter")
    other = asyncio.create_task(both(), name="both")
    async with served(clock) as (url, looks):
        await asyncio.sleep(0)
        looks.look()
        clock.ahead_s = 12.5
        assert (await _told(url, "a waiter"))["waits_s_min"] == 12.5
        told = await _told(url, "both")
        assert told["waits_s_min"] == 12.5
        assert told["runs"].endswith("both")
        first.set()
        await task
        looks.look()
        clock.ahead_s = 20.0
        again = await _told(url, "both")
        assert again["waits_s_min"] == 7.5, "another event, in the same function"
        assert any("deeper (runtime/test_reports.py:" in place for place in again["waits_at"])
        assert await _told(url, "a waiter") == {}
        _, text, _ = await got(f"{url}/debug/tasks")
    assert "canary" not in text
    second.set()
    await other


async def _told(url: str, name: str) -> Any:
    status, text, _ = await got(f"{url}/debug/tasks")
    assert status == 200
    found = [task for task in json.loads(text)["tasks"] if task["name"] == name]
    return found[0] if found else {}


async def test_nothing_is_kept_of_a_task_that_has_ended_and_many_are_cut() -> None:
    event, looks = asyncio.Event(), TaskLooks(MovedClock())
    tasks = [asyncio.create_task(deeper(event)) for _ in range(TASKS_MAX + 50)]
    await asyncio.sleep(0)
    looks.look()
    report = looks.report()
    assert report.tasks_count > TASKS_MAX
    assert len(report.tasks) == TASKS_MAX
    event.set()
    await asyncio.gather(*tasks)
    del tasks
    looks.look()
    assert len(looks.report().tasks) == 1


async def test_memory_counts_what_is_kept_and_what_the_process_has() -> None:
    async with served() as (url, _):
        status, text, _ = await got(f"{url}/debug/memory")
    told = json.loads(text)
    assert status == 200
    assert told["kept"] == {"claim records": 7}
    assert told["rss_bytes"] > 10_000_000
    assert told["rss_bytes_max"] > 10_000_000
    assert len(told["gc_collections"]) == 3
    assert "lines" not in told


async def test_with_tracemalloc_memory_says_which_lines_hold_most() -> None:
    tracemalloc.start()
    try:
        held = [bytes(1_000) for _ in range(5_000)]
        async with served() as (url, _):
            _, text, _ = await got(f"{url}/debug/memory")
    finally:
        tracemalloc.stop()
    told = json.loads(text)
    assert told["traced_bytes"] > 1_000 * len(held)
    assert next(iter(told["lines"])).startswith("runtime/test_reports.py:")


async def test_they_are_not_there_unless_they_were_asked_for() -> None:
    port = Diagnostics("127.0.0.1:0", nothing, SystemClock())
    await port.start()
    try:
        for path in ("profile", "tasks", "memory"):
            status, _, _ = await got(f"http://127.0.0.1:{port.port}/debug/{path}")
            assert status == 404
    finally:
        await port.close()
