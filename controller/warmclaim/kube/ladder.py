"""The ladder of a reflector: from which version to list or watch next, and when to wait.

Pure: it is told what happened and says what to do. The rungs, from cheap to dear: resume the
watch; list "not older than" what was seen, which the server may answer from its cache; list
consistently, which it asks its database for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from warmclaim.errors import ExpiredError, PermanentError
from warmclaim.kube import answers


@dataclass(frozen=True, slots=True)
class ReflectorSettings:
    """How a reflector reads. The bounds of silence and watch length are those of the server,
    which sends a bookmark every 60 s."""

    page_objects_max: int = 500
    request_timeout_s: float = 30.0
    use_watch_list: bool = False
    watch_s_min: float = 300.0
    watch_s_max: float = 600.0
    silence_s_max: float = 70.0
    backoff_s_min: float = 0.8
    backoff_s_max: float = 30.0
    backoff_jitter: float = 0.5
    backoff_reset_s: float = 120.0
    retry_after_s_max: float = 60.0
    # A stream of this age ended normally, and a list of this age may be followed by another: the
    # next step is taken at once.
    healthy_stream_s: float = 10.0
    nonsense_events_max: int = 3
    silent_streams_max: int = 2
    refused_lists_max: int = 3
    failed_watch_lists_max: int = 2
    line_bytes_max: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ListStep:
    """Read everything. `resource_version` "" is a consistent read, else "not older than"."""

    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchStep:
    """Follow the changes after `resource_version`."""

    resource_version: str


Step: TypeAlias = ListStep | WatchStep


class Verdict(StrEnum):
    """What to do with a list that was read whole."""

    ACCEPTED = "accepted"
    # Older than what was seen: some server lives in the past. The cache stays.
    REFUSED = "refused"
    # Older again and again, and by consistent reads: the database was restored from a backup.
    # The present state is the truth, whatever was seen.
    RESET = "reset"


class Ladder:
    """Where one reflector stands. `position`: the newest version seen, 0 before the first list."""

    def __init__(self, settings: ReflectorSettings) -> None:
        self._settings = settings
        self._list_from: str | None = ""
        self._refused_lists = 0
        self._nonsense_events = 0
        self._silent_streams = 0
        self.position = 0

    def step(self) -> Step:
        """What to do now."""
        if self._list_from is not None:
            return ListStep(self._list_from)
        return WatchStep(str(self.position))

    def listed(self, step: ListStep, version: int) -> Verdict:
        """A list of that version was read whole."""
        if version < self.position:
            # Only the database's own word counts against the memory of this process.
            self._refused_lists += 0 if step.resource_version else 1
            self._list_from = ""
            if self._refused_lists < self._settings.refused_lists_max:
                return Verdict.REFUSED
        verdict = Verdict.ACCEPTED if version >= self.position else Verdict.RESET
        self.position = version
        self._list_from = None
        self._refused_lists = self._nonsense_events = self._silent_streams = 0
        return verdict

    def list_failed(self, error: BaseException) -> None:
        """A list ended in an error; what was read of it is dropped."""
        if isinstance(error, ExpiredError) or answers.is_version_too_large(error):
            self._list_from = ""

    def advanced(self, version: int) -> bool:
        """The stream reached a version. False if that was seen before: a repeated event."""
        self._silent_streams = 0
        if version <= self.position:
            return False
        self._nonsense_events = 0
        self.position = version
        return True

    def watch_failed(self, error: BaseException, *, is_in_stream: bool) -> None:
        """A watch was refused, or the server ended it with an error in the stream."""
        if isinstance(error, ExpiredError):
            self.relist()
        elif answers.is_version_too_large(error):
            self._list_from = ""
        elif is_in_stream or isinstance(error, PermanentError):
            self.made_no_sense()

    def made_no_sense(self) -> None:
        """An event could not be used. Resuming reads it again, which mends what was damaged on
        the way; a few in a row with no sound one between them, and the whole is read again."""
        self._nonsense_events += 1
        if self._nonsense_events >= self._settings.nonsense_events_max:
            self.relist()

    def fell_silent(self) -> None:
        """A stream said nothing for too long. One may have been cut unnoticed; when the next says
        nothing either, then this server may wait for a version that will never come."""
        self._silent_streams += 1
        if self._silent_streams >= self._settings.silent_streams_max:
            self.relist()

    def doubted(self) -> None:
        """The stream has left something out, so only the database's own word helps."""
        self.relist()
        self._list_from = ""

    def relist(self) -> None:
        """Only a new list helps."""
        self._nonsense_events = self._silent_streams = 0
        self._list_from = str(self.position) if self.position else ""


class Backoff:
    """Delays between failed attempts: doubled up to a limit, spread by chance, forgotten after
    a while of health. `now` is monotonic, `chance` in [0, 1)."""

    def __init__(self, settings: ReflectorSettings) -> None:
        self._settings = settings
        self._delay_s = settings.backoff_s_min
        self._last: float | None = None

    def reset(self) -> None:
        """A stream was healthy: what was before it counts no more."""
        self._last = None

    def after_progress(self, now: float, chance: float) -> float:
        """A stream that brought something and ended early: the shortest delay, no doubling."""
        self._last = now
        return self._spread(self._settings.backoff_s_min, chance)

    def after_failure(self, now: float, chance: float, wish_s: float | None) -> float:
        """The delay in seconds; never below the server's wish (itself bounded)."""
        settings = self._settings
        if self._last is None or now - self._last > settings.backoff_reset_s:
            self._delay_s = settings.backoff_s_min
        self._last = now
        wish_s = min(wish_s or 0.0, settings.retry_after_s_max)
        delay_s = self._delay_s
        self._delay_s = min(delay_s * 2, settings.backoff_s_max)
        return max(self._spread(delay_s, chance), wish_s)

    def _spread(self, delay_s: float, chance: float) -> float:
        return delay_s * (1 + self._settings.backoff_jitter * chance)
