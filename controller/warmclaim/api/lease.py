"""Lease (coordination.k8s.io/v1): who leads, as written by whoever leads."""

from __future__ import annotations

from warmclaim.api.meta import ObjectMeta, View
from warmclaim.api.resources import Resource


class LeaseSpec(View, frozen=True, gc=False):
    """The record. Everyone with the permission may have written anything here."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(View, frozen=True, gc=False):
    metadata: ObjectMeta
    spec: LeaseSpec | None = None

    @property
    def record(self) -> LeaseSpec:
        """The spec; an empty one where there is none."""
        return self.spec or LeaseSpec()

    @property
    def holder(self) -> str:
        """Who leads, "" if nobody."""
        return self.record.holder_identity or ""


LEASE = Resource("coordination.k8s.io", "v1", "leases", "Lease", Lease)
