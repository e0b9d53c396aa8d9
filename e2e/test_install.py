"""Installed by an overlay, the manager runs with its account's token, serves, and is taken away."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from e2e.burst.process import ControllerProcess
from e2e.burst.tenant import Tenant
from e2e.cluster import ControlPlane
from e2e.controlplane.api import Object
from e2e.controlplane.failures import ControlPlaneError, wait_until
from e2e.controlplane.manifests import CONFIG, kustomized, run

from warmclaim.loadtest.objects import CLAIMS, SANDBOXES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

OWN = "agent-sandbox-system"
POOL, BURST = 10, 8


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    """One of its own: what is installed belongs to the cluster, and goes in the end."""
    with ControlPlane(nodes=20) as found:
        yield found


def deployed(overlay: str) -> Object:
    (found,) = [one for one in kustomized(overlay) if one["kind"] == "Deployment"]
    return found


class Installed:
    """A manager as the Deployment says, but as a process here: its account, its arguments."""

    def __init__(self, cluster: ControlPlane, overlay: str) -> None:
        spec = deployed(overlay)["spec"]["template"]["spec"]
        self.arguments: list[str] = spec["containers"][0]["args"]
        self.account: str = spec["serviceAccountName"]
        self.kubeconfig = cluster.account_kubeconfig(OWN, self.account, hours=1)
        self.user = f"system:serviceaccount:{OWN}:{self.account}"

    def process(self, folder: Path) -> ControllerProcess:
        """Not started yet; what it prints goes to `folder`."""
        return ControllerProcess(self.kubeconfig, folder, self._command)

    def _command(self, kubeconfig: Path, probe_port: int) -> Sequence[str]:
        # The image's entry point, which takes the arguments of the Go manager.
        start = "from warmclaim.cli.dropin import main; import sys; sys.exit(main())"
        return [
            *(sys.executable, "-c", start, *self.arguments),
            f"--kubeconfig={kubeconfig}",
            f"--leader-election-namespace={OWN}",
            "--metrics-bind-address=127.0.0.1:0",
            f"--health-probe-bind-address=127.0.0.1:{probe_port}",
        ]

    def check(self, *flags: str) -> list[Object]:
        """What `warmclaim check` finds as this account. Raises ControlPlaneError for exit code 1
        and more."""
        words = [sys.executable, "-m", "warmclaim", "check", f"--kubeconfig={self.kubeconfig}"]
        found: list[Object] = json.loads(run([*words, "-o", "json", *flags]))
        return found


def serve_burst(tenant: Tenant) -> None:
    """A pool, then more claims at once than a worker: all are served, all warm."""
    tenant.pool(POOL)
    tenant.wait_pool(POOL)
    members = {one["metadata"]["name"] for one in tenant.api.get(tenant.path(SANDBOXES))["items"]}
    for number in range(BURST):
        tenant.claim(f"claim-{number}")
    for number in range(BURST):
        tenant.wait_served(f"claim-{number}")
    claims = tenant.api.get(tenant.path(CLAIMS))["items"]
    taken = [one["status"]["sandbox"]["name"] for one in claims]
    assert len(set(taken)) == BURST
    assert set(taken) <= members


def refused(cluster: ControlPlane, mark: int, user: str) -> list[tuple[str, str, str]]:
    cluster.audit_settle()
    return [
        (event.verb, event.resource, event.namespace)
        for event in cluster.audit_events(mark, user=user)
        if event.code == 403
    ]


def gone(cluster: ControlPlane, path: str) -> None:
    """Wait until there is no such object."""

    def there() -> str | None:
        code = cluster.api.status(path)
        return None if code == 404 else f"GET answers {code}"

    wait_until(path, there, timeout_s=60)


def test_the_overlay_serves_a_burst_with_its_own_rights_and_goes_without_a_trace(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    overlay = str(CONFIG / "overlays" / "everything")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", overlay)
    cluster.kubectl("create", "namespace", "team")
    installed = Installed(cluster, overlay)
    found = installed.check("--no-webhook")
    assert {one["level"] for one in found} == {"ok"}, found

    mark = cluster.audit_mark()
    with installed.process(tmp_path) as process:
        process.wait_ready()
        tenant = Tenant(cluster.api, "team", process)
        serve_burst(tenant)
        assert refused(cluster, mark, installed.user) == []
        assert "permission missing" not in process.log.read_text()
        assert process.stop() == []

    kinds = "sandboxclaims,sandboxwarmpools,sandboxtemplates,sandboxes"
    cluster.kubectl("delete", kinds, "--all", "--all-namespaces")
    cluster.kubectl("delete", "-k", overlay, "--wait=false")
    gone(cluster, f"/api/v1/namespaces/{OWN}")
    gone(cluster, "/apis/agents.x-k8s.io/v1beta1/namespaces/team/sandboxes")
    left = cluster.kubectl("get", "clusterroles,clusterrolebindings,priorityclasses", "-o", "name")
    assert "agent-sandbox" not in left
    crds = str(CONFIG / "crd")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", crds)
    cluster.apply_crds([CONFIG / "crd"], collect_now=True)


def test_with_roles_in_one_namespace_it_serves_that_and_sees_no_other(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    overlay = str(CONFIG / "overlays" / "namespaced")
    for name in (OWN, "sandboxes", "strangers"):
        cluster.kubectl("create", "namespace", name)
    cluster.kubectl("apply", "-k", overlay)
    installed = Installed(cluster, overlay)
    flags = ("--namespaces=sandboxes", "--no-webhook")
    assert {one["level"] for one in installed.check(*flags)} == {"ok"}
    with pytest.raises(ControlPlaneError):  # it may not do so in the whole cluster
        installed.check("--no-webhook")

    mark = cluster.audit_mark()
    with installed.process(tmp_path) as process:
        process.wait_ready()
        serve_burst(Tenant(cluster.api, "sandboxes", process))
        assert refused(cluster, mark, installed.user) == []
        asked = {e.namespace for e in cluster.audit_events(mark, user=installed.user) if e.resource}
        assert asked == {OWN, "sandboxes"}
        assert process.stop() == []
    cluster.kubectl("delete", "-k", overlay)
    for name in (OWN, "sandboxes", "strangers"):
        cluster.kubectl("delete", "namespace", name, "--wait=false")
        gone(cluster, f"/api/v1/namespaces/{name}")


def test_the_check_names_what_was_taken_from_the_account(cluster: ControlPlane) -> None:
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(CONFIG))
    overlay = str(CONFIG / "overlays" / "claims-and-pools")
    cluster.kubectl("apply", "-k", overlay)
    installed = Installed(cluster, overlay)
    flags = ("--controllers=claim,pool", "--no-webhook")
    assert {one["level"] for one in installed.check(*flags)} == {"ok"}

    roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    cluster.api.merge(f"{roles}/agent-sandbox-controller-pools-claims", {"rules": []})

    def unsaid() -> str | None:
        words = [sys.executable, "-m", "warmclaim", "check", f"--kubeconfig={installed.kubeconfig}"]
        command = [*words, *flags, "-o", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return "the authorizer has not heard of it"
        assert done.returncode == 1, done.stderr
        problems = [one for one in json.loads(done.stdout) if one["level"] == "problem"]
        assert [one["text"] for one in problems] == [
            "may not get sandboxwarmpools.extensions.agents.x-k8s.io at the cluster scope,"
            " which the pool controller must",
            "may not patch sandboxwarmpools.extensions.agents.x-k8s.io at the cluster scope,"
            " which the pool controller must",
            "may not patch sandboxwarmpools.extensions.agents.x-k8s.io/status at the cluster scope,"
            " which the pool controller must",
        ]
        return None

    wait_until("the check", unsaid, timeout_s=30, interval_s=1)
