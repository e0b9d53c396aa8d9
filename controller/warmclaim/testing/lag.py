"""A watch cache that runs behind the store, as that of each API server of a real cluster does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from warmclaim.seams import Clock
from warmclaim.testing.store import Commit, ObjectStore
from warmclaim.testing.watch import WatchCache

_SAME_MOMENT_S: Final = 1e-6  # a timer may fire a rounding error before its moment

Later: TypeAlias = Callable[[float, Callable[[], None]], object]
"""Has something done after so many seconds: a loop's `call_later`."""


class LaggingCache(WatchCache):
    """Hears of each commit `delay_s()` seconds after it, in order; while frozen, of none.

    Consistent reads and writes go past it to the store. Cost of a commit: O(1), and one timer for
    as long as anything is under way.
    """

    def __init__(
        self, store: ObjectStore, *, clock: Clock, later: Later, delay_s: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._later = later
        self._delay_s = delay_s
        self._rv = store.rv
        # (second at which it is heard of, version, resource), both rising.
        self._coming: deque[tuple[float, int, str]] = deque()
        self._is_timed = False
        self.is_frozen = False
        super().__init__(store)

    @property
    def rv(self) -> int:
        return self._rv

    def freeze(self) -> None:
        """Hear of nothing more until `thaw`. May be called twice."""
        self.is_frozen = True

    def thaw(self) -> None:
        """Go on; what is due is heard of at once. May be called twice."""
        self.is_frozen = False
        self._take_due()

    def catch_up(self) -> None:
        """Have seen everything, as a server that was just started has."""
        self.is_frozen = False
        while self._coming:
            self._take()

    def _on_commit(self, commit: Commit) -> None:
        now = self._clock.monotonic()
        last = self._coming[-1][0] if self._coming else now
        self._coming.append((max(last, now + self._delay_s()), commit.rv, commit.resource))
        self._take_due()

    def _take_due(self) -> None:
        now = self._clock.monotonic()
        due_s = now + _SAME_MOMENT_S
        while self._coming and not self.is_frozen and self._coming[0][0] <= due_s:
            self._take()
        if self._coming and not self.is_frozen and not self._is_timed:
            self._is_timed = True
            self._later(self._coming[0][0] - now, self._on_time)

    def _on_time(self) -> None:
        self._is_timed = False
        self._take_due()

    def _take(self) -> None:
        _, self._rv, resource = self._coming.popleft()
        self.advanced(resource)
