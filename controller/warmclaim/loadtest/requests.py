"""Requests of a run by verb and resource, from the API server's audit log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from warmclaim.errors import UsageError
from warmclaim.loadtest.audit_log import AuditEvent, AuditLog
from warmclaim.loadtest.wire import USER_AGENT

SETTLE_S = 1.0
"""An event follows the answer to its client by some milliseconds."""

Span = tuple[float, float]
"""Beginning and end, POSIX times."""


class Audit:
    """The audit log of an API server on this machine, from now on."""

    def __init__(self, path: Path, user: str) -> None:
        """Only requests of `user` are counted; with none those of everybody but the load generator
        and Kubernetes itself. Raises UsageError for a file that cannot be read."""
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise UsageError(f"--audit-log {path}: {error.strerror}") from None
        self._log = AuditLog(path)
        self._user = user
        self._since = self._log.mark()

    async def counted(self, namespace: str, spans: Sequence[Span]) -> list[Counter[str]]:
        """For each span what was asked in it, about this namespace or about none. Reads the log
        from the start of the run: some 20 us for each request in it.

        Raises UsageError for what is no audit log.
        """
        await asyncio.sleep(SETTLE_S)
        try:
            events = [one for one in self._log.events(self._since) if self._counts(one, namespace)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problem = f"no audit log of level Metadata or more in JSON lines ({error!r})"
            raise UsageError(f"--audit-log {self._log.path}: {problem}") from None
        return [by_kind(events, span) for span in spans]

    def _counts(self, event: AuditEvent, namespace: str) -> bool:
        if event.namespace not in ("", namespace) or event.stage != "ResponseComplete":
            return False
        if self._user:
            return event.user == self._user
        return not _is_machinery(event.user) and not event.user_agent.startswith(USER_AGENT)


def _is_machinery(user: str) -> bool:
    """Whether this is Kubernetes itself, and no workload's account."""
    if user.startswith("system:serviceaccount:"):
        return user.startswith("system:serviceaccount:kube-system:")
    return user.startswith("system:")


def by_kind(events: Iterable[AuditEvent], span: Span) -> Counter[str]:
    """Requests received in the span by verb and resource, refused ones included."""
    begun_s, ended_s = span
    return Counter(kind_of(one) for one in events if begun_s <= one.received_s < ended_s)


def kind_of(event: AuditEvent) -> str:
    """Verb and resource of a request, such as `patch sandboxclaims/status`."""
    parts = (event.resource, event.subresource)
    return f"{event.verb} {'/'.join(part for part in parts if part)}".strip()
