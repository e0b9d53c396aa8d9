"""The real Prometheus operator, as a process beside the control plane, and what it makes.

It runs as the cluster's admin: what its own account may do is its installation's affair.
"""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml
from e2e.cluster import ControlPlane
from e2e.controlplane import build, health
from e2e.controlplane.api import ApiSession, Object
from e2e.controlplane.failures import wait_until
from e2e.controlplane.manifests import run
from e2e.controlplane.ports import draw_ports
from e2e.controlplane.processes import Processes

NAME = "prometheus-operator"
NAMESPACE = "monitoring"
ACCOUNT = "prometheus"
ACCOUNT_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
API = "/apis/monitoring.coreos.com/v1"
_KINDS = tuple(
    f"monitoring.coreos.com/v1/{plural}"
    for plural in ("podmonitors", "probes", "prometheuses", "prometheusrules", "servicemonitors")
)
"""Without which it would not look after a Prometheus."""
_GROUP = "rbac.authorization.k8s.io"
_RBAC = f"/apis/{_GROUP}/v1"
_READY_S = 30.0
_MADE_S = 30.0


class Operator:
    """The operator with the kinds that it brings. It cannot outlive the test runner."""

    def __init__(self, cluster: ControlPlane, folder: Path) -> None:
        """Nothing is started yet; what it prints goes to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._cluster, self._folder = cluster, folder
        self._program = str(build.bin_dir(build.OPERATOR) / NAME)
        self._processes = Processes(folder, keep=True)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._processes.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._processes.close()

    @property
    def log(self) -> Path:
        """What it wrote."""
        return self._processes.log(NAME)

    def _start(self) -> None:
        self._define()
        (port,) = draw_ports(1)
        flags = [
            f"--web.listen-address=127.0.0.1:{port}",
            # Else the operator tells in its log alone what it thinks of a ServiceMonitor.
            "--feature-gates=StatusForConfigurationResources=true",
        ]
        # The only way to give it a token outside of a pod.
        environment = ["env", f"KUBECONFIG={self._cluster.kubeconfig()}"]
        self._processes.start(NAME, [*environment, self._program, *flags])

        def unready() -> str | None:
            self._processes.check_running(NAME)
            return health.unready(f"http://127.0.0.1:{port}/healthz")

        wait_until(NAME, unready, timeout_s=_READY_S, log=self.log)

    def _define(self) -> None:
        """The kinds, as the program itself brings them: by kubectl, for PyYAML cannot read a bare
        `=`. What is not discovered when it starts is left alone for good, without a word."""
        definitions = run([self._program, "crds"])
        self._cluster.kubectl("apply", "--server-side", "-f", "-", stdin=definitions)

        def undiscovered() -> str | None:
            missing = set(_KINDS) - self._cluster.api.discovered()
            unlisted = [kind for kind in _KINDS if self._cluster.api.status(f"/apis/{kind}") != 200]
            return ", ".join([*sorted(missing), *unlisted]) or None

        wait_until("kinds of the operator", undiscovered, timeout_s=_READY_S)


def create_prometheus(
    cluster: ControlPlane, name: str, selected: dict[str, str], **more: object
) -> None:
    """A Prometheus object that takes monitors and rules with these labels, from all namespaces;
    `more` is added to its spec.

    Both intervals are a second, so that a test need not wait. The address of the API server is
    given, since there is no pod whose environment would tell it.
    """
    selector = {"matchLabels": selected}
    spec: Object = {
        "version": f"v{build.server_version()}",
        "serviceAccountName": ACCOUNT,
        "serviceDiscoveryRole": "EndpointSlice",
        "serviceMonitorSelector": selector,
        "serviceMonitorNamespaceSelector": {},
        "ruleSelector": selector,
        "ruleNamespaceSelector": {},
        "scrapeInterval": "1s",
        "evaluationInterval": "1s",
        "apiserverConfig": {
            "host": cluster.server,
            "authorization": {"credentialsFile": f"{ACCOUNT_MOUNT}/token"},
            "tlsConfig": {"caFile": f"{ACCOUNT_MOUNT}/ca.crt"},
        },
    }
    body = {"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus"}
    path = f"{API}/namespaces/{NAMESPACE}/prometheuses"
    cluster.api.create(path, body | {"metadata": {"name": name}, "spec": spec | more})


def stateful_set(cluster: ControlPlane, operator: Operator, name: str) -> Object:
    """What the operator makes of a Prometheus object, after all that its pod mounts."""
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/prometheus-{name}"

    def lacking() -> str | None:
        code = cluster.api.status(path)
        return None if code == 200 else f"GET answers {code}"

    wait_until(f"StatefulSet of {name}", lacking, timeout_s=_MADE_S, log=operator.log)
    return cluster.api.get(path)


def configuration(cluster: ControlPlane, name: str) -> Object:
    """The configuration that the operator has written for a Prometheus object."""
    secret = cluster.api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/prometheus-{name}")
    packed = base64.b64decode(secret["data"]["prometheus.yaml.gz"])
    found: Object = yaml.safe_load(gzip.decompress(packed))
    return found


def rule_files(api: ApiSession, name: str) -> list[str]:
    """Names of the files with the rules for a Prometheus object: one for each PrometheusRule."""
    maps = api.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps")["items"]
    mine = [one for one in maps if one["metadata"]["name"].startswith(f"prometheus-{name}-rule")]
    return [file for one in mine for file in one.get("data", {})]


def create_account(api: ApiSession, name: str) -> None:
    """An account that may find targets, as the operator's manual has it, but read no metrics."""
    accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    metadata = {"metadata": {"name": name}}
    api.create(accounts, {"apiVersion": "v1", "kind": "ServiceAccount", **metadata})
    verbs = ["get", "list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods"], "verbs": verbs},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": verbs},
    ]
    role = {"apiVersion": f"{_GROUP}/v1", "kind": "ClusterRole", **metadata, "rules": rules}
    api.create(f"{_RBAC}/clusterroles", role)
    binding = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        **metadata,
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
    }
    api.create(f"{_RBAC}/clusterrolebindings", binding)


def verdicts(thing: Object) -> dict[str, tuple[str, str]]:
    """What the operator says of a monitor or of rules: by Prometheus, the status and the reason
    of the condition Accepted."""
    return {
        binding["name"]: (condition["status"], condition.get("reason", ""))
        for binding in thing.get("status", {}).get("bindings", [])
        for condition in binding["conditions"]
        if condition["type"] == "Accepted"
    }
