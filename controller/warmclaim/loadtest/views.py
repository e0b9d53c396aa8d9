"""What the watches of a load test read of claims and sandboxes; the rest is not decoded.

Kept apart from the views of the program under test: a field that both read wrongly would show in
no test.
"""

from __future__ import annotations

import msgspec

POOL_KIND = "SandboxWarmPool"
CLAIM_KIND = "SandboxClaim"
SANDBOX_KIND = "Sandbox"
LAUNCH_TYPE = "agents.x-k8s.io/launch-type"
SEEN_NOTED = "agents.x-k8s.io/controller-first-observed-at"
READY_NOTED = "agents.x-k8s.io/claim-first-ready-at"


class _View(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Base: camel-case names, unknown members ignored."""


class Owner(_View, frozen=True, gc=False):
    """An entry of metadata.ownerReferences."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class Metadata(_View, frozen=True, gc=False):
    """Identity, version, labels, owners, annotations."""

    name: str = ""
    uid: str = ""
    resource_version: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    owner_references: tuple[Owner, ...] = ()
    annotations: dict[str, str] = {}

    @property
    def controller(self) -> Owner | None:
        """The controlling owner."""
        return next((owner for owner in self.owner_references if owner.controller), None)


class Condition(_View, frozen=True, gc=False):
    """An entry of status.conditions."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class Named(_View, frozen=True, gc=False):
    """status.sandbox of a claim."""

    name: str = ""


class Status(_View, frozen=True, gc=False):
    """status of either kind: `sandbox` only claims have, `node_name` and `selector` only
    sandboxes."""

    conditions: tuple[Condition, ...] = ()
    sandbox: Named | None = None
    node_name: str = ""
    selector: str = ""


class Thing(_View, frozen=True, gc=False):
    """A claim or a sandbox."""

    metadata: Metadata = Metadata()
    status: Status = Status()

    @property
    def ready(self) -> Condition | None:
        """The condition Ready, whatever it says."""
        return next((one for one in self.status.conditions if one.type == "Ready"), None)

    @property
    def is_ready(self) -> bool:
        """Whether Ready is True."""
        return self.ready is not None and self.ready.status == "True"

    @property
    def published(self) -> str:
        """Name of the sandbox that a claim was given; empty before that."""
        return self.status.sandbox.name if self.status.sandbox else ""


class WatchEvent(msgspec.Struct, frozen=True, gc=False):
    """One line of a watch. The object of an ERROR is a Status object, hence kept as JSON."""

    type: str
    object: msgspec.Raw
