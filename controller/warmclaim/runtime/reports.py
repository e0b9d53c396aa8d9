"""The /debug/ reports of the process on the diagnostics port; a flag of their own turns them on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from aiohttp import web

from warmclaim.runtime.cpu_profile import SECONDS, SECONDS_MAX, cpu_profile
from warmclaim.runtime.diagnostics import Report
from warmclaim.runtime.memory_report import memory_report
from warmclaim.runtime.task_report import TaskLooks

PROFILE_PATH: Final = "/debug/profile"
TASKS_PATH: Final = "/debug/tasks"
MEMORY_PATH: Final = "/debug/memory"
RETRY_AFTER_S: Final = 10


class Reports:
    """One profile at a time, and one look at the memory; `kept` counts what is remembered."""

    def __init__(self, looks: TaskLooks, kept: Callable[[], Mapping[str, int]]) -> None:
        self._looks = looks
        self._kept = kept
        self._profiling = asyncio.Lock()
        self._measuring = asyncio.Lock()

    async def profile(self, query: Mapping[str, str]) -> web.Response:
        """`?seconds=n` of CPU profile, as speedscope shows it."""
        text = query.get("seconds", str(SECONDS))
        if not (text.isascii() and text.isdigit() and len(text) < 4):
            return _words(400, f"seconds is a number from 1 to {SECONDS_MAX}")
        seconds = int(text)
        if not 1 <= seconds <= SECONDS_MAX:
            return _words(400, f"seconds is a number from 1 to {SECONDS_MAX}")
        if self._profiling.locked():
            return _busy("another profile is being taken; come again")
        async with self._profiling:
            made = await cpu_profile(seconds)
        if made.status != 200:
            return web.Response(status=made.status, body=made.body + b"\n")
        return web.Response(body=made.body, content_type="application/json")

    async def tasks(self, _: Mapping[str, str]) -> web.Response:
        """Where every task waits, and since when. Some 10 us a task, in the loop."""
        return _json(self._looks.report())

    async def memory(self, _: Mapping[str, str]) -> web.Response:
        """What is held in memory."""
        if self._measuring.locked():
            return _busy("memory is being looked at; come again")
        async with self._measuring:
            # With tracemalloc on it takes long; the counts are read here, in the loop that writes.
            kept = dict(self._kept())
            told = await asyncio.get_running_loop().run_in_executor(None, memory_report, kept)
        return _json(told)

    def by_path(self) -> dict[str, Report]:
        """For the diagnostics port."""
        return {PROFILE_PATH: self.profile, TASKS_PATH: self.tasks, MEMORY_PATH: self.memory}


def _json(told: msgspec.Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(told), content_type="application/json")


def _busy(why: str) -> web.Response:
    response = _words(429, why)
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _words(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n")
