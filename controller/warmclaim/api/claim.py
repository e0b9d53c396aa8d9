"""SandboxClaim (extensions.agents.x-k8s.io/v1beta1): one request for a sandbox."""

from __future__ import annotations

import msgspec

from warmclaim.api.conditions import READY, Condition, find
from warmclaim.api.meta import ObjectMeta, View


class PoolRef(View, frozen=True, gc=False):
    name: str = ""


class EnvVar(View, frozen=True, gc=False):
    name: str = ""
    value: str = ""
    container_name: str = ""


class PodMetadata(View, frozen=True, gc=False):
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Lifecycle(View, frozen=True, gc=False):
    """When the claim ends and what happens then."""

    shutdown_time: str | None = None
    ttl_seconds_after_finished: int | None = None
    shutdown_policy: str = "Retain"


class ClaimSpec(View, frozen=True, gc=False):
    warm_pool_ref: PoolRef = PoolRef()
    env: tuple[EnvVar, ...] = ()
    volume_claim_templates: tuple[msgspec.Raw, ...] = ()
    additional_pod_metadata: PodMetadata = PodMetadata()
    lifecycle: Lifecycle | None = None

    @property
    def has_pod_metadata(self) -> bool:
        return bool(self.additional_pod_metadata.labels or self.additional_pod_metadata.annotations)


class ClaimedSandbox(View, frozen=True, gc=False):
    """status.sandbox: the published sandbox."""

    name: str = ""
    pod_ips: tuple[str, ...] = msgspec.field(default=(), name="podIPs")


class ClaimStatus(View, frozen=True, gc=False):
    conditions: tuple[Condition, ...] = ()
    sandbox: ClaimedSandbox | None = None


class Claim(View, frozen=True, gc=False):
    metadata: ObjectMeta
    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus | None = None

    @property
    def published(self) -> str:
        """Name of the sandbox that this claim was given, "" before publication."""
        if self.status is None or self.status.sandbox is None:
            return ""
        return self.status.sandbox.name

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return self.status.conditions if self.status else ()

    @property
    def is_ready(self) -> bool:
        ready = find(self.conditions, READY)
        return ready is not None and ready.is_true
