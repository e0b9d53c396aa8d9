"""What the collector of garbage looks at: never much at once, and everything in the end."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Generator

import pytest

from warmclaim.runtime.garbage import (
    ALL_EVERY_S,
    CHECK_EVERY_S,
    YOUNG_LOOKS,
    YOUNG_OBJECTS,
    look_at_all,
    short_looks,
)

LOOKED_AT_MAX = (YOUNG_LOOKS + 3) * YOUNG_OBJECTS


class Knot:
    """Refers to itself, so that only a look finds it."""

    def __init__(self) -> None:
        self.itself = self


class Looks:
    """Notes of each look its generation, and how many objects there were to look at."""

    def __init__(self) -> None:
        self.generations: list[int] = []
        self.objects: list[int] = []

    def note(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self.generations.append(info["generation"])
            self.objects.append(len(gc.get_objects()))


class Minutes:
    """A Clock on which time passes by sleeping, and that ends the test when it is over."""

    def __init__(self, over_s: float) -> None:
        self.now_s = 0.0
        self._over_s = over_s

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        self.now_s += delay_s
        if self.now_s > self._over_s:
            raise EOFError


@pytest.fixture
def looks() -> Generator[Looks]:
    found = Looks()
    with short_looks():
        gc.callbacks.append(found.note)
        try:
            yield found
        finally:
            gc.callbacks.remove(found.note)


def test_no_look_is_at_many_objects_however_many_live(looks: Looks) -> None:
    living = [[number] for number in range(100 * YOUNG_OBJECTS)]
    assert len(looks.objects) > 90
    assert set(looks.generations) == {0, 1}
    assert max(looks.objects) < LOOKED_AT_MAX
    assert len(living) < gc.get_freeze_count() + LOOKED_AT_MAX


def test_what_is_set_aside_is_freed_when_nothing_refers_to_it(looks: Looks) -> None:
    knot = Knot()
    gc.collect(1)
    known = weakref.ref(knot)
    knot.itself = None  # type: ignore[assignment]
    del knot
    assert known() is None
    assert looks.generations[-1] == 1


async def turns_of(blocks: Callable[[], int]) -> list[float]:
    """When, in two hours and a half, everything is looked at."""
    clock, turns = Minutes(2.5 * ALL_EVERY_S), list[float]()

    async def turn() -> None:
        turns.append(clock.now_s)

    with pytest.raises(EOFError):
        await look_at_all(clock, turn, blocks)
    return turns


async def test_a_cycle_that_was_set_aside_is_found_once_an_hour(looks: Looks) -> None:
    knot = Knot()
    gc.collect(1)
    known = weakref.ref(knot)
    del knot
    gc.collect()
    assert known() is not None
    assert await turns_of(lambda: 1) == [ALL_EVERY_S, 2 * ALL_EVERY_S]
    assert known() is None
    assert looks.generations[-1] == 2
    assert len(gc.get_objects()) < LOOKED_AT_MAX < gc.get_freeze_count()


async def test_what_has_grown_by_a_quarter_is_looked_at_and_then_no_more(looks: Looks) -> None:
    counts = iter([100, 125, 126, 126, *[157] * 30])
    assert await turns_of(lambda: next(counts, 158)) == [
        2 * CHECK_EVERY_S,
        33 * CHECK_EVERY_S,
        33 * CHECK_EVERY_S + ALL_EVERY_S,
    ]
    assert looks.generations[-1] == 2


def test_afterwards_all_is_as_it_was() -> None:
    before = (gc.get_threshold(), list(gc.callbacks), gc.get_freeze_count())
    with short_looks():
        assert gc.get_freeze_count() > before[2]
    assert (gc.get_threshold(), list(gc.callbacks), gc.get_freeze_count()) == before
