"""Priority and fairness on a real API server: where each kind of request of the manager lands."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from e2e.burst.installed import OWN, Installed
from e2e.burst.scrape import account_token
from e2e.burst.tenant import Tenant
from e2e.cluster import ControlPlane
from e2e.controlplane.commands import CONTROLLERS
from e2e.controlplane.failures import wait_until
from e2e.controlplane.manifests import CONFIG, composed
from e2e.controlplane.objects import wait_default_account

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ACCOUNT = "agent-sandbox-controller"
LEVELS = ("agent-sandbox-leases", "agent-sandbox-claims", "agent-sandbox-refill")
LEASES, CLAIMS, REFILL = LEVELS
ANOTHER = "another's"

CORE, BETA = "/api/v1", "/apis/{}/v1beta1"
SANDBOXES = BETA.format("agents.x-k8s.io")
EXTENSIONS = BETA.format("extensions.agents.x-k8s.io")
TEAM = "namespaces/team"
LANDS = [
    ("PATCH", f"{SANDBOXES}/{TEAM}/sandboxes/none", CLAIMS),
    ("GET", f"{SANDBOXES}/{TEAM}/sandboxes/none", CLAIMS),
    ("GET", f"{SANDBOXES}/sandboxes?limit=1", CLAIMS),
    ("PATCH", f"{EXTENSIONS}/{TEAM}/sandboxclaims/none/status", CLAIMS),
    ("PATCH", f"{EXTENSIONS}/{TEAM}/sandboxclaims/none", CLAIMS),
    ("GET", f"{EXTENSIONS}/sandboxclaims?limit=1", CLAIMS),
    ("DELETE", f"{EXTENSIONS}/{TEAM}/sandboxclaims/none", CLAIMS),
    ("POST", f"{SANDBOXES}/{TEAM}/sandboxes", REFILL),
    ("DELETE", f"{SANDBOXES}/{TEAM}/sandboxes/none", REFILL),
    ("PATCH", f"{SANDBOXES}/{TEAM}/sandboxes/none/status", REFILL),
    ("PATCH", f"{EXTENSIONS}/{TEAM}/sandboxwarmpools/none/status", REFILL),
    ("POST", f"{CORE}/{TEAM}/pods", REFILL),
    ("POST", f"/apis/events.k8s.io/v1/{TEAM}/events", REFILL),
    ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", REFILL),
    ("GET", f"/apis/coordination.k8s.io/v1/namespaces/{OWN}/leases/none", LEASES),
    ("PUT", f"/apis/coordination.k8s.io/v1/namespaces/{OWN}/leases/none", LEASES),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    """One of its own: priority and fairness belongs to the cluster."""
    with ControlPlane(nodes=20) as found:
        yield found


@pytest.fixture(scope="module")
def levels(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The overlay is applied with its levels: their names by their uids."""
    folder = tmp_path_factory.mktemp("composed")
    composed(folder, "overlays/everything", "components/flow-control")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(folder))
    cluster.kubectl("create", "namespace", "team")
    wait_default_account(cluster.api, "team", cluster.logs(CONTROLLERS))
    group = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations"
    found = {
        one["metadata"]["uid"]: one["metadata"]["name"] for one in cluster.api.get(group)["items"]
    }
    assert set(LEVELS) <= set(found.values())
    return found


class Bearer:
    """Sends requests as one account, and looks at nothing but the level on which they landed."""

    def __init__(self, cluster: ControlPlane, levels: dict[str, str], token: str) -> None:
        self._cluster = cluster
        self._levels = levels
        self._token = token

    def level(self, method: str, path: str) -> str:
        context = ssl.create_default_context(cafile=str(self._cluster.ca_file))
        address = urlsplit(self._cluster.server).netloc
        connection = http.client.HTTPSConnection(address, context=context, timeout=10)
        headers = {"Authorization": f"Bearer {self._token}"}
        if method in {"POST", "PUT", "PATCH"}:
            headers["Content-Type"] = "application/json" if method != "PATCH" else (
                "application/merge-patch+json"
            )  # fmt: skip
        body = None if method == "GET" else json.dumps({})
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        uid = answer.headers["X-Kubernetes-PF-PriorityLevel-UID"]
        name = self._levels[uid]
        return name if name in LEVELS else ANOTHER


def test_each_request_of_the_manager_lands_on_its_level_and_nobody_elses_does(
    cluster: ControlPlane, levels: dict[str, str]
) -> None:
    manager = Bearer(cluster, levels, account_token(cluster.api, OWN, ACCOUNT))
    stranger = Bearer(cluster, levels, account_token(cluster.api, "team", "default"))

    def unheard() -> str | None:
        """The API server takes up new schemas a moment later."""
        level = manager.level("GET", LANDS[-2][1])
        return None if level == LEASES else f"a lease lands on {level}"

    wait_until("schemas", unheard, timeout_s=30)
    found = [(method, path, manager.level(method, path)) for method, path, _ in LANDS]
    assert found == LANDS
    assert {stranger.level(method, path) for method, path, _ in LANDS} == {ANOTHER}


def dispatched(cluster: ControlPlane) -> dict[str, float]:
    """How many requests each schema has had, by the API server's own count."""
    text = cluster.kubectl("get", "--raw", "/metrics")
    line = re.compile(
        r'^apiserver_flowcontrol_dispatched_requests_total\{flow_schema="([^"]+)".*\} (\S+)$', re.M
    )
    return {name: float(count) for name, count in line.findall(text)}


@pytest.mark.usefixtures("levels")
def test_a_manager_at_work_uses_all_three(cluster: ControlPlane, tmp_path: Path) -> None:
    installed = Installed(cluster, str(CONFIG / "overlays" / "everything"))
    before = dispatched(cluster)
    with installed.process(tmp_path) as process:
        process.wait_ready()
        tenant = Tenant(cluster.api, "team", process)
        tenant.pool(3)
        tenant.wait_pool(3)
        for number in range(3):
            tenant.claim(f"claim-{number}")
        for number in range(3):
            tenant.wait_served(f"claim-{number}")
        assert process.stop() == []
    after = dispatched(cluster)
    more = {name: after.get(name, 0) - before.get(name, 0) for name in LEVELS}
    print(f"requests by level: {more}")
    assert more[CLAIMS] >= 6  # two writes for each claim, and the watches
    assert more[REFILL] >= 6  # three members and their pods
    assert more[LEASES] >= 2
