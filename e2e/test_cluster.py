"""The control plane itself: what the other tests in this folder rely on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.cluster import ADMIN, COMPONENTS, WARMCLAIM, ControlPlane, ControlPlaneError
from e2e.controlplane.api import ApiError, Object
from e2e.controlplane.build import SETS, bin_dir, cache_root
from e2e.controlplane.commands import API_SERVER, CONTROLLERS, ETCD, NODES, SCHEDULING
from e2e.controlplane.failures import wait_until
from e2e.controlplane.objects import is_ready

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parent.parent
START_S = 10.0
Say = Callable[[str], None]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Print a figure past the capture, so that it is seen in a green run too."""

    def show(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}", end="")

    return show


def pod(name: str, *, annotations: dict[str, str] | None = None, **spec: object) -> Object:
    """A pod with one small container."""
    container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "100m"}}}
    metadata = {"name": name, "labels": {"app": "burst"}, "annotations": annotations or {}}
    return {"metadata": metadata, "spec": {"containers": [container]} | spec}


def wait_for_pod(cluster: ControlPlane, namespace: str, name: str, what: str, **want: str) -> None:
    """Wait until fields of the pod's status, or conditions by type, have these values."""

    def different() -> str | None:
        status = cluster.api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")["status"]
        have = {one["type"]: one["status"] for one in status.get("conditions", [])} | status
        return None if all(have.get(key) == value for key, value in want.items()) else str(have)

    wait_until(f"pod {name} {what}", different, timeout_s=10, log=cluster.logs(NODES))


def wait_gone(cluster: ControlPlane, path: str, timeout_s: float = 10) -> None:
    """Wait until a GET answers 404."""

    def present() -> str | None:
        code = cluster.api.status(path)
        return None if code == 404 else f"GET answers {code}"

    wait_until(f"deletion of {path}", present, timeout_s=timeout_s, log=cluster.logs(CONTROLLERS))


def processes_of(work_dir: str) -> list[str]:
    """Command lines of all processes that were started with this work directory."""
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if work_dir in line:
            found.append(line)
    return found


def test_it_starts_in_ten_seconds(control_plane: ControlPlane, say: Say) -> None:
    steps = ", ".join(f"{step} {at:.1f}" for step, at in control_plane.timings.items())
    say(f"start to 100 Ready nodes, seconds: {steps}")
    assert max(control_plane.timings.values()) <= START_S


def test_it_is_the_version_it_says(control_plane: ControlPlane) -> None:
    version = control_plane.api.get("/version")
    assert version["gitVersion"].startswith(f"v{version['major']}.{version['minor']}.")
    assert (ROOT / "e2e/controlplane/kubernetes/go.mod").read_text().count(version["gitVersion"])


def test_a_second_build_has_nothing_to_do_and_says_so_in_one_line(
    control_plane: ControlPlane,
) -> None:
    script = ROOT / "e2e" / "controlplane" / "build.py"
    begun = time.monotonic()
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert time.monotonic() - begun < 1
    assert done.stdout == f"controlplane: already built in {cache_root()}\n"
    for tools in SETS:
        assert {tool.name for tool in tools} <= {file.name for file in bin_dir(tools).iterdir()}


def test_every_served_version_of_our_crds_answers(control_plane: ControlPlane) -> None:
    crds = control_plane.api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
    for crd in crds["items"]:
        spec = crd["spec"]
        for version in (one["name"] for one in spec["versions"] if one["served"]):
            path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
            assert "items" in control_plane.api.get(path)


def test_all_nodes_are_ready_and_untainted(control_plane: ControlPlane) -> None:
    nodes = control_plane.api.get("/api/v1/nodes")["items"]
    assert {node["metadata"]["name"] for node in nodes} >= {f"node-{n}" for n in range(100)}
    for node in nodes:
        assert is_ready(node)
        assert "taints" not in node["spec"]
        assert node["status"]["allocatable"]["pods"] == "110"


def test_two_hundred_pods_spread_over_all_nodes_and_become_ready(
    control_plane: ControlPlane, namespace: str, say: Say
) -> None:
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "burst"}},
    }
    path = f"/api/v1/namespaces/{namespace}/pods"
    begun = time.monotonic()
    for number in range(200):
        body = pod(f"pod-{number}", topologySpreadConstraints=[spread])
        control_plane.api.create(path, body)
    created_s = time.monotonic() - begun

    def unready() -> str | None:
        ready = sum(is_ready(one) for one in control_plane.api.get(path)["items"])
        return None if ready == 200 else f"{ready} of 200 Ready"

    wait_until("200 pods", unready, timeout_s=30, log=control_plane.logs(NODES), interval_s=0.1)
    say(f"200 pods: created in {created_s:.1f} s, all Ready {time.monotonic() - begun:.1f} s")
    pods = control_plane.api.get(path)["items"]
    per_node = Counter(one["spec"]["nodeName"] for one in pods)
    assert len(per_node) == 100
    assert set(per_node.values()) == {2}
    assert len({one["status"]["podIP"] for one in pods}) == 200
    for one in pods:
        types = {condition["type"] for condition in one["status"]["conditions"]}
        assert {"PodScheduled", "Ready", "ContainersReady", "Initialized"} <= types


def test_annotations_delay_readiness_and_turn_it_off_and_on(
    control_plane: ControlPlane, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    late = {"kwok.warmclaim.test/ready-after": "1500ms", "kwok.warmclaim.test/ready": "false"}
    control_plane.api.create(path, pod("slow", annotations=late))
    wait_for_pod(control_plane, namespace, "slow", "scheduled", PodScheduled="True")
    begun = time.monotonic()
    wait_for_pod(control_plane, namespace, "slow", "running", phase="Running", Ready="False")
    assert time.monotonic() - begun > 1.0
    for ready in ("true", "false", "true"):
        patch: Object = {"metadata": {"annotations": {"kwok.warmclaim.test/ready": ready}}}
        control_plane.api.merge(f"{path}/slow", patch)
        wait_for_pod(control_plane, namespace, "slow", f"ready {ready}", Ready=ready.title())


@pytest.mark.parametrize(("code", "phase"), [("0", "Succeeded"), ("7", "Failed")])
def test_an_annotation_ends_a_pod(
    control_plane: ControlPlane, namespace: str, code: str, phase: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    exits = {"kwok.warmclaim.test/exit-code": code}
    control_plane.api.create(path, pod("done", annotations=exits))
    wait_for_pod(control_plane, namespace, "done", "ended", phase=phase, Ready="False")


def test_a_pod_with_a_volume_claim_runs_and_the_volume_goes_with_the_claim(
    control_plane: ControlPlane, namespace: str
) -> None:
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    control_plane.api.create(claims, {"metadata": {"name": "data"}, "spec": spec})
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    pods = f"/api/v1/namespaces/{namespace}/pods"
    control_plane.api.create(pods, pod("writer", volumes=volumes))
    wait_for_pod(control_plane, namespace, "writer", "running", phase="Running")
    claim = control_plane.api.get(f"{claims}/data")
    assert claim["status"]["phase"] == "Bound"
    for path in (f"{pods}/writer", f"{claims}/data"):
        control_plane.api.delete(path)
        wait_gone(control_plane, path)
    wait_gone(control_plane, f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")


def test_what_a_deleted_object_owned_is_collected(
    control_plane: ControlPlane, namespace: str, say: Say
) -> None:
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    owner = control_plane.api.create(maps, {"metadata": {"name": "owner"}})["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    for number in range(20):
        owned = pod(f"owned-{number}")
        owned["metadata"]["ownerReferences"] = [reference]
        control_plane.api.create(f"/api/v1/namespaces/{namespace}/pods", owned)
    begun = time.monotonic()
    control_plane.api.delete(f"{maps}/owner")
    for number in range(20):
        wait_gone(control_plane, f"/api/v1/namespaces/{namespace}/pods/owned-{number}")
    say(f"20 pods collected {time.monotonic() - begun:.2f} s after their owner's deletion")


def test_a_late_kind_is_collected_at_once_when_asked(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    schema: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    crd: Object = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.e2e.test"},
        "spec": {"group": "e2e.test", "names": names, "scope": "Namespaced", "versions": [version]},
    }
    (tmp_path / "widgets.yaml").write_text(json.dumps(crd))
    control_plane.apply_crds([tmp_path], collect_now=True)
    widgets = f"/apis/e2e.test/v1/namespaces/{namespace}/widgets"
    kind = {"apiVersion": "e2e.test/v1", "kind": "Widget"}
    widget = control_plane.api.create(widgets, kind | {"metadata": {"name": "w"}})
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    reference = kind | {"name": "w", "uid": widget["metadata"]["uid"]}
    owned = {"name": "of-widget", "ownerReferences": [reference]}
    control_plane.api.create(maps, {"metadata": owned})
    control_plane.api.delete(f"{widgets}/w")
    wait_gone(control_plane, f"{maps}/of-widget")


def test_a_deleted_namespace_goes_away_with_its_pods(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.api.create(f"/api/v1/namespaces/{namespace}/pods", pod("one"))
    control_plane.api.delete(f"/api/v1/namespaces/{namespace}")
    wait_gone(control_plane, f"/api/v1/namespaces/{namespace}", timeout_s=20)


def test_the_audit_log_has_every_request_of_a_user_with_its_outcome(
    control_plane: ControlPlane, namespace: str
) -> None:
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    mark = control_plane.audit_mark()
    session = control_plane.session(WARMCLAIM)
    try:
        with pytest.raises(ApiError, match="forbidden"):
            session.create(secrets, {"metadata": {"name": "mine"}})
    finally:
        session.close()
    control_plane.audit_settle()
    (event,) = control_plane.audit_events(mark, user=WARMCLAIM)
    assert (event.verb, event.resource, event.namespace) == ("create", "secrets", namespace)
    assert (event.code, event.is_write, event.user_agent) == (403, True, "e2e/warmclaim")
    assert abs(event.received_s - time.time()) < 10
    assert 0 <= event.staged_s - event.received_s < 5


def test_the_kubeconfigs_are_of_their_users(control_plane: ControlPlane, namespace: str) -> None:
    def asked(user: str) -> str:
        return control_plane.kubectl("auth", "whoami", "-o", "jsonpath={..username}", user=user)

    assert asked(WARMCLAIM) == WARMCLAIM
    assert asked(ADMIN) == ADMIN
    path = control_plane.account_kubeconfig(namespace, "default")
    content = json.loads(path.read_text())
    assert content["clusters"][0]["cluster"]["server"] == control_plane.server
    with pytest.raises(ControlPlaneError, match="forbidden"):
        control_plane.kubectl("get", "secrets", "-n", namespace, user=WARMCLAIM)


@pytest.mark.parametrize("component", [ETCD, API_SERVER, CONTROLLERS, SCHEDULING, NODES])
def test_a_killed_component_comes_back_with_what_was_stored(
    control_plane: ControlPlane, namespace: str, component: str, say: Say
) -> None:
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    control_plane.api.create(maps, {"metadata": {"name": "kept"}})
    control_plane.kill(component)
    with pytest.raises(ControlPlaneError, match=f"{component} ended with code -9"):
        control_plane.usage(component)
    begun = time.monotonic()
    control_plane.restart(component)
    control_plane.wait_ready(API_SERVER)
    say(f"{component}: killed, started, ready after {time.monotonic() - begun:.1f} s")
    assert control_plane.api.get(f"{maps}/kept")["metadata"]["name"] == "kept"
    control_plane.api.create(f"/api/v1/namespaces/{namespace}/pods", pod("after"))
    wait_for_pod(control_plane, namespace, "after", "running", phase="Running")


def test_a_stopped_component_stands_still_until_it_is_continued(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.kill(SCHEDULING, signal.SIGSTOP)
    try:
        control_plane.api.create(f"/api/v1/namespaces/{namespace}/pods", pod("waiting"))
        time.sleep(0.5)
        path = f"/api/v1/namespaces/{namespace}/pods/waiting"
        assert "nodeName" not in control_plane.api.get(path)["spec"]
    finally:
        control_plane.kill(SCHEDULING, signal.SIGCONT)
    wait_for_pod(control_plane, namespace, "waiting", "running", phase="Running")


def test_stop_leaves_no_process_and_no_file() -> None:
    cluster = ControlPlane(nodes=1, crds=())
    cluster.start()
    work_dir = cluster.work_dir
    assert len(processes_of(str(work_dir))) >= len(COMPONENTS)
    cluster.stop()
    assert processes_of(str(work_dir)) == []
    assert not work_dir.exists()
    cluster.stop()
    with pytest.raises(ControlPlaneError, match="not started"):
        cluster.kill(ETCD)


def test_a_killed_test_runner_leaves_no_process_and_no_file() -> None:
    command = [sys.executable, "-m", "e2e.cluster", "up", "--nodes", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = runner.stdout.readline()
            assert line, said
            said += line
        work_dir = said.partition("work dir:")[2].split()[0]
        assert len(processes_of(work_dir)) > len(COMPONENTS)
        runner.kill()

    def left() -> str | None:
        return str(processes_of(work_dir)) if processes_of(work_dir) else None

    wait_until("end of all components", left, timeout_s=5)
    assert not Path(work_dir).exists()


def test_a_component_that_cannot_start_is_named_with_its_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("e2e.cluster._KWOK_CONFIG", tmp_path)
    cluster = ControlPlane(nodes=1, crds=())
    (tmp_path / "storage-class.yaml").write_text("")
    with pytest.raises(ControlPlaneError, match=r"kwok ended with code 1[\s\S]*kwok.yaml"):
        cluster.start()
    with pytest.raises(ControlPlaneError, match="not started"):
        cluster.wait_ready(ETCD)
