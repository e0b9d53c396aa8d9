"""The running manager: app, probes, metrics and signals around one connection."""

from __future__ import annotations

import asyncio
import logging
import os

from warmclaim.app import App, Outside
from warmclaim.cli.run import StopSignals, identity, lease_namespace
from warmclaim.kube.config import load_connection
from warmclaim.kube.transport import HttpTransport, TransportSettings
from warmclaim.runtime.health import Probes, Serving
from warmclaim.runtime.watchdog import Heartbeat
from warmclaim.seams import SystemClock, SystemRng
from warmclaim.settings import ApiSettings, Settings
from warmclaim.telemetry.exposition import exposition
from warmclaim.telemetry.logs import LogHandler

_log = logging.getLogger(__name__)


async def manage(settings: Settings, logs: LogHandler, stop: StopSignals) -> bool:
    """Run the manager until `stop`; False if work was still under way after the time for that.

    Raises UsageError where the cluster or an address cannot be had, and the error of a part that
    failed.
    """
    clock, rng = SystemClock(), SystemRng()
    namespace = lease_namespace(settings, os.environ)
    connection = load_connection(settings.api.kubeconfig, environ=os.environ, clock=clock)
    transport = HttpTransport(connection, settings=_connections(settings.api))
    outside = Outside(transport, clock, rng, identity(rng), namespace, connection.server_url)
    app = App(settings, outside)
    logs.on_drop = app.metrics.log_records_dropped.inc
    heartbeat = Heartbeat(clock, on_lag=app.metrics.loop_lag_s.observe)
    serving = _serving(settings, app, heartbeat)
    await serving.start()
    app.manager.add("heartbeat", heartbeat.run)
    app.manager.add("serving", serving.run)
    stop.install()
    try:
        return await _stopped(app, stop.requested, settings.serving.shutdown_s_max)
    finally:
        await serving.close()
        await transport.close()


def _connections(api: ApiSettings) -> TransportSettings:
    return TransportSettings(
        claim_connections_max=api.claim_connections_max,
        refill_connections_max=api.refill_connections_max,
        lease_connections_max=api.lease_connections_max,
    )


def _serving(settings: Settings, app: App, heartbeat: Heartbeat) -> Serving:
    probes = Probes()
    probes.add_live("event loop", heartbeat.problem)
    probes.add_ready("caches", app.not_ready)
    return Serving(settings.serving, probes, lambda: exposition(app.metrics.registry))


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
