"""What is installed: overlays and chart give the same, and pods are restricted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from e2e.burst.guarded import COMPONENTS
from e2e.cluster import ControlPlane
from e2e.controlplane.api import ApiError, Object
from e2e.controlplane.failures import ControlPlaneError
from e2e.controlplane.manifests import (
    CHART,
    arguments,
    composed,
    deployment,
    kustomized,
    templated,
)

from warmclaim.cli.goflags import parse_settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

OVERLAYS = ("everything", "claims-and-pools", "namespaced")
CLUSTER_KINDS = {"Namespace", "PriorityClass", "ClusterRole", "ClusterRoleBinding",
                 "CustomResourceDefinition"}  # fmt: skip
NAMES = "app.kubernetes.io/"
GUARDED = ("--set", "tenantGuard.enabled=true,tenantRoles.enabled=true")


def example(overlay: str) -> list[str]:
    return ["-f", str(CHART / "examples" / f"{overlay}.yaml"), "--set", "image.tag=latest"]


def key(thing: Object) -> tuple[str, str, str]:
    metadata = thing["metadata"]
    return thing["kind"], metadata.get("namespace", ""), metadata["name"]


def plain(value: Any, app: str) -> Any:
    """Without Helm's labels, and where it selects by them, by `app` instead; the order of args,
    which is judged by its meaning, is left out."""
    if isinstance(value, list):
        return [plain(one, app) for one in cast("Sequence[Any]", value)]
    if not isinstance(value, dict):
        return value
    given = cast("Object", value)
    left_out = {name for name in given if name.startswith((NAMES, "helm.sh/"))} | {"args"}
    kept = {name: plain(one, app) for name, one in given.items() if name not in left_out}
    if any(name.startswith(NAMES) for name in given):
        kept["app"] = app
    return kept


def normal(things: list[Object]) -> dict[tuple[str, str, str], Any]:
    app = deployment(things)["metadata"]["name"]
    found = {key(thing): plain(thing, app) for thing in things}
    for thing in found.values():
        thing["metadata"].pop("labels", None)
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_chart_gives_the_objects_of_the_overlay(overlay: str) -> None:
    mine = kustomized(f"overlays/{overlay}")
    chart = templated(*example(overlay), with_crds=overlay == "everything")
    assert normal(chart) == normal(mine)
    labels = {
        t["metadata"].get("labels", {}).get("app") for t in chart if t["kind"] == "Deployment"
    }
    assert labels == {deployment(mine)["metadata"]["name"]}
    ours, theirs = (parse_settings(arguments(one), dropin=True) for one in (mine, chart))
    assert ours.settings == theirs.settings
    assert not ours.ignored_flags


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_metrics_are_secure_where_a_cluster_role_may_be_had(overlay: str) -> None:
    settings = parse_settings(arguments(kustomized(f"overlays/{overlay}")), dropin=True).settings
    assert settings.serving.metrics_secure == (overlay != "namespaced")


def test_what_is_namespaced_can_be_made_secure_by_who_may(tmp_path: Path) -> None:
    mine = composed(tmp_path, "overlays/namespaced", "components/secure-metrics")
    chart = templated(*example("namespaced"), "--set", "metrics.secure=true")
    assert normal(chart) == normal(mine)
    roles = {thing["metadata"]["name"] for thing in mine if thing["kind"] == "ClusterRole"}
    assert roles == {
        "agent-sandbox-controller-endpoints",
        "agent-sandbox-diagnostics-reader",
        "agent-sandbox-metrics-reader",
    }


def test_the_chart_with_its_webhook_gives_the_objects_of_with_v1alpha1() -> None:
    mine, chart = normal(kustomized("with-v1alpha1")), normal(
        templated(*example("everything"), "--set", "webhook.enabled=true")
    )  # fmt: skip
    crds = {name for name in mine if name[0] == "CustomResourceDefinition"}
    assert {name: one for name, one in mine.items() if name not in crds} == chart


def test_the_old_entrance_is_the_overlay_of_everything() -> None:
    assert kustomized(".") == kustomized("overlays/everything")


def test_what_is_namespaced_has_nothing_of_the_cluster() -> None:
    things = kustomized("overlays/namespaced")
    assert not CLUSTER_KINDS & {thing["kind"] for thing in things}
    assert {thing["metadata"]["namespace"] for thing in things} == {
        "agent-sandbox-system",
        "sandboxes",
    }


def test_beside_another_controller_no_object_has_a_name_of_its() -> None:
    theirs = {key(thing) for thing in kustomized("overlays/everything")}
    mine = kustomized("overlays/claims-and-pools")
    assert not theirs & {key(thing) for thing in mine}
    selector = deployment(mine)["spec"]["selector"]["matchLabels"]
    assert selector == {"app": "agent-sandbox-controller-claims"}


@pytest.mark.parametrize("overlay", ["everything", "claims-and-pools"])
def test_the_tenants_guard_and_roles_are_the_charts(overlay: str, tmp_path: Path) -> None:
    mine = composed(tmp_path, f"overlays/{overlay}", *COMPONENTS)
    chart = templated(*example(overlay), *GUARDED, with_crds=overlay == "everything")
    assert normal(chart) == normal(mine)
    ours, theirs = (aggregated(things) for things in (mine, chart))
    assert ours == theirs
    assert len(ours) == 3
    (listed,) = (thing["data"] for thing in chart if thing["kind"] == "ConfigMap")
    account = deployment(chart)["spec"]["template"]["spec"]["serviceAccountName"]
    assert listed["manager"] == f"system:serviceaccount:agent-sandbox-system:{account}"


def aggregated(things: list[Object]) -> dict[str, Object]:
    """Which of the cluster's roles each role adds to."""
    found: dict[str, Object] = {}
    for thing in things:
        labels: Object = thing["metadata"].get("labels", {})
        into = {key: word for key, word in labels.items() if "/aggregate-to-" in key}
        if into:
            found[thing["metadata"]["name"]] = into
    return found


def test_the_chart_adds_controllers_to_the_list_and_knows_where_the_guard_can_be() -> None:
    added = "tenantGuard.controllers.restore=system:serviceaccount:backup:restore"
    (listed,) = (
        thing for thing in templated(*GUARDED, "--set", added, "--set", "namespace.name=there")
        if thing["kind"] == "ConfigMap"
    )  # fmt: skip
    assert listed["metadata"]["namespace"] == "there"
    assert listed["data"]["restore"] == "system:serviceaccount:backup:restore"
    assert listed["data"]["manager"].startswith("system:serviceaccount:there:")
    with pytest.raises(ControlPlaneError, match=r"needs Kubernetes 1\.30"):
        templated(*GUARDED, "--kube-version", "1.29.4")


ADDED = {
    "snapshot": "snapshot.enabled=true",
    "claim-history": "claimHistory.enabled=true",
    "metrics-certificate": "metrics.certificateSecret=agent-sandbox-metrics-certs",
}
"""Components, and the value of the chart that stands for each."""


@pytest.mark.parametrize("component", ADDED)
@pytest.mark.parametrize("overlay", ["everything", "claims-and-pools"])
def test_a_component_and_its_value_give_the_same(
    overlay: str, component: str, tmp_path: Path
) -> None:
    mine = composed(tmp_path, f"overlays/{overlay}", f"components/{component}")
    chart = templated(*example(overlay), "--set", ADDED[component])
    assert added(mine, component) == added(chart, component)
    ours, theirs = (parse_settings(arguments(one), dropin=True) for one in (mine, chart))
    assert ours.settings == theirs.settings
    bare = parse_settings(arguments(templated(*example(overlay))), dropin=True)
    assert theirs.settings != bare.settings


def added(things: list[Object], component: str) -> dict[str, Any]:
    """All but definitions, by kind and name. A component's own objects have their names without
    the overlay's suffix, which the chart puts to all."""
    own = f"agent-sandbox-controller-{component}"
    found = {key: one for key, one in normal(things).items() if "Definition" not in key[0]}
    text = json.dumps({"/".join(key): one for key, one in found.items()}, sort_keys=True)
    again: dict[str, Any] = json.loads(text.replace(f"{own}-claims", own))
    return again


def test_snapshots_of_one_namespace_need_a_role_there_alone() -> None:
    things = templated(*example("namespaced"), "--set", ADDED["snapshot"])
    roles = [thing for thing in things if "-snapshot" in thing["metadata"]["name"]]
    assert {(one["kind"], one["metadata"]["namespace"]) for one in roles} == {
        ("Role", "sandboxes"),
        ("RoleBinding", "sandboxes"),
    }


@pytest.mark.parametrize("overlay", ["everything", "claims-and-pools"])
def test_flow_control_is_for_the_account_of_the_overlay(overlay: str, tmp_path: Path) -> None:
    mine = composed(tmp_path, f"overlays/{overlay}", "components/flow-control")
    chart = templated(*example(overlay), "--set", "flowControl.enabled=true")
    (account,) = [thing["metadata"]["name"] for thing in mine if thing["kind"] == "ServiceAccount"]
    said: list[list[str]] = []
    for things in (mine, chart):
        found = [thing for thing in things if "flowcontrol" in thing["apiVersion"]]
        assert len(found) == 6
        levels = {thing["metadata"]["name"] for thing in found if "Level" in thing["kind"]}
        schemas = [thing["spec"] for thing in found if thing["kind"] == "FlowSchema"]
        assert {spec["priorityLevelConfiguration"]["name"] for spec in schemas} == levels
        subjects = [one for spec in schemas for rule in spec["rules"] for one in rule["subjects"]]
        whose = {"name": account, "namespace": "agent-sandbox-system"}
        assert [one["serviceAccount"] for one in subjects] == [whose] * 3
        said.append(sorted(limits(thing) for thing in found))
    assert said[0] == said[1]


def limits(thing: Object) -> str:
    """What a level or a schema says, but for names of others."""
    spec = thing["spec"]
    rules = [rule["resourceRules"] for rule in spec.get("rules", ())]
    return json.dumps([spec.get("limited"), spec.get("matchingPrecedence"), rules], sort_keys=True)


@pytest.mark.parametrize("overlay", ["everything", "claims-and-pools"])
def test_the_seal_gives_the_same_by_component_and_by_value(overlay: str, tmp_path: Path) -> None:
    mine = composed(tmp_path, f"overlays/{overlay}", "components/seal")
    secret = "agent-sandbox-system/agent-sandbox-seal"
    value = f"controller.sandboxWarmPoolSealSecret={secret}"
    chart = templated(*example(overlay), "--set", value)
    for things in (mine, chart):
        assert parse_settings(arguments(things), dropin=True).settings.pools.seal_secret == secret
    assert seal_rights(mine) == seal_rights(chart)


def seal_rights(things: list[Object]) -> tuple[str, list[Object], str]:
    """Where the seal's Role is, its rules, and to whom it is given."""
    ours = [thing for thing in things if "-seal" in thing["metadata"]["name"]]
    role, binding = sorted(ours, key=lambda thing: str(thing["kind"]))
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    (subject,) = binding["subjects"]
    return role["metadata"]["namespace"], role["rules"], subject["name"]


SOURCES = [*(f"overlays/{one}" for one in OVERLAYS), "with-v1alpha1", *OVERLAYS]
"""Of config; those without a slash are the chart's, but for the component."""


@pytest.mark.parametrize("source", SOURCES)
def test_pods_are_admitted_where_only_restricted_ones_are(
    control_plane: ControlPlane, namespace: str, source: str
) -> None:
    """By a dry run on the server: the pod that the Deployment would make, and a looser one not."""
    api, folder = control_plane.api, f"/api/v1/namespaces/{namespace}/pods"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.merge(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}})
    things = templated(*example(source)) if source in OVERLAYS else kustomized(source)
    template = deployment(things)["spec"]["template"]
    spec = template["spec"] | {"serviceAccountName": "default", "priorityClassName": ""}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "manager"}, "spec": spec}
    api.request("POST", folder, pod, query={"dryRun": "All"})
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["resources"]["limits"]["memory"]
    sources = [one for v in spec["volumes"] for one in v.get("projected", {}).get("sources", [])]
    (token,) = (one["serviceAccountToken"] for one in sources if "serviceAccountToken" in one)
    assert token["expirationSeconds"] == 3600
    loose = pod | {"spec": spec | {"securityContext": {}}}
    with pytest.raises(ApiError) as refused:
        api.request("POST", folder, loose, query={"dryRun": "All"})
    assert "violates PodSecurity" in str(refused.value)
