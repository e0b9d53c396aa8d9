"""How far claims have emptied the pools that they take from."""

from __future__ import annotations

import math
from typing import Final

from warmclaim.seams import Clock

LASTS_S: Final = 1.0
"""45 claims a second on four pools take from each ten times in that."""


class Shortage:
    """How much refill the claims to come need, although it is in the way of those of now.

    Nothing as long as half of the pool waits, everything once only a quarter does. A burst
    that takes half of a pool is over before it matters. Without it 45 claims a second emptied four
    pools of 100 in nine seconds while refill got what they left over, and a third of them started
    cold. By rate it cannot be told: a burst empties a pool faster than any load that lasts.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen_s = -math.inf
        self._share = 0.0

    def share(self) -> float:
        """Of all that refill could do, the part that is needed: that of the emptiest pool that was
        taken from in the last second."""
        return self._share if self._clock.monotonic() - self._seen_s < LASTS_S else 0.0

    def took(self, waiting: int, replicas: int) -> None:
        """A claim took one of so many, from a pool that wants `replicas`."""
        share = min(max(2 - 4 * waiting / replicas, 0.0), 1.0) if replicas else 0.0
        if share >= self.share():
            self._share, self._seen_s = share, self._clock.monotonic()
