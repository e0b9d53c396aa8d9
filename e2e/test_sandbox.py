"""A Sandbox on the real control plane: volume, Service and pod, suspended and expired."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from e2e.burst.process import ControllerProcess
from e2e.burst.rights import grant
from e2e.cluster import WARMCLAIM, ControlPlane
from e2e.controlplane.api import ApiSession, Object
from e2e.controlplane.failures import wait_until

from warmclaim.loadtest.objects import pod_template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

NAME = "box"
LIFE_S = 3.0


class Box:
    """The Sandbox of a namespace, and what belongs to it."""

    def __init__(self, api: ApiSession, namespace: str) -> None:
        self._api = api
        self._sandboxes = f"/apis/agents.x-k8s.io/v1beta1/namespaces/{namespace}/sandboxes"
        core = f"/api/v1/namespaces/{namespace}"
        self.pod = f"{core}/pods/{NAME}"
        self.service = f"{core}/services/{NAME}"
        self.volume = f"{core}/persistentvolumeclaims/data-{NAME}"

    def create(self) -> None:
        """With one volume and a Service."""
        storage = {"requests": {"storage": "1Gi"}}
        claim = {"accessModes": ["ReadWriteOnce"], "resources": storage}
        body: Object = {
            "apiVersion": "agents.x-k8s.io/v1beta1",
            "kind": "Sandbox",
            "metadata": {"name": NAME},
            "spec": {
                "podTemplate": pod_template(),
                "service": True,
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
            },
        }
        self._api.create(self._sandboxes, body)

    def change(self, **spec: object) -> None:
        """A patch of its spec."""
        self._api.merge(f"{self._sandboxes}/{NAME}", {"spec": spec})

    def delete(self) -> None:
        """As its user does."""
        self._api.delete(f"{self._sandboxes}/{NAME}")

    def wait(self, type_: str, status: str, reason: str, message: str) -> None:
        """Until it has this condition."""

        def missing() -> str | None:
            found = self._api.get(f"{self._sandboxes}/{NAME}").get("status", {})
            seen = {c["type"]: c for c in found.get("conditions", [])}.get(type_, {})
            words = (seen.get("status"), seen.get("reason"), seen.get("message"))
            return None if words == (status, reason, message) else f"{type_} is {words}"

        wait_until(f"{type_} {reason}", missing, timeout_s=20)

    def wait_ready(self) -> None:
        """Until it serves."""
        self.wait("Ready", "True", "DependenciesReady", "Pod is Ready; Service Exists")

    def wait_gone(self, *paths: str) -> None:
        """Until these are gone."""

        def left() -> str | None:
            return next((path for path in paths if self._api.status(path) != 404), None)

        wait_until("nothing left", left, timeout_s=20)

    def volume_uid(self) -> str:
        """Which volume claim it has; it is bound and the sandbox's own."""
        claim = self._api.get(self.volume)
        (owner,) = claim["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["controller"]) == ("Sandbox", True)
        assert claim["status"]["phase"] == "Bound"
        return str(claim["metadata"]["uid"])


@pytest.fixture
def box(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Box]:
    """A controller with the rights of config/rbac, and a sandbox that is Ready."""
    grant(control_plane.api, WARMCLAIM)
    with ControllerProcess(control_plane.kubeconfig(WARMCLAIM), tmp_path) as controller:
        controller.wait_ready()
        made = Box(control_plane.api, namespace)
        made.create()
        made.wait_ready()
        yield made


def test_the_volume_outlives_suspension_and_expiry_and_goes_with_the_sandbox(
    control_plane: ControlPlane, namespace: str, box: Box
) -> None:
    mark, volume = control_plane.audit_mark(), box.volume_uid()

    box.change(operatingMode="Suspended")
    box.wait("Suspended", "True", "PodTerminated", "Pod has been terminated. Sandbox is suspended")
    box.wait("Ready", "False", "SandboxSuspended", "Sandbox is suspended")
    box.wait_gone(box.pod)
    assert control_plane.api.status(box.service) == 200
    assert box.volume_uid() == volume

    box.change(operatingMode="Running")
    box.wait_ready()
    assert box.volume_uid() == volume

    end = datetime.fromtimestamp(time.time() + LIFE_S, UTC)
    box.change(shutdownTime=end.strftime("%Y-%m-%dT%H:%M:%SZ"))
    box.wait("Ready", "False", "SandboxExpired", "Sandbox has expired")
    box.wait_gone(box.pod, box.service)
    assert box.volume_uid() == volume

    box.change(shutdownTime=None)
    box.wait_ready()
    assert box.volume_uid() == volume

    box.delete()
    box.wait_gone(box.pod, box.service, box.volume)
    control_plane.audit_settle()
    events = control_plane.audit_events(mark, user=WARMCLAIM)
    # Those of an earlier test's namespace, which is ending, are refused for that.
    answers = {event.code for event in events if event.namespace in ("", namespace)}
    assert not answers & {401, 403}, "config/rbac gives all that it needs"
