"""The running manager: app, probes, metrics and signals around one connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial

from warmclaim.app import App, Outside
from warmclaim.app.election import LeaseElection
from warmclaim.cli.manageendpoints import Endpoints
from warmclaim.cli.managehistory import open_history
from warmclaim.cli.run import StopSignals, identity
from warmclaim.controllers.refill_gate import RefillGate
from warmclaim.kube.config import Connection
from warmclaim.kube.transport import HttpTransport, TransportSettings
from warmclaim.runtime.garbage import look_at_all, short_looks
from warmclaim.runtime.health import Probes
from warmclaim.runtime.watchdog import Heartbeat, StallWatchdog
from warmclaim.seams import Clock, SystemClock, SystemRng
from warmclaim.settings import ApiSettings, Settings
from warmclaim.telemetry.logs import LogHandler
from warmclaim.telemetry.observers import WebhookMetrics
from warmclaim.telemetry.tracing import NO_TRACE, Tracing, no_spans, otlp_exporter
from warmclaim.webhook.definitions import PATH
from warmclaim.webhook.keeper import WebhookKeeper
from warmclaim.webhook.server import ConversionServer

TRACES_CLOSE_S_MAX = 2.0
QUIET_WAIT_S_MAX = 600.0
QUIET_LOOK_S = 1.0


async def manage(
    settings: Settings,
    connection: Connection,
    namespace: str,
    domains: frozenset[str],
    logs: LogHandler,
    stop: StopSignals,
) -> bool:
    """Run the manager until `stop`; False if work was still under way after the time for that.

    `namespace` is that of the lease, `domains` those of labels that claims may ask for. Raises
    UsageError where an address or the history's folder cannot be had, and the error of a part that
    failed.
    """
    clock, rng = SystemClock(), SystemRng()
    transport = HttpTransport(connection, settings=_connections(settings.api))
    name, server = identity(rng), connection.server_url
    history = open_history(settings.history, name, clock, rng)
    rows = history.spool if history else None
    outside = Outside(transport, clock, rng, name, namespace, server, domains, rows)
    tracing = Tracing(otlp_exporter(), clock) if settings.serving.traces else None
    spans, trace = (tracing.spans, tracing) if tracing else (no_spans, NO_TRACE)
    app = App(settings, outside, spans=spans, trace=trace)
    if history is not None:
        history.attach(app)
    logs.on_drop = app.metrics.log_records_dropped.inc
    heartbeat = Heartbeat(clock, on_lag=app.metrics.loop_lag_s.observe)
    webhook = _webhook(settings, app, clock)
    probes = _probes(app, heartbeat, webhook)
    endpoints = Endpoints(settings.serving, app, probes, clock)
    await endpoints.start()
    app.manager.add("heartbeat", heartbeat.run)
    app.manager.add("garbage", partial(look_at_all, clock, _quiet(app, clock).turn))
    stop.install()
    try:
        with short_looks(), _watched(settings, app, heartbeat):
            return await _stopped(app, stop.requested, settings.serving.shutdown_s_max)
    finally:
        await endpoints.close()
        await transport.close()
        if history is not None:
            history.close()
        if tracing is not None:
            close_within(TRACES_CLOSE_S_MAX, tracing.close)


def _quiet(app: App, clock: Clock) -> RefillGate:
    return RefillGate(
        clock, app.is_serving_claims, wait_s_max=QUIET_WAIT_S_MAX, look_every_s=QUIET_LOOK_S
    )


def close_within(limit_s: float, close: Callable[[], object]) -> None:
    """Call `close`, but wait no longer than `limit_s`: a collector that does not answer must not
    hold up the stop. What is not done by then ends with the process."""
    closing = threading.Thread(target=close, name="close", daemon=True)
    closing.start()
    closing.join(limit_s)


def _connections(api: ApiSettings) -> TransportSettings:
    return TransportSettings(
        claim_connections_max=api.claim_connections_max,
        refill_connections_max=api.refill_connections_max,
        lease_connections_max=api.lease_connections_max,
    )


def _webhook(settings: Settings, app: App, clock: Clock) -> WebhookKeeper | None:
    if not settings.webhook.enabled:
        return None
    observer = WebhookMetrics(app.metrics.manager, PATH)
    server = ConversionServer(settings.webhook.port, observe=observer)
    domain = settings.sandboxes.cluster_domain
    keeper = WebhookKeeper(app.client, clock, settings.webhook, domain, server)
    app.manager.add("webhook", keeper.run)
    app.before_watching(keeper.wait_first)
    return keeper


def _probes(app: App, heartbeat: Heartbeat, webhook: WebhookKeeper | None) -> Probes:
    probes = Probes()
    probes.add_live("event loop", heartbeat.problem)
    for name, check in app.readiness().items():
        probes.add_ready(name, check)
    probes.add_notes("permission missing", app.permissions_missing)
    if isinstance(app.election, LeaseElection):
        elector = app.election.elector
        probes.add_ready("lease", lambda: elector.problem)
    if webhook is not None:
        probes.add_ready("webhook", webhook.problem)
    if app.seal_keeper is not None:
        probes.add_ready("seal", app.seal_keeper.problem)
        probes.add_notes("seal", app.seal_keeper.notes)
    return probes


@contextmanager
def _watched(settings: Settings, app: App, heartbeat: Heartbeat) -> Generator[None]:
    """End the process if its loop stalls while it leads, before another may take the Lease."""
    if not isinstance(app.election, LeaseElection):
        yield
        return
    elector = app.election.elector
    watchdog = StallWatchdog(
        heartbeat,
        limit_s=settings.lease.renew_deadline_s,
        is_armed=lambda: elector.is_working,
    )
    watchdog.start()
    try:
        yield
    finally:
        watchdog.stop()


async def _stopped(app: App, requested: asyncio.Event, stop_s_max: float) -> bool:
    """Run `app`; whether it ended by itself within `stop_s_max` after the request."""
    running = asyncio.create_task(app.run(requested), name="manager")
    asked = asyncio.create_task(requested.wait(), name="stop requested")
    try:
        await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await asyncio.wait({running}, timeout=stop_s_max)
    finally:
        asked.cancel()
    if not running.done():
        return False
    try:
        running.result()
    except TimeoutError:
        # The manager's own limit for the work under way.
        if requested.is_set():
            return False
        raise
    return True
