"""Installed by an overlay, the manager runs with its account's token, serves, and is taken away."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.burst.installed import OWN, Installed
from e2e.burst.scrape import account_token, scraped
from e2e.burst.tenant import Tenant
from e2e.cluster import ControlPlane
from e2e.controlplane.failures import ControlPlaneError, wait_until
from e2e.controlplane.manifests import CONFIG

from warmclaim.loadtest.objects import CLAIMS, SANDBOXES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

POOL, BURST = 10, 8


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    """One of its own: what is installed belongs to the cluster, and goes in the end."""
    with ControlPlane(nodes=20) as found:
        yield found


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


def tell_the_scraper_alone(cluster: ControlPlane, port: int) -> None:
    """Metrics are told to who bears a token of an account with the role, and to nobody else."""
    cluster.kubectl("create", "namespace", "monitoring")
    cluster.kubectl("-n", "monitoring", "create", "serviceaccount", "prometheus")
    token = account_token(cluster.api, "monitoring", "prometheus")
    assert scraped(port)[0] == 401
    assert scraped(port, "x")[0] == 401
    assert scraped(port, token)[0] == 403

    binding = ("clusterrolebinding", "scraper")
    role = ("--clusterrole=agent-sandbox-metrics-reader", "--serviceaccount=monitoring:prometheus")
    cluster.kubectl("create", *binding, *role)

    def lacking() -> str | None:
        status, text = scraped(port, token)
        is_told = status == 200 and "agent_sandbox_claim_creation_total{" in text
        return None if is_told else f"/metrics answers {status}: {text[:200]}"

    wait_until("metrics", lacking, timeout_s=30)
    cluster.kubectl("delete", *binding)
    cluster.kubectl("delete", "namespace", "monitoring", "--wait=false")


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
        tell_the_scraper_alone(cluster, installed.metrics_port)
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
    flags = ("--namespaces=sandboxes", "--no-webhook", "--no-metrics-secure")
    assert {one["level"] for one in installed.check(*flags)} == {"ok"}
    with pytest.raises(ControlPlaneError):  # it may not do so in the whole cluster
        installed.check("--no-webhook", "--no-metrics-secure")

    mark = cluster.audit_mark()
    with installed.process(tmp_path) as process:
        process.wait_ready()
        serve_burst(Tenant(cluster.api, "sandboxes", process))
        assert refused(cluster, mark, installed.user) == []
        asked = {e.namespace for e in cluster.audit_events(mark, user=installed.user) if e.resource}
        assert asked == {OWN, "sandboxes"}
        assert scraped(installed.metrics_port, is_secure=False)[0] == 200
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
