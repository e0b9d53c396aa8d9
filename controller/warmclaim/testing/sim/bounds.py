"""L8: what a manager keeps is bounded by the objects that live.

Looked at when all is quiet: whatever was under way has ended by then, so each memory of single
objects holds at most the living ones of its kind, and the tasks are those that always run. Series
of events alone outlive a term: a standby tells of nothing and sweeps none, but begins none either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from warmclaim.api.resources import CLAIM, NETWORK_POLICY, POOL, SANDBOX, TEMPLATE, Resource
from warmclaim.app import App
from warmclaim.app.build import MARKS_WORKERS
from warmclaim.app.election import LeaseElection
from warmclaim.testing.sim.wire import Report
from warmclaim.testing.store import ObjectStore

TASKS_OF_A_WATCH: Final = 4
TASKS_OF_AN_APP: Final = 24
"""Leading, renewing, fencing, telling of events, looking for the end of an outage, and the like."""

_SERIES: Final = "event series"

# By what keeps it: of which kinds the living objects bound it. What a manager that lost its
# leadership does not know of a reservation, it keeps with the sandbox until it leads again, also
# where the claim is gone: it may send nothing, so it cannot read it back.
_KINDS: Final[Mapping[str, tuple[Resource[object], ...]]] = {
    "claim records": (CLAIM, SANDBOX),
    "claim journal": (CLAIM,),
    "waiting claims": (CLAIM,),
    "cold starts in line": (CLAIM,),
    "warm sandboxes": (SANDBOX,),
    "unsealed members": (SANDBOX,),
    "pool memories": (POOL,),
    "pool members": (SANDBOX,),
    "pools caught up": (POOL,),
    "blueprints": (TEMPLATE,),
    "sandbox memories": (SANDBOX,),
    _SERIES: (CLAIM, POOL, SANDBOX),
    "sandboxclaim keys": (CLAIM, SANDBOX),
    "sandboxclaim back-offs": (CLAIM,),
    "claim-marks keys": (CLAIM,),
    "claim-marks back-offs": (CLAIM,),
    "sandboxwarmpool keys": (POOL,),
    "sandboxwarmpool back-offs": (POOL,),
    "sandbox keys": (SANDBOX,),
    "sandbox back-offs": (SANDBOX,),
    "sandboxtemplate keys": (TEMPLATE,),
    "sandboxtemplate back-offs": (TEMPLATE,),
    "legacy-networkpolicy keys": (NETWORK_POLICY,),
    "legacy-networkpolicy back-offs": (NETWORK_POLICY,),
}


def over_bounds(remembered: Mapping[str, int], store: ObjectStore) -> list[str]:
    """Each memory that holds more than lives. O(objects)."""
    live = {
        str(resource): sum(1 for _ in store.scan(str(resource)))
        for resource in (CLAIM, NETWORK_POLICY, POOL, SANDBOX, TEMPLATE)
    }
    return [
        f"{kept} {name}, {bound} objects live"
        for name, kept in remembered.items()
        if kept > (bound := sum(live[str(resource)] for resource in _KINDS[name]))
    ]


def production_tasks(tasks: Iterable[asyncio.Task[object]]) -> list[str]:
    """Names of the tasks that run the manager's code, not that of the world around it."""
    return sorted(task.get_name() for task in tasks if _is_production(task))


def tasks_max(app: App) -> int:
    """How many of them one manager may have when all is quiet."""
    settings = app.settings
    workers = settings.claims.workers + settings.pools.workers + settings.sandboxes.workers
    workers += 2 * settings.templates.workers + MARKS_WORKERS
    return workers + TASKS_OF_A_WATCH * len(app.caches.informers) + TASKS_OF_AN_APP


class Bounds:
    """Looks at the managers of a run."""

    def __init__(self, store: ObjectStore, report: Report) -> None:
        self._store = store
        self._report = report

    def look_back(self, apps: Iterable[App]) -> None:
        """When all is quiet, all of them together."""
        limit = 0
        for app in apps:
            limit += tasks_max(app)
            kept = {k: n for k, n in app.remembered().items() if k != _SERIES or _is_leading(app)}
            for text in over_bounds(kept, self._store):
                self._report("L8", text)
        names = production_tasks(asyncio.all_tasks())
        if len(names) > limit:
            self._report("L8", f"{len(names)} tasks, {limit} allowed: {', '.join(names)[:500]}")


def _is_leading(app: App) -> bool:
    return not isinstance(app.election, LeaseElection) or app.election.elector.is_working


def _is_production(task: asyncio.Task[object]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    path = str(getattr(code, "co_filename", "")).replace("\\", "/")
    return "/warmclaim/" in path and "/warmclaim/testing/" not in path
