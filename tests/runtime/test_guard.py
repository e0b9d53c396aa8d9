"""The guard by a virtual clock: one review for all who wait, and no way in without an answer."""

from __future__ import annotations

import asyncio

import pytest

from warmclaim.errors import NotSentError
from warmclaim.runtime.access import REVIEWS_PER_S_MAX, STRANGER_REVIEWS_PER_S_MAX
from warmclaim.runtime.guard import Guard, MayGet
from warmclaim.testing.virtual_loop import World, run_virtual


class Reviewer:
    """Knows the tokens in `good`; each question takes `takes_s`, and fails while it is away."""

    def __init__(self, world: World, *good: str, takes_s: float = 0.1) -> None:
        self.clock = world.clock
        self.good = set(good)
        self.allowed = True
        self.takes_s = takes_s
        self.error: Exception | None = None
        self.tokens: list[str] = []
        self.at_s: list[float] = []

    async def identify(self, token: str) -> MayGet | None:
        self.tokens.append(token)
        await self._asked()
        return self._may_get if token in self.good else None

    async def _may_get(self, path: str) -> bool:
        await self._asked()
        return self.allowed

    async def _asked(self) -> None:
        self.at_s.append(self.clock.monotonic())
        await self.clock.sleep(self.takes_s)
        if self.error is not None:
            raise self.error


def bearer(token: str) -> list[str]:
    return [f"Bearer {token}"]


def test_many_with_one_token_share_one_review_and_who_leaves_does_not_end_it() -> None:
    async def scenario(world: World) -> tuple[list[int], list[str]]:
        reviewer = Reviewer(world, "t")
        guard = Guard(reviewer, world.clock)
        asking = [asyncio.create_task(guard.ruling(bearer("t"), "/metrics")) for _ in range(50)]
        await world.clock.sleep(0.05)
        asking[0].cancel()
        answers = await asyncio.gather(*asking[1:])
        return [answer.status for answer in answers], reviewer.tokens

    statuses, tokens = run_virtual(scenario, seed=1)
    assert (statuses, tokens) == ([200] * 49, ["t"])


def test_a_token_that_is_revoked_is_out_within_a_minute() -> None:
    async def scenario(world: World) -> list[int]:
        reviewer = Reviewer(world, "t")
        guard = Guard(reviewer, world.clock)
        statuses = [(await guard.ruling(bearer("t"), "/metrics")).status]
        reviewer.good.clear()
        for _ in range(2):
            await world.clock.sleep(30.0)
            statuses.append((await guard.ruling(bearer("t"), "/metrics")).status)
        return statuses

    assert run_virtual(scenario, seed=1) == [200, 200, 401]


def test_a_right_that_is_granted_counts_after_ten_seconds() -> None:
    async def scenario(world: World) -> list[int]:
        reviewer = Reviewer(world, "t")
        reviewer.allowed = False
        guard = Guard(reviewer, world.clock)
        statuses = [(await guard.ruling(bearer("t"), "/metrics")).status]
        reviewer.allowed = True
        for _ in range(2):
            await world.clock.sleep(5.0)
            statuses.append((await guard.ruling(bearer("t"), "/metrics")).status)
        return statuses

    assert run_virtual(scenario, seed=1) == [403, 403, 200]


@pytest.mark.parametrize("error", [NotSentError("away"), RuntimeError("a mistake of ours")])
def test_without_an_answer_nobody_gets_in_and_the_next_asks_again(error: Exception) -> None:
    async def scenario(world: World) -> list[int]:
        reviewer = Reviewer(world, "t")
        guard = Guard(reviewer, world.clock)
        reviewer.error = error
        statuses = [(await guard.ruling(bearer("t"), "/metrics")).status]
        reviewer.error = None
        statuses.append((await guard.ruling(bearer("t"), "/metrics")).status)
        return statuses

    assert run_virtual(scenario, seed=1) == [503, 200]


def test_a_yes_does_not_outlive_its_minute_while_the_server_is_away() -> None:
    async def scenario(world: World) -> int:
        reviewer = Reviewer(world, "t")
        guard = Guard(reviewer, world.clock)
        await guard.ruling(bearer("t"), "/metrics")
        reviewer.error = NotSentError("away")
        await world.clock.sleep(60.0)
        return (await guard.ruling(bearer("t"), "/metrics")).status

    assert run_virtual(scenario, seed=1) == 503


def test_a_flood_of_tokens_is_ten_reviews_a_second_and_leaves_room_for_who_was_good() -> None:
    async def scenario(world: World) -> tuple[list[float], list[int], int]:
        reviewer = Reviewer(world, "scraper", takes_s=0.01)
        guard = Guard(reviewer, world.clock)
        statuses = [(await guard.ruling(bearer("scraper"), "/metrics")).status]
        refused = 0
        for number in range(3_000):
            ruling = await guard.ruling(bearer(f"bad-{number}"), "/metrics")
            refused += ruling.status == 503
            await world.clock.sleep(0.04)
            if number % 25 == 0:
                statuses.append((await guard.ruling(bearer("scraper"), "/metrics")).status)
        return reviewer.at_s, statuses, refused

    at_s, statuses, refused = run_virtual(scenario, seed=1)
    assert max(sum(at - 1.0 < one <= at for one in at_s) for at in at_s) <= REVIEWS_PER_S_MAX
    assert set(statuses) == {200}
    assert 3_000 - refused <= STRANGER_REVIEWS_PER_S_MAX * 151


@pytest.mark.parametrize("headers", [[], ["Basic x"], ["Bearer a b"], ["Bearer t", "Bearer t"]])
def test_what_is_no_token_asks_nobody(headers: list[str]) -> None:
    async def scenario(world: World) -> tuple[int, list[str]]:
        reviewer = Reviewer(world, "t")
        ruling = await Guard(reviewer, world.clock).ruling(headers, "/metrics")
        return ruling.status, reviewer.tokens

    assert run_virtual(scenario, seed=1) == (401, [])
