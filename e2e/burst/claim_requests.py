"""What the API server was asked on a claim's way to Ready, from its audit log. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from warmclaim.loadtest.audit_log import AuditEvent
from warmclaim.loadtest.objects import CLAIMS, SANDBOXES
from warmclaim.loadtest.requests import kind_of

WRITES_WANTED = 2
_CREATE = "create"


@dataclass(frozen=True, slots=True)
class Handed:
    """A claim that became Ready, as its watcher saw it."""

    claim: str
    sandbox: str
    versions_to_ready: int
    """Writes that changed the stored claim up to the one that made it Ready."""


@dataclass(slots=True)
class ClaimPath:
    """The controller's requests that name a claim or its sandbox, from the claim's creation to
    its Ready. Refused requests count as well."""

    claim: str
    requests: list[AuditEvent] = field(default_factory=list[AuditEvent])
    is_complete: bool = False
    """Whether both ends are in the log."""

    @property
    def writes(self) -> int:
        """Requests that were to change something."""
        return sum(one.is_write for one in self.requests)

    @property
    def reads(self) -> int:
        """All others."""
        return len(self.requests) - self.writes

    def __str__(self) -> str:
        told = ", ".join(f"{kind_of(one)} {one.name} -> {one.code}" for one in self.requests)
        return f"claim {self.claim}: {self.writes} writes, {self.reads} reads: {told}"


def claim_paths(
    events: Sequence[AuditEvent], handed: Iterable[Handed], user: str
) -> list[ClaimPath]:
    """One path per claim. `events` are of one namespace and of all users, `user` the
    controller's.

    The log has no bodies, so the write that made a claim Ready is found by number: the watch
    says how many writes it took.
    """
    named: defaultdict[tuple[str, str], list[AuditEvent]] = defaultdict(list)
    for event in sorted(events, key=lambda one: one.received_s):
        if event.name and event.stage == "ResponseComplete":
            named[event.resource, event.name].append(event)
    return [_path(one, named, user) for one in handed]


def _path(
    handed: Handed, named: Mapping[tuple[str, str], list[AuditEvent]], user: str
) -> ClaimPath:
    path = ClaimPath(handed.claim)
    about = named.get((CLAIMS, handed.claim), [])
    created = next((one for one in about if one.verb == _CREATE and one.code < 300), None)
    changes = [one for one in about if _is_change(one)]
    if created is None or not 0 < handed.versions_to_ready <= len(changes):
        return path
    path.is_complete = True
    ready_s = changes[handed.versions_to_ready - 1].staged_s
    path.requests = [
        one
        for one in (*about, *named.get((SANDBOXES, handed.sandbox), []))
        if one.user == user and created.received_s <= one.received_s <= ready_s
    ]
    return path


def _is_change(event: AuditEvent) -> bool:
    return event.is_write and event.verb != _CREATE and event.code < 300


def problems(paths: Iterable[ClaimPath]) -> Iterator[str]:
    """What speaks against "exactly two writes and no read"."""
    for path in paths:
        if not path.is_complete:
            yield f"claim {path.claim}: its creation or its Ready is not in the audit log"
        elif (path.writes, path.reads) != (WRITES_WANTED, 0):
            yield str(path)


def lists(events: Iterable[AuditEvent], user: str) -> Iterator[str]:
    """LISTs of this user; a watch is none."""
    for event in events:
        if event.user == user and event.verb == "list":
            yield f"{event.uri} -> {event.code}"


def writes_by_kind(events: Iterable[AuditEvent], user: str) -> Counter[str]:
    """The user's writes, refused ones included, by verb and resource."""
    return Counter(kind_of(one) for one in events if one.user == user and one.is_write)


def refused_by_kind(events: Iterable[AuditEvent], user: str) -> Counter[str]:
    """The user's requests that got an error, by verb, resource and code."""
    return Counter(
        f"{kind_of(one)} {one.code}" for one in events if one.user == user and one.code >= 400
    )
