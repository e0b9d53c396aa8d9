"""How a snapshot shares the loop: it lets go after little work, for longer while claims come."""

from __future__ import annotations

import os

import msgspec
import pytest

from warmclaim.app.snapshot_writer import BUSY_SHARE, HOLD_S_MAX, PIECE_BYTES, SnapshotWriter

WORK_S = 0.0004


class WorkClock:
    """Each look at it finds that so much work was done; notes the rests."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.rests_s: list[float] = []
        self.worked_s: list[float] = []
        self._since_s = 0.0

    def monotonic(self) -> float:
        self.now_s += WORK_S
        return self.now_s

    def wall(self) -> float:
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        self.worked_s.append(self.now_s - self._since_s)
        self.rests_s.append(delay_s)
        self.now_s += delay_s
        self._since_s = self.now_s


class Sizes:
    """An Outlet that keeps the sizes of what is sent."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def require_reader(self) -> None:
        """There is one."""

    async def send(self, data: bytes) -> None:
        self.sizes.append(len(data))


async def written(
    clock: WorkClock, items: list[bytes], *, is_serving: bool = False, is_redacted: bool = True
) -> list[int]:
    outlet = Sizes()
    writer = SnapshotWriter(outlet, clock, lambda: is_serving, is_redacted=is_redacted)
    await writer.begin()
    writer.list("items")
    for item in items:
        await writer.item(item)
    await writer.end()
    return outlet.sizes


@pytest.mark.parametrize(("is_serving", "share"), [(False, 0), (True, BUSY_SHARE)])
async def test_it_lets_go_after_little_work_and_rests_while_claims_come(
    is_serving: bool, share: int
) -> None:
    clock = WorkClock()
    await written(clock, [b'{"a":1}'] * 200, is_serving=is_serving)
    assert len(clock.rests_s) >= 200 * WORK_S / (HOLD_S_MAX + 2 * WORK_S)
    assert max(clock.worked_s) <= HOLD_S_MAX + 3 * WORK_S
    for worked_s, rest_s in zip(clock.worked_s, clock.rests_s, strict=True):
        assert rest_s == pytest.approx(share * worked_s, abs=1.1 * share * WORK_S)


@pytest.mark.parametrize("text", [os.urandom(600_000).hex(), "x" * 1_200_000])
async def test_a_large_text_is_sent_a_little_at_a_time(text: str) -> None:
    clock, item = WorkClock(), msgspec.json.encode({"a": text})
    sizes = await written(clock, [item], is_redacted=False)
    assert max(sizes) <= 4 * PIECE_BYTES
    assert len(clock.rests_s) >= len(item) / PIECE_BYTES / 3
    assert max(clock.worked_s) <= HOLD_S_MAX + 3 * WORK_S


async def test_a_large_object_is_redacted_a_little_at_a_time() -> None:
    clock, item = WorkClock(), msgspec.json.encode({"a": [{"b": "c" * 90}] * 10_000})
    await written(clock, [item])
    assert len(clock.rests_s) >= len(item) / PIECE_BYTES / 3
    assert max(clock.worked_s) <= HOLD_S_MAX + 3 * WORK_S
