"""An informer on a scripted transport, with time standing still."""

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
    a_widget,
    settle,
)

from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Informer
from warmclaim.kube.ladder import ReflectorSettings
from warmclaim.seams import Request


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
        self.permissions = client.permissions
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
