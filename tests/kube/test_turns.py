"""Turns: so many at once, the namespaces one after the other, and no place is ever lost."""

from __future__ import annotations

import asyncio
import random

import pytest

from warmclaim.kube.turns import Turns, namespace_of


def path(namespace: str) -> str:
    return f"/apis/agents.x-k8s.io/v1beta1/namespaces/{namespace}/sandboxes/s"


@pytest.mark.parametrize(
    ("words", "namespace"),
    [
        (path("team"), "team"),
        ("/api/v1/namespaces/team/pods", "team"),
        ("/api/v1/namespaces/team", ""),
        ("/api/v1/pods", ""),
        ("/version", ""),
        ("/api/v1/namespaces/a/pods/namespaces/b", "a"),
    ],
)
def test_the_namespace_of_a_path(words: str, namespace: str) -> None:
    assert namespace_of(words) == namespace


class Users:
    """Requests that say when they are let in, and leave when they are told to."""

    def __init__(self, at_once_max: int) -> None:
        self.turns = Turns(at_once_max)
        self.inside: list[str] = []
        self.entered: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def ask(self, name: str) -> None:
        """`name` begins with its namespace and a dot."""
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._use(name))

    async def _use(self, name: str) -> None:
        async with self.turns.place(path(name.partition(".")[0])):
            self.inside.append(name)
            self.entered.append(name)
            try:
                await self.ends[name].wait()
            finally:
                self.inside.remove(name)

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_waits_goes_in_by_turns_of_the_namespaces() -> None:
    users = Users(2)
    for name in ("flood.0", "flood.1", "flood.2", "flood.3", "flood.4", "quiet.0", "quiet.1"):
        users.ask(name)
    await settle()
    assert users.inside == ["flood.0", "flood.1"]
    for name in ("flood.0", "flood.1", "flood.2", "quiet.0", "flood.3"):
        await users.end(name)
    assert users.entered[2:] == ["flood.2", "quiet.0", "flood.3", "quiet.1", "flood.4"]
    for name in ("quiet.1", "flood.4"):
        await users.end(name)


async def test_without_a_limit_nobody_waits() -> None:
    users = Users(0)
    for number in range(100):
        users.ask(f"flood.{number}")
    await settle()
    assert len(users.inside) == 100
    for number in range(100):
        await users.end(f"flood.{number}")


@pytest.mark.parametrize("seed", range(20))
async def test_whoever_gives_up_no_place_is_lost(seed: int) -> None:
    """Also in the moment in which it is let in."""
    chance, users = random.Random(seed), Users(3)
    for number in range(200):
        users.ask(f"{chance.choice('abc')}.{number}")
        for name in chance.sample(sorted(users.tasks), k=min(2, len(users.tasks))):
            if chance.random() < 0.5:
                users.ends[name].set()
            if chance.random() < 0.4:
                users.tasks[name].cancel()
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        assert len(users.inside) <= 3
    for name in users.tasks:
        users.ends[name].set()
    await asyncio.gather(*users.tasks.values(), return_exceptions=True)
    late = [f"late.{number}" for number in range(4)]
    for name in late:
        users.ask(name)
    await settle()
    assert users.inside == late[:3], "all three places are there, and no more"
    for name in late:
        await users.end(name)
