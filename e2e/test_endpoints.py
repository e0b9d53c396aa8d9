"""Metrics behind tokens on a real control plane: RBAC decides who reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e.burst.process import ControllerProcess, warmclaim_command
from e2e.burst.rights import grant_account
from e2e.burst.scrape import account_token, scraped
from e2e.cluster import ControlPlane
from e2e.controlplane.api import ApiSession
from e2e.controlplane.failures import wait_until
from e2e.controlplane.manifests import CONFIG
from e2e.controlplane.objects import documents
from e2e.controlplane.ports import draw_ports

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

GROUP = "rbac.authorization.k8s.io"
RBAC = f"/apis/{GROUP}/v1"
MANAGER, SCRAPER = "default", "scraper"


def bind(api: ApiSession, namespace: str, account: str, name: str, file: str) -> None:
    """A ClusterRole of that name with the rules of a file of config/rbac, for a service account."""
    (given,) = documents([CONFIG / "rbac" / file])
    role = {"apiVersion": f"{GROUP}/v1", "kind": "ClusterRole", "metadata": {"name": name}}
    api.apply(f"{RBAC}/clusterroles/{name}", role | {"rules": given["rules"]})
    binding = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }
    api.apply(f"{RBAC}/clusterrolebindings/{name}", binding)


def manager(cluster: ControlPlane, namespace: str, folder: Path, port: int) -> ControllerProcess:
    """One that runs as the namespace's account and serves secure metrics on `port`."""

    def command(kubeconfig: Path, probe_port: int) -> list[str]:
        words = warmclaim_command(kubeconfig, probe_port)
        flags = ["--enable-webhook=false", "--metrics-secure"]
        return [*words, *flags, f"--metrics-bind-address=127.0.0.1:{port}"]

    return ControllerProcess(cluster.account_kubeconfig(namespace, MANAGER), folder, command)


def test_a_scraper_with_the_role_reads_metrics_and_one_without_does_not(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    api = control_plane.api
    grant_account(api, namespace, MANAGER)
    bind(api, namespace, MANAGER, f"reviewer-{namespace}", "endpoints/role.yaml")
    kind = {"apiVersion": "v1", "kind": "ServiceAccount"}
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    api.create(accounts, kind | {"metadata": {"name": SCRAPER}})
    (port,) = draw_ports(1)
    with manager(control_plane, namespace, tmp_path, port) as controller:
        controller.wait_ready()
        mine = account_token(api, namespace, SCRAPER)
        assert scraped(port, "")[0] == 401
        assert scraped(port, f"{mine[:-4]}AAAA")[0] == 401
        assert scraped(port, account_token(api, namespace, SCRAPER, "vault"))[0] == 401
        assert scraped(port, mine)[0] == 403

        bind(api, namespace, SCRAPER, f"metrics-reader-{namespace}", "readers/metrics.yaml")

        def lacking() -> str | None:
            status, text = scraped(port, mine)
            is_told = status == 200 and "warmclaim_event_loop_lag_seconds" in text
            return None if is_told else f"/metrics answers {status}: {text[:200]}"

        wait_until("metrics", lacking, timeout_s=30, log=controller.log)
        assert mine not in controller.log.read_text()
        assert controller.stop() == []


def test_a_manager_that_may_not_review_says_so_and_lets_nobody_in(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    api = control_plane.api
    grant_account(api, namespace, MANAGER)
    (port,) = draw_ports(1)
    with manager(control_plane, namespace, tmp_path, port) as controller:
        controller.wait_ready()
        assert scraped(port, account_token(api, namespace, MANAGER))[0] == 503
        missing = "permission missing: create tokenreviews.authentication.k8s.io"
        assert missing in controller.probe().text
        assert controller.stop() == []
