"""Times as the API writes them: RFC 3339, UTC. In and out are seconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

_SECONDS_MAX = 253_402_300_799.0  # 9999-12-31T23:59:59Z; later times saturate


def rfc3339(seconds: float) -> str:
    """Second grain, as metav1.Time. Times out of range saturate at years 1970 and 9999."""
    return _written(int(min(max(seconds, 0.0), _SECONDS_MAX)))


def rfc3339_nano(seconds: float) -> str:
    """With the fraction that there is, at most six digits, as Go's RFC3339Nano. Saturates alike."""
    moment = datetime.fromtimestamp(min(max(seconds, 0.0), _SECONDS_MAX), UTC)
    fraction = f".{moment.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


@lru_cache(maxsize=16)
def _written(second: int) -> str:
    # Asked for many times within a second, and 8 us each time.
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(text: str | None) -> float | None:
    """The time in `text`, with any fraction and offset; None where it is absent or no time."""
    if not text or len(text) > 64:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None
