"""S5 and S11: a write stays in the namespace of whom it is for.

Of every write of a manager but the Lease's: the namespace in the body is that of the path, and so
is that of every object whose uid the body names (owner, claim, pool, sandbox: S5). What is sent in
a pass over a key is for that key, and goes to no other namespace (S11).
"""

from __future__ import annotations

import re
from typing import Final

from warmclaim.api.lease import LEASE
from warmclaim.testing.sim.wire import Exchange, Report
from warmclaim.testing.store import Commit, Verb

_UID: Final = re.compile(rb'"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"')
_LEASES: Final = str(LEASE)


class Borders:
    """Hears of writes, and observes the store."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._homes: dict[str, str] = {}

    def on_commit(self, commit: Commit) -> None:
        """Remember where each uid lives."""
        if commit.verb is Verb.ADDED:
            metadata = commit.object["metadata"]
            self._homes[metadata["uid"]] = metadata.get("namespace", "")

    def sent(self, exchange: Exchange) -> None:
        """Hold the namespaces of a write against each other."""
        place, body, work = exchange.place, exchange.request.body, exchange.work
        if place.resource == _LEASES:
            return
        if work is not None and work.namespace != place.namespace:
            text = f"{exchange}: sent for {work.controller} {work.namespace}/{work.name}"
            self._report("S11", text)
        if body is None:
            return
        for uid in _UID.findall(body):
            home = self._homes.get(uid.decode(), place.namespace)
            if home != place.namespace:
                self._report("S5", f"{exchange}: names {uid.decode()}, which lives in {home!r}")
        if exchange.request.method in ("POST", "PUT"):
            named = exchange.object.metadata.namespace
            if named != place.namespace:
                self._report("S5", f"{exchange}: the body says namespace {named!r}")
