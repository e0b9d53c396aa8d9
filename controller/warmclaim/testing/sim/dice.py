"""Chance by key: the same key gives the same numbers, whatever else was drawn before."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from struct import Struct
from typing import TypeVar

T = TypeVar("T")

_UNIT = 2.0**-64
_FOUR = Struct(">4Q")


class Dice:
    """Draws for one seed. Keys are texts that name what is drawn."""

    def __init__(self, seed: int) -> None:
        self._key = seed.to_bytes(16, "big", signed=True)

    def units(self, key: str) -> tuple[float, ...]:
        """Four numbers in [0, 1)."""
        a, b, c, d = _FOUR.unpack(blake2b(key.encode(), digest_size=32, key=self._key).digest())
        return a * _UNIT, b * _UNIT, c * _UNIT, d * _UNIT

    def unit(self, key: str) -> float:
        """One number in [0, 1)."""
        return self.units(key)[0]

    def chance(self, key: str, probability: float) -> bool:
        """True with that probability."""
        return self.unit(key) < probability

    def between(self, key: str, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self.unit(key)

    def whole(self, key: str, low: int, high: int) -> int:
        """Uniform among low, ..., high."""
        return low + int(self.unit(key) * (high - low + 1))

    def log_between(self, key: str, low: float, high: float) -> float:
        """Log-uniform in [low, high); both above 0."""
        return float(low * (high / low) ** self.unit(key))

    def pick(self, key: str, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self.unit(key) * len(items))]
