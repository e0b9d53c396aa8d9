"""How the hands of a run take hold of the cluster: verbs by kind, namespace and name."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from warmclaim.api.resources import Resource
from warmclaim.testing import refusals
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import MERGE_PATCH
from warmclaim.testing.resources import Kind

Subresource: TypeAlias = Literal["", "status"]


class Grip:
    """Each verb raises a Refusal where a server would refuse it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def kind(self, resource: Resource[Any]) -> Kind:
        """Refuses (404) while it is not served."""
        kind = self.cluster.kinds.named(resource.api_version, resource.kind)
        if kind is None:
            raise refusals.no_such_path()
        return kind

    def get(self, resource: Resource[Any], namespace: str, name: str) -> Json | None:
        """The object as it is now, None if it is not there."""
        return self.get_kind(self.kind(resource), namespace, name)

    def get_kind(self, kind: Kind, namespace: str, name: str) -> Json | None:
        """The same for any kind."""
        found = self.cluster.store.get(kind.resource, kind.key(namespace, name))
        return found.object if found is not None else None

    def some(self, resource: Resource[Any], x: float) -> Json | None:
        """One of all, by `x`."""
        found = list(self.cluster.store.scan(self.kind(resource).resource))
        return found[int(x * len(found))].object if found else None

    def all(self, resource: Resource[Any]) -> list[Json]:
        """Every object of a kind; none while it is not served."""
        kind = self.cluster.kinds.named(resource.api_version, resource.kind)
        found = self.cluster.store.scan(kind.resource) if kind is not None else ()
        return [commit.object for commit in found]

    def create(self, resource: Resource[Any], namespace: str, body: Json) -> None:
        """As a POST does it."""
        self.cluster.create(Target(self.kind(resource), namespace), body)

    def delete(self, resource: Resource[Any], namespace: str, name: str) -> None:
        """As a DELETE without a body does it."""
        self.cluster.delete(Target(self.kind(resource), namespace, name))

    def patch(
        self,
        resource: Resource[Any],
        namespace: str,
        name: str,
        patch: Json,
        subresource: Subresource = "",
    ) -> None:
        """A merge patch."""
        target = Target(self.kind(resource), namespace, name, subresource=subresource)
        self.cluster.patch(target, MERGE_PATCH, patch)

    def patch_found(self, resource: Resource[Any], found: Json, patch: Json) -> None:
        """A merge patch of an object that was read."""
        self.patch(resource, found["metadata"]["namespace"], found["metadata"]["name"], patch)
