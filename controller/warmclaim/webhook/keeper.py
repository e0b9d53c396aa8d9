"""Keeps the webhook serving, on every replica: certificates, CRDs, the listening socket."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from warmclaim.errors import ApiError, CertificateError, UsageError, WarmclaimError
from warmclaim.kube.client import ApiClient
from warmclaim.runtime.serving_tls import Pair, read_pair
from warmclaim.seams import Clock
from warmclaim.settings import WebhookSettings
from warmclaim.webhook.definitions import Definitions
from warmclaim.webhook.pair import AUTHORITIES, SECRET_NAME, Data, pair_of
from warmclaim.webhook.server import CertificateFiles, ConversionServer

CHECK_S: Final = 300.0
"""How often Secret and CRDs are looked at: half of what a renewal is announced ahead."""

FILES_CHECK_S: Final = 10.0
RETRY_BASE_S, RETRY_CAP_S = 1.0, 60.0

FIRST_S_MAX: Final = 10.0
"""Watches wait that long for the webhook: the first list of older objects needs it."""

_COMBINED: Final = "cert.pem"

_log = logging.getLogger(__name__)


class WebhookKeeper:
    """One background part. Nothing is served while no CRD asks for a conversion."""

    def __init__(
        self,
        client: ApiClient,
        clock: Clock,
        settings: WebhookSettings,
        cluster_domain: str,
        server: ConversionServer,
    ) -> None:
        self._client = client
        self._clock = clock
        self._settings = settings
        self._server = server
        self._definitions = Definitions(client, settings)
        service = f"{settings.service_name}.{settings.namespace}.svc"
        self._names = (service, f"{service}.{cluster_domain}")
        self._files = CertificateFiles(Path(settings.cert_dir))
        self._served: object = None
        self._first = asyncio.Event()
        self._problem: str | None = "not looked at yet"

    def problem(self) -> str | None:
        """Why older objects may not be readable; None when all is well. For readiness."""
        return self._problem

    async def wait_first(self) -> None:
        """Return when the webhook is served, or need not be, or after `FIRST_S_MAX`."""
        waiting = asyncio.create_task(self._first.wait(), name="webhook first")
        limit = asyncio.create_task(self._clock.sleep(FIRST_S_MAX), name="webhook limit")
        try:
            await asyncio.wait({waiting, limit}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            limit.cancel()

    async def run(self) -> None:
        """Serve until cancelled. Raises UsageError for a port or a folder that cannot be had."""
        delay_s = RETRY_BASE_S
        try:
            while True:
                try:
                    again_s = await self._look()
                except UsageError:
                    raise
                except (WarmclaimError, OSError, ssl.SSLError) as error:
                    self._failed(error)
                    again_s, delay_s = delay_s, min(delay_s * 2, RETRY_CAP_S)
                else:
                    self._problem, delay_s = None, RETRY_BASE_S
                    self._first.set()
                await self._clock.sleep(again_s)
        finally:
            await self._server.close()

    async def _look(self) -> float:
        """One look at everything; seconds until the next."""
        if not self._settings.manages_certs:
            self._use_given_files()
            await self._server.start()
            return FILES_CHECK_S
        asking = await self._definitions.asking()
        if not asking:
            return CHECK_S
        data = await self._certificate()
        pair = pair_of(data)
        if pair != self._served:
            self._use(pair)
        await self._server.start()
        # Told only after it can be served: from then on API servers come.
        if changed := await self._definitions.tell(asking, data[AUTHORITIES]):
            _log.info("webhook told to CRDs", extra={"definitions": changed})
        return CHECK_S

    async def _certificate(self) -> Data:
        # Here, for its price: 10 MiB of memory that only a cluster with older objects needs.
        from warmclaim.webhook.secret import CertificateSecret

        namespace = self._settings.namespace
        return await CertificateSecret(self._client, self._clock, namespace, self._names).current()

    def _use(self, pair: Pair) -> None:
        self._files.write(pair)
        self._server.use(pair)
        self._served = pair

    def _use_given_files(self) -> None:
        """Take what is there, if it may be served; else the one before stays."""
        from warmclaim.runtime.certificates import why_unusable  # here, for its price

        folder = Path(self._settings.cert_dir)
        certificate, key = folder / self._settings.cert_name, folder / self._settings.key_name
        if not certificate.exists() and (folder / _COMBINED).exists():
            certificate = key = folder / _COMBINED
        pair = read_pair(certificate, key)
        if why := why_unusable(pair, self._names[:1], self._clock.wall()):
            self._server.refused()
            raise CertificateError(f"--webhook-cert-dir: {certificate.name}: {why}")
        if pair != self._served:
            self._server.use(pair)
            self._served = pair

    def _failed(self, error: Exception) -> None:
        self._problem = _said(error, self._settings)
        _log.warning("conversion webhook: %s", self._problem)


def _said(error: Exception, settings: WebhookSettings) -> str:
    """One line; for a refusal the server's own words name the verb and the resource."""
    if isinstance(error, ApiError) and error.status == 403:
        where = f"Secret {settings.namespace}/{SECRET_NAME}"
        return f"{error}; it needs the CRDs and {where}, or --enable-webhook=false"
    if isinstance(error, OSError) and not settings.manages_certs:
        return f"--webhook-cert-dir: {error.strerror or error}: {error.filename or ''}".rstrip(": ")
    return str(error)
