"""The running manager's own endpoints: what they answer, to whom, and with which certificate."""

from __future__ import annotations

import platform
import ssl
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warmclaim.app import App
from warmclaim.errors import UsageError
from warmclaim.kube.reviews import Reviews
from warmclaim.runtime.diagnostics import Diagnostics, Report
from warmclaim.runtime.guard import Guard, loopback_only
from warmclaim.runtime.health import Probes, Serving
from warmclaim.runtime.reports import Reports
from warmclaim.runtime.serving_tls import Pair, read_pair
from warmclaim.runtime.task_report import TaskLooks
from warmclaim.seams import Clock
from warmclaim.settings import TLS_VERSIONS, ServingSettings
from warmclaim.telemetry.exposition import exposition

if TYPE_CHECKING:
    from warmclaim.runtime.certificate_keeper import CertificateKeeper

RENEW_SHARE: Final = 1 / 3
"""An own certificate is made anew with that much of its time left."""


class Endpoints:
    """Probes, metrics and diagnostics. They listen from `start` to `close`; their background parts
    are `app`'s."""

    def __init__(self, settings: ServingSettings, app: App, probes: Probes, clock: Clock) -> None:
        is_secure = settings.metrics_secure or settings.diagnostics_secure
        self._certificate = _certificate(settings, app, clock) if is_secure else None
        guard = Guard(Reviews(app.client, settings.token_audiences), clock) if is_secure else None
        admit = guard.admit if guard else None
        tls = self._certificate.context if self._certificate else None
        registry = app.metrics.registry
        self._serving = Serving(
            settings,
            probes,
            lambda: exposition(registry),
            app.diagnose,
            admit=admit if settings.metrics_secure else None,
            tls=tls if settings.metrics_secure else None,
        )
        self._diagnostics = Diagnostics(
            settings.diagnostics_address,
            app.snapshots.take,
            clock,
            reports=_reports(app, guard, clock) if settings.profiles else None,
            admit=admit if admit and settings.diagnostics_secure else loopback_only,
            tls=tls if settings.diagnostics_secure else None,
        )
        if self._certificate is not None:
            probes.add_notes("certificate", self._certificate.notes)
            app.manager.add("endpoint certificate", self._certificate.run)
        app.manager.add("serving", self._serving.run)

    async def start(self) -> None:
        """Listen. Raises UsageError, which names the flag, for an address or a certificate that
        cannot be had."""
        if self._certificate is not None:
            self._certificate.start()
        await self._serving.start()
        try:
            await self._diagnostics.start()
        except UsageError:
            await self._serving.close()
            raise

    async def close(self) -> None:
        """Stop listening and end what is open. May be called twice."""
        await self._diagnostics.close()
        await self._serving.close()


def _reports(app: App, guard: Guard | None, clock: Clock) -> Mapping[str, Report]:
    looks = TaskLooks(clock)
    app.manager.add("task looks", looks.run)

    def kept() -> dict[str, int]:
        caches = {
            f"cached {name}": len(informer.store) for name, informer in app.caches.informers.items()
        }
        return {**caches, **app.remembered(), "rulings": guard.remembered if guard else 0}

    return Reports(looks, kept).by_path()


def _certificate(settings: ServingSettings, app: App, clock: Clock) -> CertificateKeeper:
    # Here, for its price: 10 MiB of memory that only who serves TLS should pay.
    from warmclaim.runtime.certificate_keeper import CertificateKeeper

    folder = Path(settings.metrics_cert_dir)
    given = partial(
        read_pair, folder / settings.metrics_cert_name, folder / settings.metrics_cert_key
    )
    metrics = app.metrics.manager

    def read(is_good: bool) -> None:
        metrics.certificate_reads.inc()
        if not is_good:
            metrics.certificate_read_errors.inc()

    return CertificateKeeper(
        f"--metrics-cert-path {folder}" if settings.metrics_cert_dir else "own certificate",
        given if settings.metrics_cert_dir else OwnCertificate(clock),
        clock,
        names=settings.metrics_cert_hosts,
        least=ssl.TLSVersion[TLS_VERSIONS[settings.tls_min_version]],
        on_read=read,
    )


class OwnCertificate:
    """One that nobody vouches for, in memory alone: encrypted is all that a connection is by it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pair: Pair | None = None

    def __call__(self) -> Pair:
        """The pair, made anew in time."""
        from warmclaim.runtime.certificates import span_of
        from warmclaim.webhook.certificates import issue

        now_s = self._clock.wall()
        if self._pair is None or span_of(self._pair.certificate).left_share(now_s) < RENEW_SHARE:
            self._pair = issue((platform.node() or "localhost", "localhost"), now_s=now_s).pair
        return self._pair
