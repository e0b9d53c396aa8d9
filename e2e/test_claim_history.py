"""The manifests that turn the claim history on: as kustomize renders, and a cluster takes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.cluster import ControlPlane
from e2e.controlplane.api import ApiSession
from e2e.controlplane.objects import create_namespace

from warmclaim.cli.goflags import parse_settings
from warmclaim.settings import Settings

pytestmark = pytest.mark.e2e

CONFIG = Path(__file__).resolve().parent.parent / "config"
NAMESPACE = "history-manifests"
MOUNT = "claim-history"


@pytest.fixture(scope="module")
def api(control_plane: ControlPlane) -> Iterator[ApiSession]:
    """The admin's session, while a namespace as strict as the manager's exists."""
    create_namespace(control_plane.api, NAMESPACE)
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    control_plane.api.merge(f"/api/v1/namespaces/{NAMESPACE}", {"metadata": {"labels": label}})
    yield control_plane.api
    control_plane.api.delete(f"/api/v1/namespaces/{NAMESPACE}")


@pytest.fixture(params=["", "with-v1alpha1"])
def pod(request: pytest.FixtureRequest, control_plane: ControlPlane, tmp_path: Path) -> Any:
    """The manager's pod, of each way to install it with the component."""
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(CONFIG / request.param, tmp_path)],
        "components": [os.path.relpath(CONFIG / "components/claim-history", tmp_path)],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    rendered = yaml.safe_load_all(control_plane.kubectl("kustomize", str(tmp_path)))
    (deployment,) = [one for one in rendered if one["kind"] == "Deployment"]
    return deployment["spec"]["template"]["spec"]


def settings_of(pod: Any) -> Settings:
    (container,) = pod["containers"]
    return parse_settings(container["args"], dropin=True).settings


def test_what_the_history_may_take_fits_its_volume(pod: Any) -> None:
    history = settings_of(pod).history
    (mount,) = [it for it in pod["containers"][0]["volumeMounts"] if it["name"] == MOUNT]
    (volume,) = [it for it in pod["volumes"] if it["name"] == MOUNT]
    assert mount["mountPath"] == history.directory
    assert not mount.get("readOnly")
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    limit = volume["emptyDir"]["sizeLimit"]
    assert limit.endswith("Gi")
    # What is archived lies there twice until it is handed over.
    taken = 2 * history.spool_bytes_max + history.keep_bytes_max
    assert 0 < history.spool_bytes_max < taken < int(limit.removesuffix("Gi")) * 2**30


def test_the_other_volumes_and_flags_stay(pod: Any, request: pytest.FixtureRequest) -> None:
    is_served = "v1alpha1" in request.node.name
    assert settings_of(pod).webhook.enabled == is_served
    names = [it["name"] for it in pod["volumes"]]
    assert {MOUNT, "account"} <= set(names)
    assert ("webhook-certs" in names) == is_served
    assert len(set(names)) == len(names)


def test_a_restricted_namespace_takes_the_pod(pod: Any, api: ApiSession) -> None:
    spec = pod | {"serviceAccountName": "default"}
    del spec["priorityClassName"]  # which the cluster of these tests has not
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "manager"}, "spec": spec}
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    assert api.request("POST", pods, body, query={"dryRun": "All"})["kind"] == "Pod"
