"""The Lease as the manager's elector: term after term, with warm caches in between."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from warmclaim.api.meta import ObjectKey
from warmclaim.app.outside import Outside
from warmclaim.errors import WarmclaimError
from warmclaim.kube.client import ApiClient
from warmclaim.kube.lease import LeaderElector, LeadershipLost, LeaseTiming, lease_name
from warmclaim.settings import Settings
from warmclaim.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)


class LeaseElection:
    """Leads whenever the Lease can be had; a lost term is followed by the next candidacy."""

    def __init__(
        self, client: ApiClient, outside: Outside, settings: Settings, metrics: Metrics
    ) -> None:
        name = lease_name(settings.controllers)
        leading = metrics.manager.leading.of(name)
        leading.set(0)
        lease = settings.lease
        self.elector = LeaderElector(
            client,
            clock=outside.clock,
            rng=outside.rng,
            key=ObjectKey(outside.namespace, name),
            identity=outside.identity,
            timing=LeaseTiming(lease.duration_s, lease.renew_deadline_s, lease.retry_period_s),
            on_change=lambda is_leading: leading.set(float(is_leading)),
            on_slow_path=metrics.manager.leader_slow_paths.of(name).inc,
        )
        metrics.lease_margin_s.read_from(lambda: [((name,), self.elector.deadline_left_s)])

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` in each term; returns or raises when `work` itself does.

        A term lost to a fault of ours in the renewals ends the process (C7): standing by with it
        would hide it.
        """
        while True:
            try:
                return await self.elector.run(work)
            except LeadershipLost as error:
                if error.__cause__ and not isinstance(error.__cause__, WarmclaimError):
                    raise
                _log.warning("leadership lost, standing by: %s", error)

    async def release(self) -> None:
        """Let a standby take over at once."""
        await self.elector.release()
