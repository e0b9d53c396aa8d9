"""Whether an API server answers late, by what it took when it was calm.

No limit in milliseconds would do: a calm server answers in 4 on one cluster and in 50 on another.
"""

from __future__ import annotations

import math
from typing import Final

CROWDED: Final = 2.0
"""An answer took that many times as long as on a calm server: too much is under way."""
CALM_S_MIN: Final = 0.004
"""Quicker answers are not asked for: a server that needs 1 ms may as well take 8."""
FORGETTING: Final = 1.002
"""What counts as calm grows by this with each answer, so a server that became slower for good is
not taken for a crowded one for longer than some hundred claims."""


class Calm:
    """Learns from each answer what is quick."""

    def __init__(self) -> None:
        self._calm_s = math.inf

    def lateness(self, took_s: float) -> float:
        """How late an answer was that took so long: by what a server may take that is not crowded,
        so 1 and less is in time. Counts the answer."""
        self._calm_s = max(min(self._calm_s * FORGETTING, took_s), CALM_S_MIN)
        return took_s / (CROWDED * self._calm_s)
