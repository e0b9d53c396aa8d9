"""When a pool may create members again, and how many at once.

Four things slow it down: a slow start, so that a refusal costs one request and not a batch; a
pause after a refusal, doubled with each; and, where the settings say so, a delay after a full pool
lost members and a limit by rate. Times are monotonic seconds, given by whoever asks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

REFUSED_S_MIN: Final = 0.5
REFUSED_S_MAX: Final = 30.0
"""A full quota tells nobody when it has room again, so it is asked as often as that."""
REFUSED_FOR_GOOD_S: Final = 60.0
"""The same request never succeeds; only a change elsewhere can help, such as of a webhook."""

_ROUNDING: Final = 1e-9  # a token that is due must not be waited for once more
_WAIT_S_MIN: Final = 0.001  # one that is shorter than the clock's steps would never end


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """`delay_s`: how long a pool that was full and lost members waits before it is filled again.
    `per_s_max`: members a second, 0 for no limit; any finite number. `together_max`: creates at
    once."""

    delay_s: float
    per_s_max: float
    together_max: int


class RefillPace:
    """The pace of one pool.

    The delay begins with the first loss and is not prolonged by further ones; then the pool is
    filled until it is full again, whatever it loses meanwhile. So claims that come without end
    never drain it. A pool that was not seen full, or was made larger, waits for nothing.
    """

    def __init__(self, limits: PaceLimits, now_s: float) -> None:
        self._limits = limits
        self._together = 1
        self._active = 0
        self._was_full = False
        self._held_until_s: float | None = None
        self._refused_pause_s = 0.0
        self._refused_until_s = now_s
        self._tokens = self._capacity
        self._counted_s = now_s

    @property
    def _capacity(self) -> float:
        return max(1.0, self._limits.per_s_max)

    def see(self, active: int, replicas: int, now_s: float) -> None:
        """The pool has so many members that stay, and wants so many. At every look."""
        if active >= replicas:
            self._was_full, self._held_until_s = True, None
        elif self._was_full and self._held_until_s is None:
            is_loss = active < self._active
            self._was_full = is_loss
            self._held_until_s = now_s + self._limits.delay_s if is_loss else None
        if self._held_until_s is not None and now_s >= self._held_until_s:
            self._was_full, self._held_until_s = False, None
        self._active = active

    def pause_s(self, now_s: float) -> float:
        """How long nothing may be created; 0 if something may be now."""
        until_s = max(self._refused_until_s, self._held_until_s or now_s)
        return max(until_s - now_s, self._token_wait_s(now_s), 0.0)

    def take(self, wanted: int, now_s: float) -> int:
        """How many of these may be created at once, now. What comes of it must be told."""
        granted = min(wanted, self._together)
        if self._limits.per_s_max:
            self._accrue(now_s)
            granted = min(granted, math.floor(self._tokens + _ROUNDING))
            self._tokens -= granted
        return granted

    def give_back(self, count: int) -> None:
        """So many of those taken were surely not created."""
        self._tokens = min(self._tokens + count, self._capacity)

    def went_well(self) -> None:
        """All that were taken are there: twice as many next time."""
        self._together = min(self._together * 2, self._limits.together_max)
        self._refused_pause_s = 0.0

    def failed(self) -> None:
        """One of them failed: one at a time again."""
        self._together = 1

    def refused(self, now_s: float, *, is_for_good: bool = False) -> None:
        """The server does not want one: a pause, twice as long as the last one, or the longest."""
        self.failed()
        doubled_s = max(2 * self._refused_pause_s, REFUSED_S_MIN)
        self._refused_pause_s = min(doubled_s, REFUSED_S_MAX)
        pause_s = REFUSED_FOR_GOOD_S if is_for_good else self._refused_pause_s
        self._refused_until_s = now_s + pause_s

    def forgive(self, now_s: float) -> None:
        """What was refused is not what would be created now."""
        self._refused_pause_s, self._refused_until_s = 0.0, now_s

    def _token_wait_s(self, now_s: float) -> float:
        if not self._limits.per_s_max:
            return 0.0
        self._accrue(now_s)
        if self._tokens + _ROUNDING >= 1.0:
            return 0.0
        return max((1.0 - self._tokens) / self._limits.per_s_max, _WAIT_S_MIN)

    def _accrue(self, now_s: float) -> None:
        # A product too large for a float is infinite, and so cut to the capacity.
        accrued = (now_s - self._counted_s) * self._limits.per_s_max
        self._tokens = min(self._tokens + accrued, self._capacity)
        self._counted_s = now_s
