"""What happened, in order: a hash over all of it, and the last lines in words."""

from __future__ import annotations

from collections import Counter, deque
from hashlib import blake2b

from warmclaim.seams import Clock
from warmclaim.testing.store import Commit

KEPT_LINES = 400


class Attribution:
    """Who is writing just now. Commits are synchronous, so one word is enough."""

    def __init__(self) -> None:
        self.who = WORLD


WORLD = "world"
"""The kubelet, the scheduler, the garbage collector."""


LATE = "~late"
"""Ends the name of a sender whose request landed when its answer was no longer awaited."""


def is_manager(who: str) -> bool:
    """Managers are m0 and m1; nobody else's name begins so."""
    return who[:1] == "m"


class Trace:
    """Takes in every request of a manager and every commit, each with its time."""

    def __init__(self, clock: Clock, attribution: Attribution, *, has_words: bool = False) -> None:
        self._clock = clock
        self._attribution = attribution
        self._hash = blake2b(digest_size=16)
        self._has_words = has_words
        self.lines: deque[str] = deque(maxlen=None if has_words else KEPT_LINES)
        self.commits: Counter[str] = Counter()
        self.manager_writes: Counter[str] = Counter()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def on_commit(self, commit: Commit) -> None:
        """For the store's observers."""
        who = self._attribution.who
        self.commits[commit.resource] += 1
        self._hash.update(commit.encoded)
        self._add(f"{who} {commit.verb} {commit.resource} {commit.key} rv={commit.rv}")

    def on_request(self, key: str, what: str) -> None:
        """A manager's request had that end."""
        self._add(f"{key} -> {what}")

    def on_write(self, path: str) -> None:
        """A manager asked for a change of a lease, an Event, or anything else ("state")."""
        is_lease, is_event = "/leases" in path, "/events" in path
        self.manager_writes["lease" if is_lease else "event" if is_event else "state"] += 1

    def say(self, text: str) -> None:
        """Any other event."""
        self._add(text)

    def _add(self, text: str) -> None:
        line = f"{self._clock.monotonic():.6f} {text}"
        self._hash.update(line.encode())
        self.lines.append(line)
