"""What the API server was asked, by whom and when: reader of its audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast


@dataclass(frozen=True)
class AuditEvent:
    """One request, or the start of a watch (`stage` tells: a watch has two events)."""

    audit_id: str
    stage: str
    """`ResponseComplete`, `ResponseStarted` (long-running requests only) or `Panic`."""
    user: str
    user_agent: str
    verb: str
    """get list watch create update patch delete deletecollection; else the HTTP method."""
    uri: str
    """Path and query, as sent."""
    api_group: str
    resource: str
    """Plural; empty for a request that is not about a resource."""
    subresource: str
    namespace: str
    name: str
    """Empty for collections, and for a create with generateName."""
    code: int
    """HTTP status of the answer; 0 when there was none."""
    received_s: float
    """When the request had been read, as a POSIX time."""
    staged_s: float
    """When this stage was reached, as a POSIX time; less `received_s` it is the latency."""

    @property
    def is_write(self) -> bool:
        """Whether the request was to change something; refused ones count too."""
        return self.verb in {"create", "update", "patch", "delete", "deletecollection"}


class AuditLog:
    """Reader of the log while it is written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mark(self) -> int:
        """Position (bytes) from which `events` reads what comes after now."""
        return self.path.stat().st_size if self.path.exists() else 0

    def events(self, since: int = 0) -> Iterator[AuditEvent]:
        """All events from a mark on, in the order of their stages' ends.

        A line still being written is left for the next call. An event follows the answer to its
        client by some milliseconds.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as log:
            log.seek(since)
            for line in log:
                if line.endswith(b"\n"):
                    yield _event(cast("dict[str, Any]", json.loads(line)))


def _event(line: dict[str, Any]) -> AuditEvent:
    about = cast("dict[str, str]", line.get("objectRef") or {})
    status = cast("dict[str, Any]", line.get("responseStatus") or {})
    return AuditEvent(
        audit_id=line["auditID"],
        stage=line["stage"],
        user=line["user"].get("username", ""),
        user_agent=line.get("userAgent", ""),
        verb=line["verb"],
        uri=line["requestURI"],
        api_group=about.get("apiGroup", ""),
        resource=about.get("resource", ""),
        subresource=about.get("subresource", ""),
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        code=status.get("code", 0),
        received_s=datetime.fromisoformat(line["requestReceivedTimestamp"]).timestamp(),
        staged_s=datetime.fromisoformat(line["stageTimestamp"]).timestamp(),
    )
