"""What an archive keeps: files go whole, by age and by size in all, the oldest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from warmclaim.archive.target import Target


@dataclass
class Retired:
    """What was deleted."""

    files: int = 0
    size_bytes: int = 0


def retain(
    target: Target, *, today: date, days_max: int | None = None, size_bytes_max: int | None = None
) -> Retired:
    """Delete what is older than `days_max` days, and the oldest beyond `size_bytes_max` in all.

    Only files that an archive run named are seen. Memory: the list of days, and one day's files.
    May be interrupted, and run by several at once. Raises OSError.
    """
    retired = Retired()
    kept_bytes, is_full = 0, False
    for day in reversed(target.days()):
        is_old = days_max is not None and day < oldest_kept(today, days_max)
        for file in reversed(target.files(day)):
            # What is older than the first that does not fit goes too, however small it is.
            is_full = is_full or (
                size_bytes_max is not None and kept_bytes + file.size_bytes > size_bytes_max
            )
            if is_old or is_full:
                target.remove(file)
                retired.files += 1
                retired.size_bytes += file.size_bytes
            else:
                kept_bytes += file.size_bytes
        if retired.files:
            target.remove_empty(day)
    return retired


def oldest_kept(today: date, days_max: int) -> date:
    """The first day that is kept; `days_max` 1 keeps today alone."""
    try:
        return today - timedelta(days=days_max - 1)
    except OverflowError:
        return date.min
