"""What a real API server makes of the CRDs and of the manifests beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.cluster import ControlPlane
from e2e.controlplane.api import APPLY_PATCH, ApiError, ApiSession
from e2e.controlplane.objects import create_namespace

from warmclaim.api.schema import WebhookConversion, crds

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parent.parent
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAMESPACE = "crds"
GROUPS = {
    "Sandbox": ("agents.x-k8s.io/v1beta1", "sandboxes"),
    "SandboxClaim": ("extensions.agents.x-k8s.io/v1beta1", "sandboxclaims"),
    "SandboxTemplate": ("extensions.agents.x-k8s.io/v1beta1", "sandboxtemplates"),
    "SandboxWarmPool": ("extensions.agents.x-k8s.io/v1beta1", "sandboxwarmpools"),
}
Object = dict[str, Any]


@pytest.fixture(scope="module")
def api(control_plane: ControlPlane) -> Iterator[ApiSession]:
    """The admin's session, while the namespace of this module exists."""
    create_namespace(control_plane.api, NAMESPACE)
    yield control_plane.api
    control_plane.api.delete(f"/api/v1/namespaces/{NAMESPACE}")


def path(kind: str, name: str = "", subresource: str = "") -> str:
    group_version, plural = GROUPS[kind]
    parts = ["/apis", group_version, "namespaces", NAMESPACE, plural, name, subresource]
    return "/".join(part for part in parts if part)


def create(api: ApiSession, kind: str, name: str, spec: Object, **more: Any) -> Object:
    metadata = {"name": name}
    body = {"apiVersion": GROUPS[kind][0], "kind": kind, "metadata": metadata, "spec": spec}
    return api.create(path(kind), body | more)


def pod(**container: Any) -> Object:
    return {"spec": {"containers": [{"name": "c", "image": "i", **container}]}}


def volume_claim(size: str = "1Gi") -> Object:
    resources = {"requests": {"storage": size}}
    return {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources},
    }


@pytest.mark.parametrize("name", crds())
def test_a_crd_is_established_and_structural(api: ApiSession, name: str) -> None:
    status = api.get(f"{CRDS}/{name}")["status"]
    conditions = {one["type"]: one["status"] for one in status["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert status["storedVersions"] == ["v1beta1"]


@pytest.mark.parametrize("kind", GROUPS)
def test_the_deprecated_version_is_not_served_yet(api: ApiSession, kind: str) -> None:
    assert api.status(path(kind)) == 200
    assert api.status(path(kind).replace("v1beta1", "v1alpha1")) == 404


@pytest.mark.parametrize(("name", "crd"), crds(WebhookConversion()).items())
def test_the_webhook_form_is_accepted_too(api: ApiSession, name: str, crd: Object) -> None:
    query = {"fieldManager": "e2e", "force": "true", "dryRun": "All"}
    answer = api.request("PATCH", f"{CRDS}/{name}", crd, query=query, content_type=APPLY_PATCH)
    assert answer["spec"]["conversion"]["strategy"] == "Webhook"
    assert [version["served"] for version in answer["spec"]["versions"]] == [True, True]


PORT = {"containerPort": 80}
POOL_REF: Object = {"warmPoolRef": {"name": "p"}}
TEMPLATE_REF: Object = {"sandboxTemplateRef": {"name": "t"}}
DISALLOWED = {"envVarsInjectionPolicy": "Disallowed", "volumeClaimTemplatesPolicy": "Disallowed"}


STORED: list[tuple[str, Object, Object]] = [
    (
        "Sandbox",
        {"podTemplate": pod(ports=[PORT])},
        {
            "podTemplate": pod(ports=[PORT | {"protocol": "TCP"}]),
            "operatingMode": "Running",
            "shutdownPolicy": "Retain",
        },
    ),
    ("SandboxClaim", POOL_REF, POOL_REF),
    (
        "SandboxClaim",
        POOL_REF | {"lifecycle": {}},
        POOL_REF | {"lifecycle": {"shutdownPolicy": "Retain"}},
    ),
    ("SandboxWarmPool", TEMPLATE_REF, TEMPLATE_REF | {"replicas": 1}),
    (
        "SandboxWarmPool",
        TEMPLATE_REF | {"replicas": 0, "updateStrategy": {}},
        TEMPLATE_REF | {"replicas": 0, "updateStrategy": {"type": "OnReplenish"}},
    ),
    (
        "SandboxTemplate",
        {"podTemplate": pod()},
        {"podTemplate": pod(), "networkPolicyManagement": "Managed", **DISALLOWED},
    ),
    (
        "SandboxTemplate",
        {"podTemplate": pod(), "wrong": 1, "networkPolicy": {"egress": [{"wrong": 1}]}},
        {
            "podTemplate": pod(),
            "networkPolicy": {"egress": [{}]},
            "networkPolicyManagement": "Managed",
            **DISALLOWED,
        },
    ),
    (
        "Sandbox",
        {
            "podTemplate": pod(
                wrong=1,
                env=[{"name": "A", "valueFrom": {"secretKeyRef": {"key": "k", "wrong": 1}}}],
                readinessProbe={"grpc": {"port": 1}},
            )
        },
        {
            "podTemplate": pod(
                env=[{"name": "A", "valueFrom": {"secretKeyRef": {"key": "k", "name": ""}}}],
                readinessProbe={"grpc": {"port": 1, "service": ""}},
            ),
            "operatingMode": "Running",
            "shutdownPolicy": "Retain",
        },
    ),
    (
        "Sandbox",
        {
            "podTemplate": pod(
                readinessProbe={"httpGet": {"port": "http"}},
                livenessProbe={"httpGet": {"port": 80}},
                resources={"limits": {"cpu": 2, "memory": "1.5Gi"}},
            ),
        },
        {
            "podTemplate": pod(
                readinessProbe={"httpGet": {"port": "http"}},
                livenessProbe={"httpGet": {"port": 80}},
                resources={"limits": {"cpu": 2, "memory": "1.5Gi"}},
            ),
            "operatingMode": "Running",
            "shutdownPolicy": "Retain",
        },
    ),
]
STORED_IDS = [
    "sandbox",
    "claim",
    "claim with lifecycle",
    "pool",
    "pool of none",
    "template",
    "unknown fields of a template",
    "unknown fields of a pod",
    "numbers and texts",
]


@pytest.mark.parametrize(("kind", "given", "stored"), STORED, ids=STORED_IDS)
def test_what_is_stored_has_defaults_and_no_unknown_field(
    api: ApiSession, kind: str, given: Object, stored: Object
) -> None:
    name = "defaults"
    try:
        assert create(api, kind, name, given)["spec"] == stored
    finally:
        api.delete(path(kind, name))


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("Sandbox", {}, "spec.podTemplate: Required"),
        ("Sandbox", {"podTemplate": {}}, "spec.podTemplate.spec: Required"),
        ("Sandbox", {"podTemplate": {"spec": {}}}, "spec.podTemplate.spec.containers: Required"),
        ("Sandbox", {"podTemplate": pod(), "operatingMode": "Off"}, "spec.operatingMode"),
        ("Sandbox", {"podTemplate": pod(), "shutdownPolicy": "Keep"}, "spec.shutdownPolicy"),
        ("Sandbox", {"podTemplate": pod(), "shutdownTime": "soon"}, "spec.shutdownTime"),
        ("Sandbox", {"podTemplate": pod(), "service": "yes"}, "spec.service"),
        (
            "Sandbox",
            {"podTemplate": pod(resources={"limits": {"cpu": "much"}})},
            "resources.limits.cpu",
        ),
        (
            "Sandbox",
            {"podTemplate": pod(ports=[PORT, PORT | {"protocol": "TCP"}])},
            "ports[1]: Duplicate value",
        ),
        ("SandboxClaim", {}, "spec.warmPoolRef: Required"),
        ("SandboxClaim", {"warmPoolRef": {}}, "spec.warmPoolRef.name: Required"),
        ("SandboxClaim", POOL_REF | {"env": [{"name": "A"}]}, "spec.env[0].value: Required"),
        (
            "SandboxClaim",
            POOL_REF | {"lifecycle": {"ttlSecondsAfterFinished": -1}},
            "spec.lifecycle.ttlSecondsAfterFinished",
        ),
        ("SandboxWarmPool", TEMPLATE_REF | {"replicas": -1}, "spec.replicas"),
        ("SandboxWarmPool", {"replicas": 1}, "spec.sandboxTemplateRef: Required"),
        ("SandboxTemplate", {"podTemplate": pod(), "networkPolicyManagement": "x"}, "Management"),
    ],
)
def test_a_wrong_value_is_refused(api: ApiSession, kind: str, spec: Object, field: str) -> None:
    with pytest.raises(ApiError) as refusal:
        create(api, kind, "refused", spec)
    assert refusal.value.code == 422
    assert field in str(refusal.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([volume_claim()], [volume_claim("2Gi")]),
        ([volume_claim()], [volume_claim(), volume_claim()]),
        ([volume_claim()], None),
        (None, [volume_claim()]),
    ],
    ids=["changed", "one more", "removed", "added"],
)
def test_volume_claim_templates_of_a_sandbox_are_fixed(
    api: ApiSession, before: list[Object] | None, after: list[Object] | None
) -> None:
    claims = {"volumeClaimTemplates": before} if before else {}
    sandbox = path("Sandbox", "fixed")
    create(api, "Sandbox", "fixed", {"podTemplate": pod(), **claims})
    try:
        with pytest.raises(ApiError, match="volumeClaimTemplates is immutable") as refusal:
            api.merge(sandbox, {"spec": {"volumeClaimTemplates": after}})
        assert refusal.value.code == 422
        suspend = {"volumeClaimTemplates": before, "operatingMode": "Suspended"}
        assert api.merge(sandbox, {"spec": suspend})["spec"]["operatingMode"] == "Suspended"
    finally:
        api.delete(sandbox)


def test_volume_claim_templates_of_a_template_are_not_fixed(api: ApiSession) -> None:
    create(api, "SandboxTemplate", "free", {"podTemplate": pod()})
    changed = {"spec": {"volumeClaimTemplates": [volume_claim()]}}
    template = api.merge(path("SandboxTemplate", "free"), changed)
    assert template["spec"]["volumeClaimTemplates"] == [volume_claim()]


CONDITION = {
    "type": "Ready", "status": "False", "reason": "Waiting", "message": "",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}  # fmt: skip
STATUS: Object = {"conditions": [CONDITION]}


def test_status_is_written_through_its_subresource_only(api: ApiSession) -> None:
    created = create(api, "Sandbox", "status", {"podTemplate": pod()}, status={"nodeName": "n"})
    assert "status" not in created
    status = STATUS | {"nodeName": "n", "podIPs": ["10.0.0.1"], "phase": "unknown"}
    answer = api.merge(path("Sandbox", "status", "status"), {"status": status})
    assert answer["status"] == STATUS | {"nodeName": "n", "podIPs": ["10.0.0.1"]}
    assert answer["metadata"]["generation"] == 1
    for wrong in ({"reason": ""}, {"reason": "two words"}, {"status": "maybe"}, {"message": None}):
        with pytest.raises(ApiError, match=r"status\.conditions\[0\]"):
            api.merge(
                path("Sandbox", "status", "status"),
                {"status": {"conditions": [{**CONDITION, **wrong}]}},
            )


def test_a_template_has_no_status(api: ApiSession) -> None:
    create(api, "SandboxTemplate", "plain", {"podTemplate": pod()}, status=STATUS)
    assert "status" not in api.get(path("SandboxTemplate", "plain"))
    assert api.status(path("SandboxTemplate", "plain", "status")) == 404


def test_a_pool_can_be_scaled_and_a_sandbox_cannot(
    api: ApiSession, control_plane: ControlPlane
) -> None:
    create(api, "SandboxWarmPool", "scaled", TEMPLATE_REF)
    control_plane.kubectl("scale", "-n", NAMESPACE, "swp/scaled", "--replicas=7")
    status = {"replicas": 5, "readyReplicas": 4, "selector": "a=b", "observedGeneration": 2}
    api.merge(path("SandboxWarmPool", "scaled", "status"), {"status": status})
    scale = api.get(path("SandboxWarmPool", "scaled", "scale"))
    assert scale["spec"] == {"replicas": 7}
    assert scale["status"] == {"replicas": 5, "selector": "a=b"}
    create(api, "Sandbox", "unscaled", {"podTemplate": pod()})
    assert api.status(path("Sandbox", "unscaled", "scale")) == 404


@pytest.mark.parametrize(
    ("short", "spec", "status", "header", "row"),
    [
        ("sandbox", {"podTemplate": pod()}, STATUS, "NAME READY REASON AGE", "x False Waiting"),
        (
            "sandboxclaim",
            POOL_REF,
            STATUS | {"sandbox": {"name": "s"}},
            "NAME READY SANDBOX REASON AGE",
            "x False s Waiting",
        ),
        ("swp", TEMPLATE_REF, {"readyReplicas": 4}, "NAME READY DESIRED AGE", "x 4 1"),
        ("sandboxtemplate", {"podTemplate": pod()}, None, "NAME AGE", "x"),
    ],
)
def test_kubectl_shows_columns_by_short_name(
    control_plane: ControlPlane,
    api: ApiSession,
    short: str,
    spec: Object,
    status: Object | None,
    header: str,
    row: str,
) -> None:
    singular = {"swp": "sandboxwarmpool"}.get(short, short)
    (kind,) = [kind for kind in GROUPS if kind.lower() == singular]
    create(api, kind, "x", spec)
    if status:
        api.merge(path(kind, "x", "status"), {"status": status})
    shown = control_plane.kubectl("get", "-n", NAMESPACE, short, "x").splitlines()
    assert shown[0].split() == header.split()
    assert shown[1].split()[:-1] == row.split()


# --- the manifests beside them ---


def test_kustomize_renders_the_installation_and_the_samples(control_plane: ControlPlane) -> None:
    installed = yaml.safe_load_all(control_plane.kubectl("kustomize", str(ROOT / "config")))
    by_kind = {document["kind"]: document for document in installed}
    assert {"Namespace", "CustomResourceDefinition", "Role", "Deployment"} <= by_kind.keys()
    (container,) = by_kind["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "warmclaim:latest"
    samples = control_plane.kubectl("apply", "-n", NAMESPACE, "-k", str(ROOT / "config/samples"))
    assert samples.count(" created") == 3


def test_the_samples_pods_keep_to_the_restricted_standard(
    control_plane: ControlPlane, api: ApiSession
) -> None:
    """Those of the manager are in test_manifests, as the overlays and the chart make them."""
    text = (ROOT / "config" / "samples" / "template.yaml").read_text(encoding="utf-8")
    blueprint = yaml.safe_load(text)["spec"]["podTemplate"]
    spec = blueprint["spec"] | {"serviceAccountName": "default"}
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.merge(f"/api/v1/namespaces/{NAMESPACE}", {"metadata": {"labels": label}})
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    assert api.request("POST", pods, body, query={"dryRun": "All"})["kind"] == "Pod"
    del spec["securityContext"]
    with pytest.raises(ApiError, match="PodSecurity"):
        api.request("POST", pods, body, query={"dryRun": "All"})
