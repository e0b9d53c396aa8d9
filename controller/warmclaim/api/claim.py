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


class ClaimSpec(View, frozen=True, gc=False):
    warm_pool_ref: PoolRef = PoolRef()
    env: tuple[EnvVar, ...] = ()
    volume_claim_templates: tuple[msgspec.Raw, ...] = ()


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

    @property
    def needs_cold_start(self) -> bool:
        """Its own environment or volumes: no warm sandbox can have them."""
        return bool(self.spec.env or self.spec.volume_claim_templates)
