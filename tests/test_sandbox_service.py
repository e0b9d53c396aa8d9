"""The headless Service that a Sandbox with `service: true` asks for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.sandbox_objects import NAME_HASH, a_sandbox, sandbox_owner

from warmclaim.domain.sandbox_service import service_for, service_ports


def container(*ports: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "c", "ports": list(ports), **more}


def declared(number: int, name: str = "", protocol: str = "") -> dict[str, Any]:
    port: dict[str, Any] = {"containerPort": number}
    return port | ({"name": name} if name else {}) | ({"protocol": protocol} if protocol else {})


def served(name: str, number: int, protocol: str = "TCP") -> dict[str, Any]:
    return {"name": name, "protocol": protocol, "port": number, "targetPort": number}


def ports_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return service_ports(msgspec.Raw(msgspec.json.encode({"spec": spec})))


def test_the_service_is_headless_and_selects_by_the_tracking_label_alone() -> None:
    tracking = {"agents.x-k8s.io/sandbox-name-hash": NAME_HASH}
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [container()]}}
    assert service_for(a_sandbox(template=template, service=True)) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "sb",
            "namespace": "default",
            "labels": tracking,
            "ownerReferences": [sandbox_owner()],
        },
        "spec": {"clusterIP": "None", "selector": tracking},
    }


def test_declared_ports_are_served() -> None:
    template = {"spec": {"containers": [container(declared(80, "http"))]}}
    service = service_for(a_sandbox(template=template, service=True))
    assert service["spec"]["ports"] == [served("http", 80)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"containers": [container()]}, [], id="none"),
        pytest.param({"containers": [container(declared(0, "x"))]}, [], id="port-0-is-no-port"),
        pytest.param(
            {"containers": [container(declared(80))]},
            [served("p-80-tcp", 80)],
            id="nameless-gets-a-name-and-TCP",
        ),
        pytest.param(
            {"containers": [container(declared(53, protocol="UDP"), declared(53))]},
            [served("p-53-tcp", 53), served("p-53-udp", 53, "UDP")],
            id="protocols-are-ports-of-their-own",
        ),
        pytest.param(
            {"containers": [container(declared(9000, "b"), declared(80, "z"))]},
            [served("z", 80), served("b", 9000)],
            id="sorted-by-number",
        ),
        pytest.param(
            {"containers": [container(declared(80, "a")), container(declared(80, "b"))]},
            [served("a", 80)],
            id="first-name-of-a-pair-wins",
        ),
        pytest.param(
            {"containers": [container(declared(80)), container(declared(80, "late"))]},
            [served("late", 80)],
            id="an-explicit-name-beats-none",
        ),
        pytest.param(
            {"containers": [container(declared(80, "web")), container(declared(81, "web"))]},
            [served("web", 80), served("p-81-tcp", 81)],
            id="a-name-is-used-once",
        ),
        pytest.param(
            {"containers": [container(declared(80), declared(90, "p-80-tcp"))]},
            [served("p-80-tcp-2", 80), served("p-80-tcp", 90)],
            id="made-up-name-yields",
        ),
        pytest.param(
            {
                "containers": [
                    container(declared(80), declared(90, "p-80-tcp"), declared(91, "p-80-tcp-2"))
                ]
            },
            [served("p-80-tcp-3", 80), served("p-80-tcp", 90), served("p-80-tcp-2", 91)],
            id="made-up-name-yields-twice",
        ),
        pytest.param(
            {
                "containers": [container(declared(80, "main"))],
                "initContainers": [
                    container(declared(15000, "proxy"), restartPolicy="Always"),
                    container(declared(1, "setup")),
                    container(declared(2, "once"), restartPolicy="OnFailure"),
                ],
            },
            [served("main", 80), served("proxy", 15000)],
            id="sidecars-count-init-containers-do-not",
        ),
        pytest.param(
            {
                "initContainers": [container(declared(80, "side"), restartPolicy="Always")],
                "containers": [container(declared(80, "main"))],
            },
            [served("main", 80)],
            id="containers-come-before-sidecars",
        ),
    ],
)
def test_service_ports(spec: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    assert ports_of(spec) == expected
