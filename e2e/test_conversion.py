"""v1alpha1 on a real API server: served by the webhook, also what older versions stored.

A control plane of its own: the other tests' CRDs must not change under them. The API server looks
a Service up by its type: an ExternalName leads it to the manager on this machine.
"""

from __future__ import annotations

import json
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.burst.guarded import COMPONENTS, denied, wait_in_force
from e2e.burst.process import ControllerProcess, warmclaim_command
from e2e.burst.rights import grant, grant_lease
from e2e.cluster import WARMCLAIM, ControlPlane
from e2e.controlplane.api import ApiError, ApiSession, Object
from e2e.controlplane.failures import wait_until
from e2e.controlplane.manifests import composed
from e2e.controlplane.objects import create_namespace
from e2e.controlplane.ports import draw_ports

from warmclaim.api.names import ASSIGNED_SANDBOX, LABEL_TEMPLATE_REF, LABEL_WARM_POOL, name_hash
from warmclaim.api.schema import WebhookConversion, crds

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SYSTEM, NAMESPACE = "agent-sandbox-system", "older"
SERVICE = "agent-sandbox-webhook-service"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CORE, EXTENSIONS = "agents.x-k8s.io", "extensions.agents.x-k8s.io"
PLURALS = {
    "Sandbox": (CORE, "sandboxes"),
    "SandboxClaim": (EXTENSIONS, "sandboxclaims"),
    "SandboxTemplate": (EXTENSIONS, "sandboxtemplates"),
    "SandboxWarmPool": (EXTENSIONS, "sandboxwarmpools"),
}
WAIT_S_MAX = 90.0  # the garbage collector looks for new versions of kinds every 30 s


class Old:
    """A cluster whose CRDs ask for the conversion, and what an older client does in it."""

    def __init__(self, cluster: ControlPlane, port: int) -> None:
        self.cluster = cluster
        self.port = port
        self.api: ApiSession = cluster.api

    def path(self, kind: str, name: str = "", version: str = "v1alpha1") -> str:
        group, plural = PLURALS[kind]
        parts = ["/apis", group, version, "namespaces", NAMESPACE, plural, name]
        return "/".join(part for part in parts if part)

    def create(self, kind: str, name: str, spec: Object, **metadata: Any) -> Object:
        version = f"{PLURALS[kind][0]}/v1alpha1"
        body = {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}}
        return self.api.create(self.path(kind), {**body, "spec": spec})

    def store_as(self, version: str) -> None:
        """Have the API server store objects in this version from now on."""
        for name, crd in crds(WebhookConversion()).items():
            for one in crd["spec"]["versions"]:
                one["storage"] = one["name"] == version
            service = crd["spec"]["conversion"]["webhook"]["clientConfig"]["service"]
            service["port"] = self.port
            found = self.api.get(f"{CRDS}/{name}")["spec"]["conversion"]
            config = found.get("webhook", {}).get("clientConfig", {})
            crd["spec"]["conversion"]["webhook"]["clientConfig"] |= {
                key: text for key, text in config.items() if key == "caBundle"
            }
            self.api.apply(f"{CRDS}/{name}", crd)
        self.wait("v1alpha1 served", self._unserved)

    def _unserved(self) -> str | None:
        # Any other answer will do: without the webhook a list of older objects fails.
        missing = [kind for kind in PLURALS if self.api.status(self.path(kind)) == 404]
        return f"no v1alpha1 of {missing[0]}" if missing else None

    def wait(self, what: str, problem: Callable[[], object]) -> None:
        def asked() -> str | None:
            try:
                return str(problem() or "") or None
            except ApiError as error:
                return str(error)

        wait_until(what, asked, timeout_s=WAIT_S_MAX, interval_s=0.1)

    def stored_version(self, kind: str, name: str) -> str:
        """The apiVersion in etcd, read there."""
        group, plural = PLURALS[kind]
        key = f"/registry/{group}/{plural}/{NAMESPACE}/{name}"
        body = json.dumps({"key": b64encode(key.encode()).decode()}).encode()
        request = urllib.request.Request(f"{self.cluster.etcd_url}/v3/kv/range", body)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=5.0) as answer:
            (found,) = json.loads(answer.read())["kvs"]
        return str(json.loads(b64decode(found["value"]))["apiVersion"])


@pytest.fixture(scope="module")
def old() -> Iterator[Old]:
    with ControlPlane(nodes=5) as cluster:
        (port,) = draw_ports(1)
        create_namespace(cluster.api, NAMESPACE)
        create_namespace(cluster.api, SYSTEM)
        service = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}
        cluster.api.create(
            f"/api/v1/namespaces/{SYSTEM}/services",
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE}, "spec": service},
        )
        grant(cluster.api, WARMCLAIM)
        grant_lease(cluster.api, WARMCLAIM, SYSTEM)
        yield Old(cluster, port)


def manager(old: Old, folder: Path) -> ControllerProcess:
    def command(kubeconfig: Path, probe_port: int) -> list[str]:
        flags = [f"--webhook-port={old.port}", f"--webhook-cert-dir={folder / 'certs'}"]
        return [*warmclaim_command(kubeconfig, probe_port), *flags]

    return ControllerProcess(old.cluster.kubeconfig(WARMCLAIM), folder / "logs", command)


def pod_template() -> Object:
    return {"spec": {"containers": [{"name": "c", "image": "i"}]}}


def test_older_objects_are_served_adopted_and_cleaned_up(old: Old, tmp_path: Path) -> None:
    old.store_as("v1alpha1")
    # Stored as an older version left them: nobody serves the webhook yet, none is needed to write.
    old.create("SandboxTemplate", "t", {"podTemplate": pod_template()})
    pool_spec = {"replicas": 2, "sandboxTemplateRef": {"name": "t"}}
    pool = old.create("SandboxWarmPool", "p", pool_spec)
    assert old.stored_version("SandboxWarmPool", "p") == f"{EXTENSIONS}/v1alpha1"
    owner = {
        "apiVersion": f"{EXTENSIONS}/v1alpha1",
        "kind": "SandboxWarmPool",
        "name": "p",
        "uid": pool["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    labels = member_labels("p", "t")
    spec = {"podTemplate": pod_template()}
    old.create("Sandbox", "p-abcde", spec, labels=labels, ownerReferences=[owner])
    old.store_as("v1beta1")
    with manager(old, tmp_path) as process:
        process.wait_ready()  # its first lists held objects that only its own webhook can convert
        old.wait("pool", lambda: _not(ready_members(old) == 2, "not full"))
        members = old.api.get(old.path("Sandbox"))["items"]
        assert len(members) == 2
        assert "p-abcde" in {member["metadata"]["name"] for member in members}
        assert all(member["spec"]["replicas"] == 1 for member in members)

        claim_spec = {"sandboxTemplateRef": {"name": "t"}, "warmpool": "p"}
        old.create("SandboxClaim", "c", claim_spec)
        old.wait("claim", lambda: _not(sandbox_of(old, "c"), "not served"))
        assert sandbox_of(old, "c") == "p-abcde"  # the oldest member
        again = old.api.get(old.path("SandboxClaim", "c"))
        assert again["spec"] == claim_spec
        newer = old.api.get(old.path("SandboxClaim", "c", "v1beta1"))
        assert newer["spec"] == {"warmPoolRef": {"name": "p"}}

        old.api.merge(old.path("Sandbox", "p-abcde"), {"spec": {"replicas": 0}})
        suspended = old.api.get(old.path("Sandbox", "p-abcde", "v1beta1"))
        assert suspended["spec"]["operatingMode"] == "Suspended"

        old.api.delete(old.path("SandboxClaim", "c"))
        old.wait("cleanup", lambda: old.api.status(old.path("Sandbox", "p-abcde")) == 200 and "is")
        old.api.delete(old.path("SandboxWarmPool", "p"))
        old.wait("end", lambda: old.api.get(old.path("Sandbox"))["items"] and "members are left")
        assert process.stop() == []


def test_an_invalid_annotation_refuses_the_write_and_nothing_else(old: Old, tmp_path: Path) -> None:
    old.store_as("v1beta1")
    with manager(old, tmp_path) as process:
        process.wait_ready()
        policy = {"api.agents.x-k8s.io/v1beta1-volume-claim-templates-policy": "Whatever"}
        spec = {"podTemplate": pod_template()}
        with pytest.raises(ApiError, match="must be one of Disallowed"):
            old.create("SandboxTemplate", "odd", spec, annotations=policy)
        old.create("SandboxTemplate", "good", spec)
        assert process.stop() == []


@pytest.fixture
def guarded(old: Old, tmp_path: Path) -> Iterator[None]:
    """The tenants' guard is in force; who runs the manager here is on its list."""
    things = composed(tmp_path, "overlays/everything", *COMPONENTS)
    guard = [one for one in things if one["kind"].startswith(("ValidatingAdm", "ConfigMap"))]
    (listed,) = (one for one in guard if one["kind"] == "ConfigMap")
    listed["data"]["manager"] = WARMCLAIM
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": guard})
    old.cluster.kubectl("apply", "-f", "-", stdin=manifest)
    yield
    old.cluster.kubectl("delete", "-f", "-", stdin=manifest)


@pytest.mark.usefixtures("guarded")
def test_g2_the_older_version_is_no_way_around_the_guard(old: Old, tmp_path: Path) -> None:
    old.store_as("v1beta1")
    with manager(old, tmp_path) as process:
        process.wait_ready()
        wait_in_force(old.api, NAMESPACE)
        spec: Object = {"podTemplate": pod_template()}
        old.create("SandboxTemplate", "plain", spec)
        pool = {"replicas": 1, "sandboxTemplateRef": {"name": "plain"}}
        uid = old.create("SandboxWarmPool", "p", pool)["metadata"]["uid"]
        old.wait("pool", lambda: _not(ready_members(old) == 1, "not full"))
        (member,) = old.api.get(old.path("Sandbox"))["items"]
        path = old.path("Sandbox", member["metadata"]["name"])

        old.create("Sandbox", "own", spec)
        owner = member["metadata"]["ownerReferences"][0] | {"uid": uid}
        older = owner | {"apiVersion": f"{EXTENSIONS}/v1alpha1"}
        for one in (owner, older):
            denied("owners", old.create, "Sandbox", "forged", spec, ownerReferences=[one])
        labels = member_labels("p", "plain")
        denied(LABEL_WARM_POOL, old.create, "Sandbox", "labelled", spec, labels=labels)
        denied("waits in a pool", old.api.merge, path, {"spec": {"replicas": 0}})
        note = {"metadata": {"annotations": {ASSIGNED_SANDBOX: "own"}}}
        old.create("SandboxClaim", "c", {"sandboxTemplateRef": {"name": "plain"}, "warmpool": "p"})
        denied(ASSIGNED_SANDBOX, old.api.merge, old.path("SandboxClaim", "c"), note)
        old.wait("claim", lambda: _not(sandbox_of(old, "c"), "not served"))
        assert sandbox_of(old, "c") == member["metadata"]["name"]
        assert process.stop() == []


def member_labels(pool: str, template: str) -> Object:
    return {LABEL_WARM_POOL: name_hash(pool), LABEL_TEMPLATE_REF: name_hash(template)}


def ready_members(old: Old) -> int:
    status = old.api.get(old.path("SandboxWarmPool", "p")).get("status", {})
    return int(status.get("readyReplicas", 0))


def sandbox_of(old: Old, claim: str) -> str:
    status = old.api.get(old.path("SandboxClaim", claim)).get("status", {})
    return str(status.get("sandbox", {}).get("name", ""))


def _not(is_so: object, text: str) -> str:
    return "" if is_so else text
