"""A replica of the manager as the cluster knows one, for a process that listens on the host."""

from __future__ import annotations

import socket

from e2e.burst.installed import OWN
from e2e.controlplane.api import ApiSession, Object
from e2e.controlplane.failures import wait_until
from e2e.controlplane.objects import is_ready

SERVICE = "agent-sandbox-controller"
_READY_S = 20.0


def own_address() -> str:
    """An address of this machine that an EndpointSlice may have: loopback ones are refused.

    Connecting a datagram socket sends nothing; the kernel says from where it would.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.connect(("192.0.2.1", 9))
        return str(trial.getsockname()[0])


def write_replica(api: ApiSession, number: int, address: str, port: int) -> str:
    """What the controllers of Deployments and of EndpointSlices would write of a ready replica,
    but for where it listens; returns the pod's name.

    In their order: Prometheus leaves out the pod of an endpoint that it hears of first, for good.
    """
    name = f"{SERVICE}-{number}"
    deployment = api.get(f"/apis/apps/v1/namespaces/{OWN}/deployments/{SERVICE}")
    pod: Object = deployment["spec"]["template"]
    kind = {"apiVersion": "v1", "kind": "Pod", "metadata": pod["metadata"] | {"name": name}}
    pods = f"/api/v1/namespaces/{OWN}/pods"
    api.create(pods, pod | kind)

    def unready() -> str | None:
        found = api.get(f"{pods}/{name}")
        return None if is_ready(found) else str(found["status"])

    wait_until(f"pod {name}", unready, timeout_s=_READY_S)
    target = {"kind": "Pod", "namespace": OWN, "name": name}
    endpoint = {"addresses": [address], "conditions": {"ready": True}, "targetRef": target}
    body: Object = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": SERVICE}},
        "addressType": "IPv4",
        "ports": [{"name": "metrics", "protocol": "TCP", "port": port}],
        "endpoints": [endpoint],
    }
    api.create(f"/apis/discovery.k8s.io/v1/namespaces/{OWN}/endpointslices", body)
    return name
