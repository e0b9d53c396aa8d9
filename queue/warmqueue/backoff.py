"""Waiting after failures, and a rate that is not exceeded. Time and chance are arguments."""

from collections.abc import Hashable


class Backoff:
    """Exponential delay per key: base, base x factor, ... up to the cap.

    Memory is one number per key that failed and was not forgotten since.
    """

    def __init__(self, *, base_s: float = 0.005, factor: float = 2.0, cap_s: float) -> None:
        """ValueError unless 0 < base_s <= cap_s and factor > 1."""
        if not 0 < base_s <= cap_s:
            raise ValueError(f"need 0 < base_s <= cap_s, not {base_s} and {cap_s}")
        if not factor > 1:
            raise ValueError(f"need factor > 1, not {factor}")
        self._base_s = base_s
        self._factor = factor
        self._cap_s = cap_s
        self._failures: dict[Hashable, int] = {}

    def __len__(self) -> int:
        """Keys that failed and were not forgotten since. O(1)."""
        return len(self._failures)

    def delay_s(self, failures: int, *, jitter: float | None = None) -> float:
        """The delay after this many failures in a row (0 for none).

        `jitter` in [0, 1) takes off up to half, so the cap holds with it too. O(1).
        """
        if failures <= 0:
            return 0.0
        try:
            delay_s = min(self._cap_s, self._base_s * self._factor ** (failures - 1))
        except OverflowError:  # past some 1,000 failures
            delay_s = self._cap_s
        return delay_s if jitter is None else delay_s * (1.0 - jitter / 2)

    def fail(self, key: Hashable, *, jitter: float | None = None) -> float:
        """Count a failure of the key; returns the delay before its next try. O(1)."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        return self.delay_s(failures, jitter=jitter)

    def failures(self, key: Hashable) -> int:
        """Failures of the key since it was last forgotten. O(1)."""
        return self._failures.get(key, 0)

    def forget(self, key: Hashable) -> None:
        """It succeeded or is gone: its next failure is a first one. O(1)."""
        self._failures.pop(key, None)


class TokenBucket:
    """At most `burst` tokens at once, and `rate_per_s` in the long run.

    Kept as the moment at which it is full again, not as a number of tokens: who sleeps
    until `ready_at` is then never refused for a rounding error.
    """

    def __init__(self, *, rate_per_s: float, burst: float) -> None:
        """Starts full. ValueError unless both are positive."""
        if not (rate_per_s > 0 and burst > 0):
            raise ValueError(f"need a positive rate and burst, not {rate_per_s} and {burst}")
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._full_at = float("-inf")

    @property
    def rate_per_s(self) -> float:
        """Tokens that come back per second."""
        return self._rate_per_s

    def set_rate(self, now: float, rate_per_s: float) -> None:
        """Change the rate from now on; what is spent stays spent. ValueError unless positive."""
        if not rate_per_s > 0:
            raise ValueError(f"need a positive rate, not {rate_per_s}")
        spent = max(0.0, self._full_at - now) * self._rate_per_s
        self._full_at = now + spent / rate_per_s
        self._rate_per_s = rate_per_s

    def ready_at(self, now: float, count: float = 1.0) -> float:
        """The moment at which `take` succeeds, `now` if it would at once; takes nothing.

        ValueError for more than the burst, which never succeeds. O(1).
        """
        if count > self._burst:
            raise ValueError(f"{count} tokens never fit a burst of {self._burst}")
        return max(now, self._full_at + (count - self._burst) / self._rate_per_s)

    def take(self, now: float, count: float = 1.0) -> bool:
        """Take tokens; False, and nothing is taken, when there are too few. O(1).

        ValueError for more than the burst, which never succeeds.
        """
        if self.ready_at(now, count) > now:
            return False
        self._full_at = max(now, self._full_at) + count / self._rate_per_s
        return True
