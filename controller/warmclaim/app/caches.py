"""The caches that a set of controllers needs, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from warmclaim.api.claim import Claim
from warmclaim.api.meta import Object
from warmclaim.api.names import LABEL_NAME_HASH
from warmclaim.api.network_policy import NetworkPolicy
from warmclaim.api.pod import Pod, Service
from warmclaim.api.pool import Pool
from warmclaim.api.resources import (
    CLAIM,
    NETWORK_POLICY,
    POD,
    POOL,
    SANDBOX,
    SERVICE,
    TEMPLATE,
    VOLUME_CLAIM,
    Resource,
)
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.api.volume_claim import VolumeClaim
from warmclaim.controllers.indexes import (
    BY_ASKED_POOL,
    BY_MARK,
    BY_NAME_HASH,
    BY_OWNER_UID,
    BY_OWNING_POOL,
    BY_TEMPLATE,
    asked_pool_of,
    mark_of_orphan,
    mark_of_pool,
    name_hash_of,
    owner_uid_of,
    owning_pool_of,
    template_of,
)
from warmclaim.kube.client import ApiClient
from warmclaim.kube.informer import Informer
from warmclaim.kube.ladder import ReflectorSettings
from warmclaim.kube.store import IndexFunction
from warmclaim.seams import Clock, Rng
from warmclaim.settings import Settings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound=Object)

_READS = frozenset(("list", "watch"))


class Caches:
    """Makes each informer once, when somebody first asks for it."""

    def __init__(self, client: ApiClient, clock: Clock, rng: Rng, settings: Settings) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng
        self._settings = settings
        self._namespace = settings.namespaces[0] if settings.namespaces else None
        self.informers: dict[str, Informer[Any]] = {}

    @property
    def claims(self) -> Informer[Claim]:
        return self._informer(CLAIM, {BY_ASKED_POOL: asked_pool_of})

    @property
    def sandboxes(self) -> Informer[Sandbox]:
        indexes = {
            BY_OWNER_UID: owner_uid_of,
            BY_OWNING_POOL: owning_pool_of,
            BY_MARK: mark_of_orphan,
        }
        return self._informer(SANDBOX, indexes)

    @property
    def pools(self) -> Informer[Pool]:
        return self._informer(POOL, {BY_TEMPLATE: template_of, BY_MARK: mark_of_pool})

    @property
    def templates(self) -> Informer[Template]:
        return self._informer(TEMPLATE, {})

    @property
    def network_policies(self) -> Informer[NetworkPolicy]:
        """All of them: those of templates carry no label."""
        return self._informer(NETWORK_POLICY, {})

    @property
    def pods(self) -> Informer[Pod]:
        """Only pods with the tracking label: a cluster has many others."""
        indexes = {BY_OWNER_UID: owner_uid_of, BY_NAME_HASH: name_hash_of}
        return self._informer(POD, indexes, LABEL_NAME_HASH)

    @property
    def services(self) -> Informer[Service]:
        return self._informer(SERVICE, {BY_OWNER_UID: owner_uid_of}, LABEL_NAME_HASH)

    @property
    def volumes(self) -> Informer[VolumeClaim]:
        """Those of sandboxes: most have none, and then this is an empty list and a quiet watch."""
        return self._informer(VOLUME_CLAIM, {}, LABEL_NAME_HASH)

    def _informer(
        self,
        resource: Resource[T],
        indexes: Mapping[str, IndexFunction[T]],
        label_selector: str | None = None,
    ) -> Informer[T]:
        known = self.informers.get(str(resource))
        if known is None:
            api = self._settings.api
            known = self.informers[str(resource)] = Informer(
                self._client,
                resource,
                clock=self._clock,
                rng=self._rng,
                indexes=indexes,
                namespace=self._namespace,
                label_selector=label_selector,
                settings=ReflectorSettings(
                    page_objects_max=api.list_page_items,
                    use_watch_list=api.uses_watch_list,
                    silence_s_max=api.watch_silence_s_max,
                ),
            )
        return known

    async def is_served(self) -> bool:
        """Whether the API server serves what all sets of controllers read."""
        return await self._client.is_served(SANDBOX, self._namespace or "default")

    def problem(self, name: str) -> str | None:
        """Why a kind has not been read once, or cannot be any more, and what to do about it; None
        if all is well."""
        informer = self.informers[name]
        if informer.is_synced:
            return self._unreadable(name)
        error = informer.last_error
        hint = "; install its CRD: kubectl apply -k config/crd" if error.startswith("404") else ""
        return f"not read yet{hint}" + (f": {error}" if error else "")

    def _unreadable(self, name: str) -> str | None:
        """A permission to read the kind that was there when it was listed first."""
        for missing in self._client.permissions.missing():
            if missing.permission.resource == name and missing.permission.verb in _READS:
                return f"not up to date: may not {missing}"
        return None

    async def wait_synced(self) -> None:
        """Return once every kind was read."""
        for informer in list(self.informers.values()):
            await informer.wait_synced()

    def skipped_rows(self) -> list[tuple[tuple[str, ...], float]]:
        """For the metric: objects and events of each kind that could not be read."""
        return [((name,), float(informer.skipped)) for name, informer in self.informers.items()]

    def staleness_rows(self) -> list[tuple[tuple[str, ...], float]]:
        """For the metric: seconds since the last word of each watch."""
        return [((name,), informer.staleness_s()) for name, informer in self.informers.items()]


def informers_of(caches: DataclassInstance) -> list[Informer[Any]]:
    """The caches that a controller reads, from the record of them that it is given."""
    return [getattr(caches, field.name) for field in fields(caches)]
