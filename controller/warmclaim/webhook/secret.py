"""The Secret in which all replicas find the certificate, kept by whichever comes first."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import msgspec

from warmclaim.api.meta import ObjectKey
from warmclaim.api.resources import SECRET
from warmclaim.api.secret import Secret, encoded
from warmclaim.errors import AlreadyExistsError, ConflictError, NotFoundError, UnknownOutcomeError
from warmclaim.kube.client import ApiClient
from warmclaim.seams import Channel, Clock
from warmclaim.webhook.pair import SECRET_NAME, Data
from warmclaim.webhook.rotation import Keep, Store, next_step

_TRIES_MAX: Final = 4
# What a renewal leaves behind is removed with it; what others keep in the Secret stays.
_OURS: Final[tuple[str, ...]] = ("ca.crt", "tls.crt", "tls.key", "next-tls.crt", "next-tls.key")

_log = logging.getLogger(__name__)


class CertificateSecret:
    """Reads the Secret, and takes it the next step where that is due. Never cached."""

    def __init__(
        self, client: ApiClient, clock: Clock, namespace: str, names: Sequence[str]
    ) -> None:
        self._client = client
        self._clock = clock
        self._key = ObjectKey(namespace, SECRET_NAME)
        self._names = names

    async def current(self) -> Data:
        """What to serve and to tell: one GET, and one write where a step is due.

        Raises what the API server said.
        """
        for _ in range(_TRIES_MAX):
            secret = await self._read()
            data = secret.decoded() if secret else {}
            step = next_step(data, self._names, self._clock.wall())
            match step:
                case Keep():
                    return data
                case Store(wanted, why):
                    try:
                        await self._store(secret, wanted)
                    except (AlreadyExistsError, ConflictError, UnknownOutcomeError):
                        continue  # another replica was first, or it is unknown: look again
                    _log.info("webhook certificate", extra={"step": why})
                    return wanted
        raise ConflictError(409, "Conflict", f"Secret {self._key} changes all the time")

    async def _read(self) -> Secret | None:
        try:
            return await self._client.get(SECRET, self._key, channel=Channel.REFILL)
        except NotFoundError:
            return None

    async def _store(self, secret: Secret | None, data: dict[str, bytes]) -> None:
        if secret is None:
            body = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": self._key.name, "namespace": self._key.namespace},
                "data": encoded(data),
            }
            raw = msgspec.json.encode(body)
            await self._client.create(SECRET, self._key.namespace, raw, channel=Channel.REFILL)
            return
        wanted: dict[str, str | None] = dict(encoded(data))
        wanted.update({name: None for name in _OURS if name not in data and name in secret.data})
        version = {"resourceVersion": secret.metadata.resource_version}
        patch = {"metadata": version, "data": wanted}
        await self._client.merge_patch(SECRET, self._key, patch, channel=Channel.REFILL)
