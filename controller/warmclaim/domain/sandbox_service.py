"""The headless Service of a Sandbox: what it must be, and what is to be done about the one there.

`spec.service` has three values: true, one is made and kept as it must be; false, the own one is
deleted; unset, the own one is kept and none is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from warmclaim.api.pod import Service
from warmclaim.api.resources import SERVICE
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.owners import owner_reference
from warmclaim.domain.sandbox_children import (
    CreateChild,
    Hold,
    PatchChild,
    Problem,
    Step,
    child_of,
    delete_step,
    hold_of,
    metadata_patch,
    not_owned,
    tracking,
)


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
_HEADLESS = "None"


@dataclass(frozen=True, slots=True)
class ServiceView:
    """`accepted`: the Service that stands for the sandbox. `step`: what is to be done about it.
    `problem`: why the sandbox cannot have the one that it needs."""

    accepted: Service | None = None
    step: Step | None = None
    problem: Problem | None = None


def judge_service(sandbox: Sandbox, found: Service | None) -> ServiceView:
    """What becomes of the Service that has the sandbox's name.

    Raises msgspec.ValidationError where the template has a shape that its schema forbids.
    """
    is_wanted = sandbox.spec.service
    if found is None:
        child = child_of(SERVICE, sandbox.metadata.name)
        step = CreateChild(SERVICE, child, service_for(sandbox)) if is_wanted else None
        return ServiceView(step=step)
    hold = hold_of(sandbox, found)
    if is_wanted is False:
        is_ours = hold is Hold.OWN and not found.metadata.is_deleting
        return ServiceView(step=delete_step(SERVICE, found) if is_ours else None)
    if hold is Hold.OWN:
        return ServiceView(found, _change(sandbox, found))
    if hold is not Hold.ALIEN and is_wanted is None:
        return ServiceView()
    if hold is Hold.FREE:
        if found.spec.cluster_ip in ("", _HEADLESS):
            return ServiceView(step=_change(sandbox, found))
        return ServiceView(problem=_not_headless(found))
    return ServiceView(problem=not_owned(SERVICE, found, sandbox))


def _change(sandbox: Sandbox, found: Service) -> PatchChild | None:
    """A merge patch for what differs. Ports are kept as they are where no Service is asked for."""
    selector, labels = found.spec.selector, tracking(sandbox)
    spec: dict[str, Any] = {}
    if selector != labels:
        spec["selector"] = {**dict.fromkeys(selector), **labels}
    if sandbox.spec.service:
        ports = service_ports(sandbox.spec.pod_template)
        if ports != _ports_of(found):
            spec["ports"] = ports or None
    metadata = metadata_patch(sandbox, found, labels=labels)
    if not (metadata or spec):
        return None
    patch = {"metadata": metadata or {"uid": found.metadata.uid}}
    child = child_of(SERVICE, found.metadata.name)
    return PatchChild(SERVICE, child, patch | ({"spec": spec} if spec else {}))


def _ports_of(service: Service) -> Sequence[dict[str, Any]]:
    return [
        {
            "name": port.name,
            "protocol": port.protocol,
            "port": port.port,
            "targetPort": port.target_port,
        }
        for port in service.spec.ports
    ]


def _not_headless(found: Service) -> Problem:
    child = child_of(SERVICE, found.metadata.name)
    return Problem(
        f'{child} has the ClusterIP "{found.spec.cluster_ip}", which nobody can change; the one of '
        f'a sandbox has "{_HEADLESS}"'
    )


def service_for(sandbox: Sandbox) -> dict[str, Any]:
    """The body of a create for `sandbox`'s Service; the caller owns it.

    Raises msgspec.ValidationError where the template has a shape that its schema forbids.
    Cost: O(template), one JSON decoding.
    """
    meta = sandbox.metadata
    spec: dict[str, Any] = {"clusterIP": _HEADLESS, "selector": tracking(sandbox)}
    if ports := service_ports(sandbox.spec.pod_template):
        spec["ports"] = ports
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": meta.name,
            "namespace": meta.namespace,
            "labels": tracking(sandbox),
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
