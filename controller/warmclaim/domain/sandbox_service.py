"""The headless Service that a Sandbox with `service: true` asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from warmclaim.api import names
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.sandbox_pod import owner_reference


class _Port(msgspec.Struct, frozen=True, rename="camel"):
    container_port: int = 0
    protocol: str = "TCP"
    name: str = ""


class _Container(msgspec.Struct, frozen=True, rename="camel"):
    ports: list[_Port] = []
    restart_policy: str = ""


class _PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    containers: list[_Container] = []
    init_containers: list[_Container] = []


class _Template(msgspec.Struct, frozen=True):
    spec: _PodSpec = _PodSpec()


_template = msgspec.json.Decoder(_Template)


def service_for(sandbox: Sandbox) -> dict[str, Any]:
    """The body of a create for `sandbox`'s Service; the caller owns it.

    Raises msgspec.ValidationError where the template has a shape that its schema forbids.
    Cost: O(template), one JSON decoding.
    """
    meta = sandbox.metadata
    tracking = {names.LABEL_NAME_HASH: names.name_hash(meta.name)}
    spec: dict[str, Any] = {"clusterIP": "None", "selector": dict(tracking)}
    if ports := service_ports(sandbox.spec.pod_template):
        spec["ports"] = ports
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": meta.name,
            "namespace": meta.namespace,
            "labels": tracking,
            "ownerReferences": [owner_reference(sandbox)],
        },
        "spec": spec,
    }


def service_ports(pod_template: msgspec.Raw) -> list[dict[str, Any]]:
    """The ports that containers declare, each (port, protocol) once, in that order.

    A port keeps the first name that a container gives it and no other port has; one without a
    name becomes `p-<port>-<protocol>`, with `-2`, `-3`... where somebody chose that name.
    """
    named: dict[tuple[int, str], str] = {}
    taken: set[str] = set()
    for number, protocol, name in _declared(_template.decode(pod_template).spec):
        pair = number, protocol
        if not named.setdefault(pair, "") and name and name not in taken:
            named[pair] = name
            taken.add(name)
    return [
        {
            "name": name or _free_name(number, protocol, taken),
            "protocol": protocol,
            "port": number,
            "targetPort": number,
        }
        for (number, protocol), name in sorted(named.items())
    ]


def _declared(spec: _PodSpec) -> Iterator[tuple[int, str, str]]:
    # An init container that restarts always is a sidecar: it runs as long as the others do.
    sidecars = (c for c in spec.init_containers if c.restart_policy == "Always")
    for container in (*spec.containers, *sidecars):
        for port in container.ports:
            if port.container_port:
                yield port.container_port, port.protocol or "TCP", port.name


def _free_name(number: int, protocol: str, taken: set[str]) -> str:
    base = name = f"p-{number}-{protocol.lower()}"
    suffix = 2
    while name in taken:
        name = f"{base}-{suffix}"
        suffix += 1
    taken.add(name)
    return name
