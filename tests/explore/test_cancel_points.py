"""C8: a pass may be cancelled at any await, and whoever comes next finishes what it began.

WARMCLAIM_CANCEL_PAIRS=1 cancels what comes after once more, at each of its points.
"""

from __future__ import annotations

import ast
import asyncio
import itertools
import os
from collections.abc import Awaitable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from warmclaim import controllers
from warmclaim.controllers import claim as claim_controller
from warmclaim.controllers import pool_growth
from warmclaim.domain.reservation import member_name
from warmclaim.runtime.controller import Controller
from warmclaim.testing.explore import cancel_points
from warmclaim.testing.explore.cancel_cases import CASES
from warmclaim.testing.explore.cancel_points import Found, explore
from warmclaim.testing.explore.cancelling import Case

pytestmark = pytest.mark.timeout(600)

WITH_PAIRS = bool(os.environ.get("WARMCLAIM_CANCEL_PAIRS"))
BY_NAME = {case.name: case for case in CASES}


@cache
def found_in(name: str) -> Found:
    return explore(BY_NAME[name], with_pairs=WITH_PAIRS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_whoever_comes_after_a_cancellation_finishes(case: Case) -> None:
    found = found_in(case.name)
    assert not found.failures
    assert found.points > 0
    assert found.runs >= 1 + 2 * found.points  # the same process, and a new one


@pytest.mark.parametrize("part", ["claim", "pool", "sandbox"])
def test_each_controller_has_points(part: str) -> None:
    assert sum(found_in(case.name).points for case in CASES if case.part == part) >= 60


def requests_in(module: str) -> Iterator[str]:
    """The functions of a controller that await the client."""
    source = Path(str(controllers.__file__)).with_name(f"{module}.py").read_text()
    for body in ast.walk(ast.parse(source)):
        if isinstance(body, ast.AsyncFunctionDef):
            awaited = (ast.unparse(e.value) for e in ast.walk(body) if isinstance(e, ast.Await))
            if any(text.startswith("self._client.") for text in awaited):
                yield f"{module}.{body.name}"


REQUESTING = {
    "claim_marks": 2,
    "hand_over": 3,
    "pool": 3,
    "pool_growth": 6,
    "sandbox": 2,
    "sandbox_children": 2,
    "template": 3,
}


@pytest.mark.parametrize(("module", "least"), REQUESTING.items())
def test_no_request_of_a_controller_is_left_out(module: str, least: int) -> None:
    places = {place for case in CASES for place in found_in(case.name).places}
    reached = {f"{place.split('.')[0]}.{place.split('.')[-1].split(':')[0]}" for place in places}
    wanted = set(requests_in(module))
    assert len(wanted) >= least
    assert wanted <= reached


# What is broken on purpose must be found.


def failures(name: str) -> str:
    return "; ".join(text for _, text in explore(BY_NAME[name]).failures)


def test_a_candidate_that_is_never_read_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forget(*_: object) -> None:
        """Do not ask what became of it."""

    monkeypatch.setattr(claim_controller.ClaimReconciler, "_read_back_pending", forget)
    assert "taken and never returned" in failures("claim-answer-lost")


def test_a_key_that_is_dropped_with_its_pass_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(self: Any) -> None:
        """As the controller, without bringing the key back."""
        while True:
            work = await self.queue.get()
            self._began_s[work.key] = self._clock.monotonic()
            try:
                await self._one_pass(work)
            finally:
                self.queue.done(work.key)

    monkeypatch.setattr(Controller, "_work", work)
    said = failures("claim-warm")
    assert "c0 was lost from the queue" in said
    assert "L1 default/c0 has no sandbox" in said


def test_a_request_that_goes_on_after_its_pass_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answers_to(calls: Iterable[Awaitable[bool]]) -> list[bool | BaseException]:
        """Start them all, and let them go on whatever becomes of the pass."""
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.wait(tasks)
        return [task.exception() or task.result() for task in tasks]

    monkeypatch.setattr(pool_growth, "answers_to", answers_to)
    assert "was left behind at" in failures("pool-fill")


def test_a_member_with_another_name_at_each_try_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = itertools.count(100)

    def another(pool_name: str, uid: str, _: int) -> str:
        return member_name(pool_name, uid, next(tries))

    monkeypatch.setattr(pool_growth, "member_name", another)
    assert "S6" in failures("pool-fill")


def test_a_pass_that_swallows_its_cancellation_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = claim_controller.ClaimReconciler.reconcile

    async def stubborn(self: Any, key: Any) -> Any:
        """Begin again instead."""
        try:
            return await real(self, key)
        except asyncio.CancelledError:
            return await real(self, key)

    monkeypatch.setattr(claim_controller.ClaimReconciler, "reconcile", stubborn)
    assert "went on after its cancellation" in failures("claim-warm")


def test_the_figures_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cancel_points.main(("--case", "claim-warm")) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    found = explore(BY_NAME["claim-warm"])
    expected = [str(found.points), str(found.runs), str(len(found.places)), "0"]
    assert rows[1:] == [["claim-warm", *expected], ["all", *expected]]


def test_one_failing_run_can_be_had_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forget(*_: object) -> None:
        """Do not ask what became of it."""

    monkeypatch.setattr(claim_controller.ClaimReconciler, "_read_back_pending", forget)
    assert cancel_points.main(("--case", "claim-answer-lost")) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if "--at" in line)
    command, _, failure = line.strip().partition(": ")
    assert cancel_points.main(command.split()) == 1
    assert failure.split("; ")[0] in capsys.readouterr().out
    monkeypatch.undo()
    assert cancel_points.main(command.split()) == 0
