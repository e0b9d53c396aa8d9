"""Sandbox (agents.x-k8s.io/v1beta1): one isolated Pod and what belongs to it."""

from __future__ import annotations

import msgspec

from warmclaim.api.conditions import READY, Condition, find
from warmclaim.api.meta import ObjectMeta, View, shared_raw


class SandboxSpec(View, frozen=True, gc=False):
    """`pod_template` and `volume_claim_templates` stay JSON: they are copied, not read."""

    pod_template: msgspec.Raw = msgspec.Raw(b"{}")
    volume_claim_templates: msgspec.Raw = msgspec.Raw(b"[]")
    service: bool | None = None
    shutdown_time: str | None = None
    shutdown_policy: str = "Retain"
    operating_mode: str = "Running"

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "pod_template", shared_raw(self.pod_template))
        msgspec.structs.force_setattr(
            self, "volume_claim_templates", shared_raw(self.volume_claim_templates)
        )


class SandboxStatus(View, frozen=True, gc=False):
    conditions: tuple[Condition, ...] = ()
    pod_ips: tuple[str, ...] = msgspec.field(default=(), name="podIPs")
    node_name: str = ""
    selector: str = ""
    service: str = ""
    service_fqdn: str = msgspec.field(default="", name="serviceFQDN")


class Sandbox(View, frozen=True, gc=False):
    metadata: ObjectMeta
    spec: SandboxSpec = SandboxSpec()
    status: SandboxStatus | None = None

    @property
    def ready(self) -> Condition | None:
        return find(self.status.conditions, READY) if self.status else None

    @property
    def is_ready(self) -> bool:
        ready = self.ready
        return ready is not None and ready.is_true

    @property
    def has_address(self) -> bool:
        return self.status is not None and bool(self.status.pod_ips)

    @property
    def node(self) -> str | None:
        return (self.status.node_name or None) if self.status else None
