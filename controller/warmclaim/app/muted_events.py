"""For controllers whose Kubernetes Events are switched off."""

from __future__ import annotations

from warmclaim.api.meta import Object
from warmclaim.api.resources import Resource


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
