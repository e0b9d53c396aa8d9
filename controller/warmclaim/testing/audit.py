"""Which requests a server got: counted for ever, the last ones kept."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class AuditEntry(NamedTuple):
    """One request, in the words of a Kubernetes audit log.

    `verb` is get, list, watch, create, update, patch, delete or deletecollection; for a path that
    names no resource it is the HTTP method in lower case and `resource` is "".
    """

    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    user_agent: str
    code: int

    @property
    def is_write(self) -> bool:
        return self.verb in WRITES


class RequestLog:
    """Counts of all requests, and the last `kept_max` of them.

    log.count(verb="list", resource="pods")      # any subset of the fields of an entry
    """

    def __init__(self, *, kept_max: int = 10_000) -> None:
        self.last: deque[AuditEntry] = deque(maxlen=kept_max)
        self.observers: list[Callable[[AuditEntry], None]] = []
        self._counts: Counter[tuple[str, str, str, str, int]] = Counter()

    def record(self, entry: AuditEntry) -> None:
        self.last.append(entry)
        key = (entry.verb, entry.resource, entry.subresource, entry.user_agent, entry.code)
        self._counts[key] += 1
        for observe in self.observers:
            observe(entry)

    def count(
        self,
        *,
        verb: str | None = None,
        resource: str | None = None,
        subresource: str | None = None,
        user_agent: str | None = None,
        code: int | None = None,
    ) -> int:
        """Requests so far that have these values; None is any. Cost: O(distinct combinations)."""
        wanted = (verb, resource, subresource, user_agent, code)
        return sum(
            number
            for key, number in self._counts.items()
            if all(want is None or want == have for want, have in zip(wanted, key, strict=True))
        )

    def writes(self, *, user_agent: str | None = None) -> int:
        """Requests so far that ask for a change, successful or not."""
        return sum(
            number
            for key, number in self._counts.items()
            if key[0] in WRITES and user_agent in (None, key[3])
        )

    def clear(self) -> None:
        self.last.clear()
        self._counts.clear()
