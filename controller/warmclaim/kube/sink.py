"""What a reflector reports to, and what it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from warmclaim.api.meta import Object, ObjectKey

T_contra = TypeVar("T_contra", bound=Object, contravariant=True)


class ReflectorSink(Protocol[T_contra]):
    """Where a reflector reports. Calls are synchronous and in the server's order."""

    def replace(
        self,
        items: Sequence[T_contra],
        resource_version: str,
        *,
        unreadable: Sequence[ObjectKey],
        is_reset: bool,
    ) -> None:
        """This is everything there was at that version. `unreadable` objects exist, but their
        content is not known. `is_reset`: versions went back; what was known is void."""
        ...

    def put(self, obj: T_contra) -> None:
        """An object came or changed."""
        ...

    def gone(self, key: ObjectKey, uid: str, version: int) -> None:
        """An object was deleted at that version."""
        ...

    def bookmark(self, resource_version: str) -> None:
        """All changes up to that version were reported."""
        ...


@dataclass(slots=True)
class ReflectorStats:
    """What happened so far, in times."""

    lists: int = 0
    watches: int = 0
    torn_lines: int = 0
    skipped_objects: int = 0
    nonsense_events: int = 0
    repeated_events: int = 0
    long_lines: int = 0
    silent_streams: int = 0
    refused_lists: int = 0
    resets: int = 0
    doubts: int = 0
    failures: int = 0
