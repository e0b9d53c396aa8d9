"""From values to places on an axis, and where its ticks are. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

_STEPS = (1, 2, 5, 10)
_LOG_STEPS = (1, 2, 5)
_ALMOST = 1 - 1e-9
"""What differs by less is equal: the powers of ten are not exact."""


@dataclass(frozen=True)
class Linear:
    """From zero to `end`, which is the last tick."""

    end: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """0 at the beginning of the axis, 1 at its end."""
        return value / self.end


@dataclass(frozen=True)
class Logarithmic:
    """From `begin` to `end`, both above zero."""

    begin: float
    end: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """As of `Linear`; what is below the beginning is put there."""
        place = math.log(max(value, self.begin) / self.begin)
        return place / math.log(self.end / self.begin)


Scale = Linear | Logarithmic


def linear(most: float, ticks_max: int = 6, step_min: float = 0.0) -> Linear:
    """An axis that reaches `most`, with round ticks; `step_min` is 1 where halves mean nothing."""
    least = max(most / ticks_max, step_min, 1e-9)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * one for one in _STEPS if power * one >= least * _ALMOST)
    count = max(1, math.ceil(most / step * _ALMOST**2))
    return Linear(step * count, tuple(step * number for number in range(count + 1)))


def logarithmic(least: float, most: float) -> Logarithmic:
    """An axis from the 1, 2 or 5 below `least` to the one above `most`; ticks there between."""
    marks = [
        step * 10.0**power
        for power in range(math.floor(math.log10(least)) - 1, math.ceil(math.log10(most)) + 2)
        for step in _LOG_STEPS
    ]
    begin = max(mark for mark in marks if mark <= least / _ALMOST)
    end = min(mark for mark in marks if mark >= most * _ALMOST and mark > begin)
    return Logarithmic(begin, end, tuple(mark for mark in marks if begin <= mark <= end))


def shown(value: float) -> str:
    """A tick's text: 0.5, 20, 1,000."""
    return f"{value:,.0f}" if abs(value - round(value)) < 1e-6 else f"{value:g}"
