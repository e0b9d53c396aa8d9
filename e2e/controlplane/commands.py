"""Command lines of the components: what is switched on, what is not, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from e2e.controlplane.credentials import CONTROLLER_MANAGER, KWOK, SCHEDULER, Credentials

ETCD = "etcd"
API_SERVER = "kube-apiserver"
SECOND_API_SERVER = "kube-apiserver-2"
"""Runs only where a test asks for it; everything but that test's own clients uses the first."""
CONTROLLERS = "kube-controller-manager"
SCHEDULING = "kube-scheduler"
NODES = "kwok"
COMPONENTS = (ETCD, API_SERVER, CONTROLLERS, SCHEDULING, NODES)

_LOOPBACK = "127.0.0.1"
_STAGES = ("kwok.yaml", "node.yaml", "pod.yaml", "volume.yaml")

# Without these objects never go away, namespaces have no service account, or volumes stay bound.
# No node lifecycle controller: it would want heartbeats of 100 nodes every few seconds.
_CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "horizontal-pod-autoscaler-controller",
    "namespace-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "validatingadmissionpolicy-status-controller",
)


@dataclass(frozen=True)
class Ports:
    """Loopback ports of one control plane, kept over restarts of its components."""

    etcd: int
    etcd_peer: int
    api_server: int
    second_api_server: int
    controllers: int
    scheduler: int
    kwok: int


@dataclass(frozen=True)
class Layout:
    """Files and addresses the command lines are made of."""

    bin_dir: Path
    work_dir: Path
    stages_dir: Path
    ports: Ports
    credentials: Credentials
    keeps_history: bool = False
    """Whether etcd keeps every version of every object; else five minutes of them."""
    admission_plugins: tuple[str, ...] = ()
    """Of the API servers, beside those that are on by default."""
    controllers: tuple[str, ...] = ()
    """Of the controller manager, beside _CONTROLLERS."""

    @property
    def cert_dir(self) -> Path:
        """Where the API server puts the certificate it signs itself."""
        return self.work_dir / "certs"

    @property
    def ca_file(self) -> Path:
        """CA of the API server; there once it has started."""
        return self.work_dir / "ca.crt"

    @property
    def audit_log(self) -> Path:
        """JSON lines, one per audit event."""
        return self.work_dir / "audit.jsonl"

    @property
    def second_audit_log(self) -> Path:
        """The same, of the second API server."""
        return self.work_dir / "audit-2.jsonl"

    @property
    def audit_policy(self) -> Path:
        """What is audited."""
        return self.work_dir / "audit-policy.json"

    @property
    def server(self) -> str:
        """Base URL of the API server."""
        return f"https://{_LOOPBACK}:{self.ports.api_server}"

    @property
    def second_server(self) -> str:
        """Base URL of the second API server, for when it runs."""
        return f"https://{_LOOPBACK}:{self.ports.second_api_server}"

    @property
    def health_urls(self) -> dict[str, str]:
        """A URL per component that answers 200 when it is ready; no credentials needed."""
        ports = self.ports
        return {
            ETCD: f"http://{_LOOPBACK}:{ports.etcd}/health",
            API_SERVER: f"{self.server}/readyz",
            SECOND_API_SERVER: f"{self.second_server}/readyz",
            CONTROLLERS: f"https://{_LOOPBACK}:{ports.controllers}/healthz",
            SCHEDULING: f"https://{_LOOPBACK}:{ports.scheduler}/readyz",
            NODES: f"http://{_LOOPBACK}:{ports.kwok}/healthz",
        }

    def command(self, component: str) -> list[str]:
        """Program and arguments of a component, one of COMPONENTS or the second API server."""
        program = API_SERVER if component == SECOND_API_SERVER else component
        arguments = {
            ETCD: self._etcd,
            API_SERVER: lambda: self._api_server(self.ports.api_server, self.audit_log),
            SECOND_API_SERVER: lambda: self._api_server(
                self.ports.second_api_server, self.second_audit_log
            ),
            CONTROLLERS: self._controllers,
            SCHEDULING: self._scheduler,
            NODES: self._kwok,
        }[component]()
        return [str(self.bin_dir / program), *arguments]

    def _etcd(self) -> list[str]:
        client = f"http://{_LOOPBACK}:{self.ports.etcd}"
        peer = f"http://{_LOOPBACK}:{self.ports.etcd_peer}"
        return [
            f"--data-dir={self.work_dir / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            # Nothing has to survive the machine. A kill of etcd loses nothing either: what it
            # wrote is with the kernel.
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _api_server(self, port: int, audit_log: Path) -> list[str]:
        credentials = self.credentials
        return [
            f"--bind-address={_LOOPBACK}",
            f"--secure-port={port}",
            f"--advertise-address={_LOOPBACK}",
            # It would try to publish the loopback address as an endpoint, which is refused.
            "--endpoint-reconciler-type=none",
            f"--cert-dir={self.cert_dir}",
            f"--etcd-servers=http://{_LOOPBACK}:{self.ports.etcd}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            f"--token-auth-file={credentials.token_file}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={credentials.service_account_key}",
            f"--service-account-signing-key-file={credentials.service_account_key}",
            # It taints each new node until a node lifecycle controller, absent here, clears it.
            "--disable-admission-plugins=TaintNodesByCondition",
            *(f"--enable-admission-plugins={name}" for name in self.admission_plugins),
            # As in the burst tests of the API's own project; priority and fairness stays on.
            "--max-requests-inflight=2000",
            "--max-mutating-requests-inflight=1000",
            f"--audit-policy-file={self.audit_policy}",
            f"--audit-log-path={audit_log}",
            # 0 would mean 100 MB and then a rotation under the reader's feet.
            "--audit-log-maxsize=1000000",
            # etcd itself compacts nothing unless told so.
            *["--etcd-compaction-interval=0"][: self.keeps_history],
        ]

    def _controllers(self) -> list[str]:
        return [
            *self._served(self.ports.controllers),
            f"--kubeconfig={self.credentials.kubeconfig_path(CONTROLLER_MANAGER)}",
            f"--controllers={','.join((*_CONTROLLERS, *self.controllers))}",
            f"--service-account-private-key-file={self.credentials.service_account_key}",
            f"--root-ca-file={self.ca_file}",
            "--concurrent-gc-syncs=20",
            "--concurrent-namespace-syncs=10",
            "--horizontal-pod-autoscaler-sync-period=2s",
        ]

    def _scheduler(self) -> list[str]:
        return [
            *self._served(self.ports.scheduler),
            f"--kubeconfig={self.credentials.kubeconfig_path(SCHEDULER)}",
        ]

    def _served(self, port: int) -> list[str]:
        """What the two clients of the API server have in common.

        The certificate is the API server's: two RSA keys less to draw, about half a second. One
        of each runs, so no leader is elected, which saves a write every 2 s per component.
        """
        return [
            f"--bind-address={_LOOPBACK}",
            f"--secure-port={port}",
            f"--tls-cert-file={self.cert_dir / 'apiserver.crt'}",
            f"--tls-private-key-file={self.cert_dir / 'apiserver.key'}",
            "--leader-elect=false",
            # The defaults (20 and 50 a second) are what a burst would measure.
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]

    def _kwok(self) -> list[str]:
        return [
            *(f"--config={self.stages_dir / name}" for name in _STAGES),
            f"--kubeconfig={self.credentials.kubeconfig_path(KWOK)}",
            "--manage-nodes-with-label-selector=type=kwok",
            f"--server-address={_LOOPBACK}:{self.ports.kwok}",
            # The default is one line of 300 bytes per write.
            "--v=WARN",
        ]
