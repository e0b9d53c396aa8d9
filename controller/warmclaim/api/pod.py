"""Pod and Service: the few fields that the sandbox controller reads."""

from __future__ import annotations

import msgspec

from warmclaim.api.conditions import POD_SCHEDULED, READY
from warmclaim.api.meta import ObjectMeta, View


class PodCondition(View, frozen=True, gc=False):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class PodSpec(View, frozen=True, gc=False):
    node_name: str = ""


class PodIP(View, frozen=True, gc=False):
    ip: str = ""


class PodStatus(View, frozen=True, gc=False):
    phase: str = ""
    conditions: tuple[PodCondition, ...] = ()
    pod_ips: tuple[PodIP, ...] = msgspec.field(default=(), name="podIPs")


class Pod(View, frozen=True, gc=False):
    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    def condition(self, type_: str) -> PodCondition | None:
        return next((c for c in self.status.conditions if c.type == type_), None)

    @property
    def ips(self) -> tuple[str, ...]:
        return tuple(entry.ip for entry in self.status.pod_ips if entry.ip)

    @property
    def is_ready(self) -> bool:
        """Running, Ready by its own word, and reachable."""
        ready = self.condition(READY)
        is_up = self.status.phase == "Running" and ready is not None and ready.status == "True"
        return is_up and bool(self.ips)

    @property
    def is_ended(self) -> bool:
        return self.status.phase in ("Succeeded", "Failed")

    @property
    def scheduled(self) -> PodCondition | None:
        return self.condition(POD_SCHEDULED)


class ServicePort(View, frozen=True, gc=False):
    name: str = ""
    protocol: str = "TCP"
    port: int = 0
    target_port: int | str = 0


class ServiceSpec(View, frozen=True, gc=False):
    selector: dict[str, str] = {}
    ports: tuple[ServicePort, ...] = ()
    cluster_ip: str = msgspec.field(default="", name="clusterIP")


class Service(View, frozen=True, gc=False):
    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()
