"""The CRDs that ask for a conversion, and what they must say about where it is served."""

from __future__ import annotations

from base64 import b64encode
from typing import Final

import msgspec

from warmclaim.api.crd import ClientConfig, CustomResource, ServiceReference, Webhook
from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import EXTENSIONS_GROUP, SANDBOX_GROUP
from warmclaim.api.resources import CUSTOM_RESOURCE
from warmclaim.errors import NotFoundError
from warmclaim.kube.client import ApiClient
from warmclaim.seams import Channel
from warmclaim.settings import WebhookSettings

CORE_DEFINITIONS: Final = (f"sandboxes.{SANDBOX_GROUP}",)
EXTENSION_DEFINITIONS: Final = tuple(
    f"{plural}.{EXTENSIONS_GROUP}"
    for plural in ("sandboxclaims", "sandboxtemplates", "sandboxwarmpools")
)
PATH: Final = "/convert"
_PATH_OF_CONFIG: Final = "/spec/conversion/webhook/clientConfig"


class Definitions:
    """Reads them and tells them the webhook's authorities. A definition is 0.4 MB to read."""

    def __init__(self, client: ApiClient, settings: WebhookSettings) -> None:
        self._client = client
        self._settings = settings

    async def asking(self) -> list[CustomResource]:
        """Those that exist and are converted by a webhook. Raises what the API server said."""
        found = [await self._read(name) for name in CORE_DEFINITIONS + EXTENSION_DEFINITIONS]
        return [crd for crd in found if crd and crd.spec.conversion.strategy == "Webhook"]

    async def tell(self, asking: list[CustomResource], authorities: bytes) -> int:
        """Have each trust these authorities (PEM); how many had to be changed.

        Raises ConflictError where somebody else changed one at the same time.
        """
        changes = [(crd, self._changes(crd, authorities)) for crd in asking]
        differing = [(crd, operations) for crd, operations in changes if operations]
        for crd, operations in differing:
            await self._client.json_patch(
                CUSTOM_RESOURCE, crd.metadata.key, operations, channel=Channel.REFILL
            )
        return len(differing)

    async def _read(self, name: str) -> CustomResource | None:
        try:
            return await self._client.get(
                CUSTOM_RESOURCE, ObjectKey("", name), channel=Channel.REFILL
            )
        except NotFoundError:
            return None

    def _client_config(self, webhook: Webhook | None, authorities: bytes) -> ClientConfig:
        found = webhook.client_config.service if webhook and webhook.client_config else None
        service = ServiceReference(
            namespace=self._settings.namespace,
            name=self._settings.service_name,
            path=PATH,
            port=found.port if found else None,  # the Service may map another one
        )
        return ClientConfig(service, b64encode(authorities).decode())

    def _changes(self, crd: CustomResource, authorities: bytes) -> list[dict[str, object]]:
        """JSON Patch operations; none where it says so already."""
        webhook = crd.spec.conversion.webhook
        wanted = self._client_config(webhook, authorities)
        if webhook is not None and webhook.client_config == wanted:
            return []
        config = msgspec.to_builtins(wanted)
        identity: dict[str, object] = {
            "op": "test",
            "path": "/metadata/uid",
            "value": crd.metadata.uid,
        }
        if webhook is not None:
            return [identity, {"op": "add", "path": _PATH_OF_CONFIG, "value": config}]
        whole = {"clientConfig": config, "conversionReviewVersions": ["v1", "v1beta1"]}
        return [identity, {"op": "add", "path": "/spec/conversion/webhook", "value": whole}]
