"""What a request is about."""

from __future__ import annotations

from dataclasses import dataclass

from warmclaim.testing.resources import Kind


@dataclass(frozen=True, slots=True)
class Target:
    """A kind in a version, a namespace ("" for all or none), a name ("" for all), a subresource.

    `version` "" is the stored one.
    """

    kind: Kind
    namespace: str = ""
    name: str = ""
    version: str = ""
    subresource: str = ""

    @property
    def key(self) -> str:
        """The store's key of the object."""
        return self.kind.key(self.namespace, self.name)

    @property
    def prefix(self) -> str:
        """What the store's keys of the collection begin with."""
        return f"{self.namespace}/" if self.kind.namespaced and self.namespace else ""

    @property
    def in_version(self) -> str:
        return self.version or self.kind.version

    @property
    def api_version(self) -> str:
        return self.kind.api_version(self.version)
