"""Tells of what the manager lacks where its operator looks: in its own namespace."""

from __future__ import annotations

from warmclaim.api.event import ObjectReference
from warmclaim.api.lease import LEASE
from warmclaim.app.needs import needed_by, needs
from warmclaim.app.outside import Outside
from warmclaim.kube.event_recorder import EventRecorder
from warmclaim.kube.lease import lease_name
from warmclaim.kube.permissions import Missing
from warmclaim.settings import Settings

REPORTER = "agent-sandbox-controller"


class OperatorEvents:
    """Warnings about the Lease by which these controllers are led, whether it exists or not.

    Not about the object that a request was for: its owner can do nothing about it, and there may be
    thousands.
    """

    def __init__(self, events: EventRecorder, settings: Settings, outside: Outside) -> None:
        self._events = events.of(REPORTER)
        self._lease = ObjectReference(
            LEASE.api_version, LEASE.kind, outside.namespace, lease_name(settings.controllers), ""
        )
        self._needs = needs(settings)

    def permission_missing(self, missing: Missing) -> None:
        """Have one event told, some time."""
        parts = " and the ".join(needed_by(missing.permission, self._needs))
        for_whom = f", which the {parts} must" if parts else ""
        note = (
            f"The manager may not {missing}{for_whom}. The rest goes on; grant it to its account."
        )
        self._events.record(self._lease, "Warning", "PermissionMissing", "Authorizing", note)

    def seal_unusable(self, problem: str) -> None:
        """The same, about the Secret with the keys of the seal."""
        self._events.record(self._lease, "Warning", "SealKeyUnusable", "Reading", problem)
