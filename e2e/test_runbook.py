"""Each command of docs/operations.md is run; one that cannot be run here says what it needs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

import pytest
from e2e.burst.installed import OWN, Installed
from e2e.burst.tenant import Tenant
from e2e.cluster import ControlPlane
from e2e.controlplane.api import Object
from e2e.controlplane.failures import ControlPlaneError, wait_until
from e2e.controlplane.manifests import CONFIG, run

from warmclaim.loadtest.objects import SANDBOXES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]

DOCUMENT = CONFIG.parent / "docs" / "operations.md"
OVERLAY = CONFIG / "overlays" / "everything"
POOL = 3
DEPLOYMENT = "deploy/agent-sandbox-controller"
MONITORS: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "scope": "Namespaced",
        "names": {"plural": "servicemonitors", "kind": "ServiceMonitor"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
"""As much of the Prometheus operator as is needed to store one."""


class Runbook:
    """An installed manager that has served the claim `mine`. Its Deployment's pods run on fake
    nodes, and are ready; beside them it runs as a process, which does the work."""

    def __init__(self, cluster: ControlPlane, tenant: Tenant, installed: Installed) -> None:
        self.cluster = cluster
        self.tenant = tenant
        self._installed = installed

    @cached_property
    def sandbox(self) -> str:
        """The claim's, and the name of its pod."""
        return self.tenant.wait_served("mine")

    def managers(self) -> list[str]:
        """Pods of the Deployment that are not on their way out."""
        found = self.cluster.api.get(f"/api/v1/namespaces/{OWN}/pods")["items"]
        names = [one["metadata"] for one in found]
        return [one["name"] for one in names if "deletionTimestamp" not in one]

    def run(self, command: str) -> str:
        """What a command of the document prints. Raises ControlPlaneError when it fails."""
        text = command.replace("config/", f"{CONFIG}/").replace("NAMESPACE", self.tenant.namespace)
        program, *words = self._named(text).split()
        if program == "warmclaim":
            kubeconfig = f"--kubeconfig={self._installed.kubeconfig}"
            return run([sys.executable, "-m", "warmclaim", *words, kubeconfig])
        own = ["-n", OWN] if program == "k" else []
        return self.cluster.kubectl(*own, *words)

    def _named(self, command: str) -> str:
        """With the name of such an object in place of NAME."""
        if not command.endswith("NAME"):
            return command
        if command.startswith("k "):
            return command.replace("NAME", self.managers()[0])
        of = {"sandboxclaim": "mine", "sandboxwarmpool": "burst", "node": "node-0"}
        kind = command.split()[-2]
        name = "mine" if kind == "claim" else of.get(kind, self.sandbox)
        return f"{command.removesuffix('NAME')}{name}"


@pytest.fixture(scope="module")
def runbook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runbook]:
    more = ("deployment-controller", "replicaset-controller")
    with ControlPlane(nodes=5, controllers=more) as cluster:
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(OVERLAY))
        installed = Installed(cluster, str(OVERLAY))
        with installed.process(tmp_path_factory.mktemp("manager")) as process:
            process.wait_ready()
            tenant = Tenant(cluster.api, "default", process)
            tenant.pool(POOL)
            tenant.wait_pool(POOL)
            tenant.claim("mine")
            tenant.wait_served("mine")
            watched(cluster)
            # There is a version before, to which one can go back.
            for step in ("restart", "status"):
                cluster.kubectl("-n", OWN, "rollout", step, DEPLOYMENT)
            yield Runbook(cluster, tenant, installed)
            assert process.stop() == []


def watched(cluster: ControlPlane) -> None:
    """Watched by Prometheus, which may read the metrics, as install.md says."""
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(MONITORS))
    cluster.kubectl("wait", "--for=condition=Established", f"crd/{MONITORS['metadata']['name']}")
    cluster.kubectl("apply", "-f", str(CONFIG / "observability" / "service-monitor.yaml"))
    role = ("--clusterrole=agent-sandbox-metrics-reader", "--serviceaccount=monitoring:prometheus")
    cluster.kubectl("create", "clusterrolebinding", "prometheus-reads-sandboxes", *role)


def commands() -> list[str]:
    """Those of the document, in its order, each once; in a block or within a sentence. Of two
    words is only the name of one that stands elsewhere."""
    found = re.findall(r"^    (.+)$|`([^`]+)`", DOCUMENT.read_text(), re.MULTILINE)
    texts = [" ".join((block or inline).split()) for block, inline in found]
    is_one = re.compile(r"(kubectl|k|warmclaim) \S+ ")
    return list(dict.fromkeys(text for text in texts if is_one.match(text)))


class Said(NamedTuple):
    """What is in the output of a command, which must not fail, and what is so some time after."""

    texts: tuple[str, ...]
    then: Callable[[Runbook], str | None] = lambda _: None


def has_managers(count: int) -> Callable[[Runbook], str | None]:
    """Until there are so many pods."""

    def lacking(runbook: Runbook) -> str | None:
        found = runbook.managers()
        return None if len(found) == count else f"pods: {found}"

    return lacking


APPLIED = Said(("serverside-applied",))
SERVER_SIDE = "--server-side --force-conflicts -k"
RUN = {
    f"kubectl diff {SERVER_SIDE} config/overlays/everything": Said(()),  # a difference is an error
    f"kubectl apply {SERVER_SIDE} config/overlays/everything": APPLIED,
    f"kubectl -n {OWN} rollout status {DEPLOYMENT}": Said(("successfully rolled out",)),
    f"kubectl apply {SERVER_SIDE} config/crd": APPLIED,
    "warmclaim check --no-webhook": Said(("ok       permissions", "10 ok")),
    "kubectl -n NAMESPACE describe sandboxclaim NAME": Said(
        ("Kind:         SandboxClaim", "Type:                  Ready", "Events:")
    ),
    "warmclaim explain claim NAMESPACE/NAME": Said(("mine", "Ready")),
    "kubectl -n NAMESPACE describe sandbox NAME": Said(
        ("Kind:         Sandbox\n", "DependenciesReady", "Pod I Ps:")
    ),
    "kubectl -n NAMESPACE describe pod NAME": Said(("Controlled By:  Sandbox/", "Conditions:")),
    "kubectl -n NAMESPACE describe sandboxwarmpool NAME": Said(
        ("Kind:         SandboxWarmPool", "Ready Replicas:", "Events:")
    ),
    "kubectl -n NAMESPACE get sandboxes,pods": Said(("sandbox.agents.x-k8s.io/", "pod/")),
    "kubectl get sandboxwarmpools -A": Said(("burst",)),
    "warmclaim export sandboxes -n NAMESPACE -o jsonl": Said(('"name"', "SandboxWarmPool")),
    "kubectl annotate sandboxwarmpools --all --all-namespaces"
    " extensions.agents.x-k8s.io/create-reservation-": Said(("burst annotated",)),
    "k get lease": Said(("a3317529.agent-sandbox.x-k8s.io",)),
    "k get lease -o wide": Said(("HOLDER", "a3317529.agent-sandbox.x-k8s.io")),
    "k get pods": Said(("agent-sandbox-controller-", "Running")),
    "k get events": Said(("SuccessfulCreate",)),
    "k describe pod NAME": Said(("Controlled By:  ReplicaSet/", "Volumes:", "Events:")),
    "k describe servicemonitor": Said(("Scheme:", "Match Labels:")),
    "kubectl auth can-i get /metrics --as=system:serviceaccount:monitoring:prometheus": Said(
        ("yes",)
    ),
    "kubectl get --raw /debug/api_priority_and_fairness/dump_priority_levels": Said(
        ("PriorityLevelName", "RejectedRequests")
    ),
    "kubectl describe node NAME": Said(("Allocated resources:", "Non-terminated Pods:")),
    "k delete pod NAME": Said(("deleted",), has_managers(2)),
    f"k rollout restart {DEPLOYMENT}": Said(("restarted",), has_managers(2)),
    f"kubectl -n {OWN} rollout undo {DEPLOYMENT}": Said(("rolled back",), has_managers(2)),
    f"kubectl -n {OWN} scale {DEPLOYMENT} --replicas=0": Said(("scaled",), has_managers(0)),
}
"""In an order in which each finds what it is about."""

KUBELET = r"https://node-\d+:10250|error dialing backend"
NEEDS_MORE = {
    f"k logs {DEPLOYMENT} --all-pods --tail=100": KUBELET,
    "k logs NAME": KUBELET,
    f"k port-forward {DEPLOYMENT} 8081": KUBELET,
    "k top pods": "Metrics API not available",
}
"""Commands that the document says need a kubelet or a metrics server, which is what fails here."""

OVER_A_FORWARD = {
    "warmclaim snapshot -o before.zip",
    "warmclaim snapshot -o snapshot.zip",
}
"""They ask the manager itself, through port-forward; run in tests/cli."""


def test_no_command_of_the_runbook_is_left_out() -> None:
    assert set(commands()) == {*RUN, *NEEDS_MORE, *OVER_A_FORWARD}


@pytest.mark.parametrize("command", NEEDS_MORE)
def test_a_command_that_needs_more_than_the_api_server_is_said_to(
    runbook: Runbook, command: str
) -> None:
    (said,) = [text for text in DOCUMENT.read_text().split("\n\n") if "kubelet of the" in text]
    assert f"`{' '.join(command.split()[:2])}`" in said
    with pytest.raises(ControlPlaneError, match=NEEDS_MORE[command]):
        runbook.run(command)


@pytest.mark.parametrize("command", RUN)
def test_a_command_of_the_runbook_does_what_it_is_for(runbook: Runbook, command: str) -> None:
    said = RUN[command]
    printed = runbook.run(command)
    for text in said.texts:
        assert text in printed
    wait_until(command, lambda: said.then(runbook), timeout_s=20)


def test_claims_are_served_after_all_of_it(runbook: Runbook) -> None:
    """The pods that went were not the one that leads: claims never noticed."""
    runbook.tenant.wait_pool(POOL)
    before = {one["metadata"]["name"] for one in runbook.tenant.api.get(
        runbook.tenant.path(SANDBOXES))["items"]}  # fmt: skip
    runbook.tenant.claim("last")
    assert runbook.tenant.wait_served("last") in before
