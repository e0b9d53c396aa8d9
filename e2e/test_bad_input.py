"""What users, tenants and broken clusters do to the controller, on a real control plane.

A wrong command line ends at once with one line. A cluster that is not as it should be is waited
for, with the reason on /readyz. An object of one tenant, however odd, stops nobody else's.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.burst.process import ControllerProcess
from e2e.burst.rights import grant
from e2e.burst.tenant import Tenant, odd_objects, ready_status, sandbox_body
from e2e.cluster import WARMCLAIM, ControlPlane
from e2e.controlplane.api import Object
from e2e.controlplane.commands import CONTROLLERS
from e2e.controlplane.failures import wait_until
from e2e.controlplane.objects import create_namespace
from e2e.controlplane.ports import free_ports

from warmclaim.api.names import LABEL_WARM_POOL, name_hash
from warmclaim.loadtest.objects import CLAIMS, SANDBOXES, claim_body

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

CRDS = Path(__file__).resolve().parent.parent / "config" / "crd"
KINDS = (
    "sandboxclaims.extensions.agents.x-k8s.io",
    "sandboxes.agents.x-k8s.io",
    "sandboxtemplates.extensions.agents.x-k8s.io",
    "sandboxwarmpools.extensions.agents.x-k8s.io",
)
CRASH = "Traceback (most recent call last)"


# --- a wrong command line ---


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `warmclaim run` to its end."""
    command = [sys.executable, "-m", "warmclaim", "run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit 2 and one line on standard error with these words; nothing else."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert not [word for word in words if word not in line], line


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--no-such-flag", ("--no-such-flag",)),
        ("--claim-wait=soon", ("--claim-wait", "soon")),
        ("--claim-connections=0", ("--claim-connections", "0")),
        ("--leader-elect=perhaps", ("--leader-elect", "perhaps")),
        ("--controllers=claim,ghost", ("--controllers", "ghost")),
        ("--health-probe-bind-address=nowhere", ("--health-probe-bind-address", "nowhere")),
        ("--zap-log-level=loud", ("--zap-log-level", "loud")),
    ],
)
def test_a_wrong_flag_is_refused_by_name(flag: str, words: tuple[str, ...]) -> None:
    assert_refused(run(flag), *words)


def kubeconfig(server: str = "https://127.0.0.1:1", **changes: object) -> Object:
    """A kubeconfig with a token, as kubectl writes it."""
    content: Object = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "secret-token"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    return content | changes


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{unclosed",
        json.dumps(kubeconfig(**{"current-context": "ghost"})),
        json.dumps(kubeconfig(contexts=[])),
        json.dumps(kubeconfig(server="not a url")),
        json.dumps(
            kubeconfig(
                clusters=[
                    {
                        "name": "c",
                        "cluster": {
                            "server": "https://h",
                            "certificate-authority-data": "bm8gUEVN",
                        },
                    }
                ]
            )
        ),
    ],
    ids=["missing", "empty", "no YAML", "unknown context", "no context", "no URL", "no PEM"],
)
def test_a_bad_kubeconfig_is_refused_in_one_line(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "kubeconfig"
    if content is not None:
        file.write_text(content)
    done = run(f"--kubeconfig={file}", "--leader-elect=false")
    assert_refused(done, str(file))
    assert "secret-token" not in done.stderr


# --- a cluster that is not as it should be ---


def wait_reason(controller: ControllerProcess, *words: str) -> None:
    """Wait until /readyz answers 503 and its reason has these words."""

    def lacking() -> str | None:
        probe = controller.probe()
        is_told = probe.code == 503 and all(word in probe.text for word in words)
        return None if is_told else f"/readyz answers {probe.code}: {probe.text}"

    wait_until("reason", lacking, timeout_s=20, log=controller.log, interval_s=0.1)


def assert_stops_well(controller: ControllerProcess) -> None:
    """It runs still, ends with code 0 when asked to, and has not crashed anywhere."""
    assert controller.is_running(), controller.tail()
    assert controller.stop() == []
    assert CRASH not in controller.log.read_text()


def test_without_a_cluster_it_says_so_and_tries_again(tmp_path: Path) -> None:
    port = free_ports().api_server
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(kubeconfig(f"https://127.0.0.1:{port}")))
    with ControllerProcess(file, tmp_path / "log") as controller:
        wait_reason(controller, f"127.0.0.1:{port}")
        controller.wait_logged(f"127.0.0.1:{port}")
        with socket.create_server(("127.0.0.1", port)) as server:
            server.settimeout(60)
            server.accept()[0].close()
        assert_stops_well(controller)
        assert "secret-token" not in controller.log.read_text()


def test_without_crds_it_says_which_are_missing_and_starts_when_they_come(tmp_path: Path) -> None:
    with ControlPlane(nodes=1, crds=()) as cluster:
        grant(cluster.api, WARMCLAIM)
        with ControllerProcess(cluster.kubeconfig(WARMCLAIM), tmp_path) as controller:
            wait_reason(controller, KINDS[0])
            controller.wait_logged(*KINDS)
            cluster.apply_crds([CRDS])
            controller.wait_ready(60)
            assert_stops_well(controller)


def test_without_rights_it_says_which(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    account = control_plane.account_kubeconfig(namespace, "default")
    with ControllerProcess(account, tmp_path) as controller:
        wait_reason(controller, "forbidden", "watch", "sandboxclaims")
        controller.wait_logged(*(kind.partition(".")[0] for kind in KINDS), "pods", "services")
        assert_stops_well(controller)


# --- objects that are not as they should be ---


@pytest.fixture(scope="module")
def controller(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControllerProcess]:
    """A ready controller with the rights of config/rbac; at the end it must not have crashed."""
    grant(control_plane.api, WARMCLAIM)
    log_dir = tmp_path_factory.mktemp("controller")
    with ControllerProcess(control_plane.kubeconfig(WARMCLAIM), log_dir) as process:
        process.wait_ready()
        yield process
        assert_stops_well(process)


@pytest.fixture
def tenant(control_plane: ControlPlane, namespace: str, controller: ControllerProcess) -> Tenant:
    """A tenant in a namespace of the test's own."""
    return Tenant(control_plane.api, namespace, controller)


def test_a_claim_on_a_missing_pool_says_so_and_is_woken_when_the_pool_comes(
    tenant: Tenant,
) -> None:
    tenant.claim("early", "late-pool")
    message = 'SandboxWarmPool "late-pool" not found'
    tenant.wait_claim("early", status="False", reason="WarmPoolNotFound", message=message)
    tenant.pool(1, "late-pool")
    tenant.wait_served("early")


def test_a_sandbox_with_forged_labels_or_owner_is_never_given(
    tenant: Tenant, control_plane: ControlPlane
) -> None:
    pool = tenant.pool(0)
    labels = {LABEL_WARM_POOL: name_hash("burst")}
    owner = {"apiVersion": pool["apiVersion"], "kind": pool["kind"], "name": "burst"}
    flags = {"controller": True, "blockOwnerDeletion": True}
    wrong = owner | flags | {"uid": "00000000-0000-4000-8000-000000000000"}
    no_controller = owner | {"uid": pool["metadata"]["uid"]}
    forged = {
        "labels-only": sandbox_body("labels-only", labels=labels),
        "wrong-uid": sandbox_body("wrong-uid", labels=labels, ownerReferences=[wrong]),
        "not-controller": sandbox_body(
            "not-controller", labels=labels, ownerReferences=[no_controller]
        ),
    }
    # The garbage collector would take the one with the wrong uid away.
    control_plane.kill(CONTROLLERS, signal.SIGSTOP)
    try:
        for name, body in forged.items():
            assert tenant.refusal(SANDBOXES, body, ready_status()) == "", name
        for name in ("a", "b", "c"):
            tenant.claim(name)
        # Nothing warm is to be had, so each is started cold, under the claim's own name.
        assert [tenant.wait_served(name) for name in ("a", "b", "c")] == ["a", "b", "c"]
        for name, body in forged.items():
            kept = tenant.get(SANDBOXES, name)["metadata"].get("ownerReferences")
            assert kept == body["metadata"].get("ownerReferences"), name
    finally:
        control_plane.kill(CONTROLLERS, signal.SIGCONT)


def test_odd_objects_stop_nobody(tenant: Tenant, control_plane: ControlPlane) -> None:
    """While another tenant is served from its pool, this one does what the schema allows."""
    tenant.pool(2)
    tenant.wait_pool(2)
    other = Tenant(control_plane.api, f"{tenant.namespace}-odd", tenant.controller)
    create_namespace(control_plane.api, other.namespace)
    other.pool(1)
    refusals = [other.refusal(*thing) for thing in odd_objects()]
    assert not any(refusals), "\n".join(text[:1000] for text in refusals)
    for number in range(4):
        name = f"plain-{number}"
        tenant.claim(name)
        assert tenant.wait_served(name) != name
        tenant.wait_pool(2)
    other.claim("plain")
    other.wait_served("plain")
    assert tenant.controller.probe().code == 200
    assert CRASH not in tenant.controller.log.read_text()
    control_plane.api.delete(f"/api/v1/namespaces/{other.namespace}")


def test_a_published_name_that_is_none_is_never_asked_for(
    tenant: Tenant, control_plane: ControlPlane
) -> None:
    """A tenant may write its claims' status. The server takes `%2F` in a path for `/`, so escaping
    alone lets a name reach a subresource."""
    mark = control_plane.audit_mark()
    for number, name in enumerate(("../../pods/x", "x/status", "..", ".")):
        status = ready_status() | {"sandbox": {"name": name}}
        assert tenant.refusal(CLAIMS, claim_body(f"odd-{number}", "none"), status) == ""
    tenant.claim("last", "none")
    tenant.wait_claim("last", reason="WarmPoolNotFound")
    control_plane.audit_settle()
    asked = [
        one.uri
        for one in control_plane.audit_events(mark, user=WARMCLAIM)
        if one.namespace == tenant.namespace
    ]
    assert not [uri for uri in asked if ".." in uri or "%2F" in uri or uri.endswith("/.")]
