"""A real control plane on loopback: etcd, kube-apiserver, controllers, scheduler and KWOK nodes.

    with ControlPlane() as cluster:
        cluster.kubectl("get", "nodes")

By hand: `python -m e2e.cluster up --nodes 100` starts one and runs it until Ctrl-C.

Everything lives in one work directory under the temporary folder and is gone after `stop`, after
a failed test, and after the test runner was killed. `make controlplane` builds the binaries.

All methods block; a test with a running event loop hands them to `asyncio.to_thread`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from e2e.controlplane import build, health
from e2e.controlplane.api import ApiSession
from e2e.controlplane.audit import audit_policy
from e2e.controlplane.commands import (
    API_SERVER,
    COMPONENTS,
    CONTROLLERS,
    ETCD,
    NODES,
    SCHEDULING,
    SECOND_API_SERVER,
    Layout,
)
from e2e.controlplane.credentials import ADMIN, WARMCLAIM, Credentials, last_certificate
from e2e.controlplane.failures import ControlPlaneError, log_tail, wait_until
from e2e.controlplane.objects import (
    apply_crds,
    create_nodes,
    documents,
    wait_default_account,
    wait_nodes_ready,
)
from e2e.controlplane.ports import free_ports
from e2e.controlplane.processes import Processes, Usage

from warmclaim.loadtest.audit_log import AuditEvent, AuditLog

__all__ = ["ADMIN", "COMPONENTS", "WARMCLAIM", "ControlPlane", "ControlPlaneError"]

_ROOT = Path(__file__).resolve().parent.parent
_KWOK_CONFIG = _ROOT / "config" / "kwok"
_CRDS = _ROOT / "config" / "crd"
_READY_S = 30.0
_KUBECTL_S = 60.0


class ControlPlane:
    """One control plane. Start it once; stop it as often as you like.

    `users` adds static-token users (name to groups) to the built-in `admin` (may do anything) and
    `warmclaim` (the controller's; may do only what RBAC objects grant it). `crds` are applied
    before the controllers start: the garbage collector learns kinds that come later only within
    30 s. `keeps_history` leaves every version of every object in etcd, `keep` the work directory
    behind. `admission_plugins` and `controllers` run beside those that do by default.

    Every method raises ControlPlaneError, with the tail of a log, when a component fails.
    """

    def __init__(
        self,
        *,
        nodes: int = 100,
        crds: Sequence[Path] = (_CRDS,),
        users: Mapping[str, Sequence[str]] | None = None,
        keeps_history: bool = False,
        admission_plugins: Sequence[str] = (),
        controllers: Sequence[str] = (),
        keep: bool = False,
    ) -> None:
        self._nodes = nodes
        self._plugins, self._controllers = tuple(admission_plugins), tuple(controllers)
        self._keeps_history = keeps_history
        self._crds = [path for path in crds if path.exists()]
        self._users = dict(users or {})
        self._keep = keep
        self._processes: Processes | None = None
        self._layout: Layout | None = None
        self._api: ApiSession | None = None
        self.timings: dict[str, float] = {}
        """Seconds from the call of `start` to each step of it."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def work_dir(self) -> Path:
        """Logs, keys, kubeconfigs, audit log and etcd's data."""
        return self._need_layout().work_dir

    @property
    def server(self) -> str:
        """Base URL of the API server, an https one on loopback."""
        return self._need_layout().server

    @property
    def second_server(self) -> str:
        """Base URL of the second API server, once `start_second_server` was called."""
        return self._need_layout().second_server

    @property
    def ca_file(self) -> Path:
        """PEM file of the CA that signed the server's certificate."""
        return self._need_layout().ca_file

    @property
    def key_dir(self) -> Path:
        """Folder of the server's certificate and key, apiserver.crt and apiserver.key."""
        return self._need_layout().cert_dir

    @property
    def etcd_url(self) -> str:
        """Client URL of etcd, plain http without credentials."""
        return f"http://127.0.0.1:{self._need_layout().ports.etcd}"

    @property
    def api(self) -> ApiSession:
        """The admin's session; for set-up and for looking, not for load."""
        if self._api is None:
            raise ControlPlaneError("the control plane is not started")
        return self._api

    def start(self) -> None:
        """Start everything and return when nodes are Ready and pods can be created.

        Raises:
            ControlPlaneError: the binaries are not built, or a component failed; what was started
                is stopped again.
        """
        if self._processes is not None:
            raise ControlPlaneError("the control plane is started already")
        missing = [tool.name for tool in build.missing_tools()]
        if missing:
            raise ControlPlaneError(f"run `make controlplane` first; not built: {missing}")
        begun = time.monotonic()
        work_dir = Path(tempfile.mkdtemp(prefix="warmclaim-e2e-"))
        self._processes = Processes(work_dir, keep=self._keep)
        try:
            self._layout = Layout(
                bin_dir=build.bin_dir(),
                work_dir=work_dir,
                stages_dir=_KWOK_CONFIG,
                ports=free_ports(),
                credentials=Credentials(work_dir, self._users),
                keeps_history=self._keeps_history,
                admission_plugins=self._plugins,
                controllers=self._controllers,
            )
            for step in (self._start_server, self._start_definitions, self._start_controllers):
                step()
                self.timings[step.__name__.removeprefix("_start_")] = time.monotonic() - begun
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill all processes and remove the work directory. Does nothing when not started."""
        if self._api is not None:
            self._api.close()
            self._api = None
        if self._processes is not None:
            self._processes.close()
            if not self._keep:
                shutil.rmtree(self._processes.work_dir, ignore_errors=True)
            self._processes = None

    def start_second_server(self) -> None:
        """Start another API server on the same etcd, for clients that choose it, with the first
        one's certificate and an audit log of its own."""
        self._launch(SECOND_API_SERVER)
        self.wait_ready(SECOND_API_SERVER)

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """Self-contained kubeconfig file of a static-token user. Raises KeyError for others."""
        return self._need_layout().credentials.kubeconfig_path(user)

    def token(self, user: str = ADMIN) -> str:
        """Bearer token of a static-token user. Raises KeyError for others."""
        return self._need_layout().credentials.token(user)

    def session(self, user: str) -> ApiSession:
        """A new blocking session as another user; the caller closes it."""
        return ApiSession(self.server, self.token(user), self.ca_file, user_agent=f"e2e/{user}")

    def account_kubeconfig(self, namespace: str, account: str, *, hours: int = 24) -> Path:
        """Kubeconfig of an existing service account, with a token as a mounted one would have."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        answer = self.api.create(path, kind | {"spec": {"expirationSeconds": hours * 3600}})
        layout = self._need_layout()
        target = self.work_dir / f"kubeconfig-{namespace}-{account}"
        layout.credentials.write_kubeconfig(
            target, self.server, self.ca_file.read_text(), answer["status"]["token"]
        )
        return target

    def kubectl(self, *arguments: str, stdin: str | None = None, user: str = ADMIN) -> str:
        """Run kubectl and return what it printed. Raises ControlPlaneError when it fails."""
        command = [str(self._need_layout().bin_dir / "kubectl"), *arguments]
        done = subprocess.run(
            [*command, f"--kubeconfig={self.kubeconfig(user)}", f"--cache-dir={self.work_dir}"],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_KUBECTL_S,
            check=False,
        )
        if done.returncode != 0:
            raise ControlPlaneError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply_crds(self, paths: Iterable[Path], *, collect_now: bool = False) -> None:
        """Apply CRDs from files or folders; return when each served version lists.

        `collect_now` restarts the controller manager (about 1 s), so that the garbage collector
        knows the new kinds at once and not within 30 s.
        """
        apply_crds(self.api, documents(paths), self.logs(API_SERVER))
        if collect_now:
            self.restart(CONTROLLERS)

    @property
    def audit_log(self) -> AuditLog:
        """Requests to the first API server, which the methods here are about."""
        return AuditLog(self._need_layout().audit_log)

    @property
    def second_audit_log(self) -> AuditLog:
        """Requests to the second API server."""
        return AuditLog(self._need_layout().second_audit_log)

    def audit_mark(self) -> int:
        """Position in the audit log from which `audit_events` reads what comes after now."""
        return self.audit_log.mark()

    def audit_events(self, since: int = 0, *, user: str | None = None) -> Iterator[AuditEvent]:
        """Requests from a mark on, of one user or of all. See AuditEvent for the fields."""
        for event in self.audit_log.events(since):
            if user is None or event.user == user:
                yield event

    def audit_settle(self) -> None:
        """Wait until requests answered before this call are in the audit log.

        A request's event is written after its answer was sent. A marker request is sent and
        awaited in the log; what was answered well before it has been written by then.
        """
        mark, marker = self.audit_mark(), f"/version?marker={time.monotonic_ns()}"
        self.api.get(marker)

        def unseen() -> str | None:
            seen = any(event.uri == marker for event in self.audit_events(mark))
            return None if seen else "marker not seen"

        wait_until("audit log", unseen, timeout_s=5.0, log=self.logs(API_SERVER))

    def logs(self, component: str) -> Path:
        """Log file of a component, over all its restarts."""
        return self._need_processes().log(component)

    def usage(self, component: str) -> Usage:
        """CPU time and memory of a component since its last start."""
        return self._need_processes().usage(component)

    def is_running(self, component: str) -> bool:
        """Whether a component's process exists; a stopped one does."""
        return self._need_processes().exit_code(component) is None

    def kill(self, component: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a component: SIGKILL (gone on return), SIGTERM, SIGSTOP, SIGCONT."""
        self._need_processes().signal(component, number)

    def restart(self, component: str, *, wait: bool = True) -> None:
        """Kill a component if it runs, start it again on its port, wait until it is ready."""
        processes = self._need_processes()
        if processes.exit_code(component) is None:
            processes.signal(component, signal.SIGKILL)
        self._launch(component)
        if wait:
            self.wait_ready(component)

    def wait_ready(self, component: str, timeout_s: float = _READY_S) -> None:
        """Wait until a component's own health endpoint says ready."""
        url, processes = self._need_layout().health_urls[component], self._need_processes()

        def unready() -> str | None:
            processes.check_running(component)
            return health.unready(url)

        wait_until(component, unready, timeout_s=timeout_s, log=processes.log(component))

    def log_tails(self, lines: int = 15) -> dict[str, str]:
        """Last lines of every component's log, for the report of a failed test."""
        return {name: log_tail(self.logs(name), lines) for name in COMPONENTS}

    def _start_server(self) -> None:
        """etcd and the API server, with credentials for everybody else."""
        layout = self._need_layout()
        layout.audit_policy.write_text(json.dumps(audit_policy()))
        self._launch(ETCD)
        self._launch(API_SERVER)
        self.wait_ready(ETCD)
        self.wait_ready(API_SERVER)
        ca_pem = last_certificate((layout.cert_dir / "apiserver.crt").read_text())
        layout.ca_file.write_text(ca_pem)
        layout.credentials.write_kubeconfigs(layout.server, ca_pem)
        self._api = self.session(ADMIN)

    def _start_definitions(self) -> None:
        """CRDs, storage class and nodes: what the controllers should find when they start."""
        for thing in documents([_KWOK_CONFIG / "storage-class.yaml"]):
            path = f"/apis/storage.k8s.io/v1/storageclasses/{thing['metadata']['name']}"
            self.api.apply(path, thing)
        self.apply_crds(self._crds)

    def _start_controllers(self) -> None:
        """Controllers, scheduler and KWOK; ready when the nodes are and pods are accepted."""
        for component in (NODES, CONTROLLERS, SCHEDULING):
            self._launch(component)
        create_nodes(self.api, range(self._nodes))
        for component in (NODES, CONTROLLERS, SCHEDULING):
            self.wait_ready(component)
        wait_nodes_ready(self.api, self._nodes, log=self.logs(NODES))
        wait_default_account(self.api, "default", self.logs(CONTROLLERS))

    def _launch(self, component: str) -> None:
        self._need_processes().start(component, self._need_layout().command(component))

    def _need_layout(self) -> Layout:
        if self._layout is None:
            raise ControlPlaneError("the control plane is not started")
        return self._layout

    def _need_processes(self) -> Processes:
        if self._processes is None:
            raise ControlPlaneError("the control plane is not started")
        return self._processes


def _up(nodes: int, *, keep: bool) -> None:
    """Start one, say how to reach it, and run it until Ctrl-C or SIGTERM."""
    with ControlPlane(nodes=nodes, keep=keep) as cluster:
        print(f"started in {max(cluster.timings.values()):.1f} s, {nodes} nodes")
        print(f"server:     {cluster.server}")
        print(f"work dir:   {cluster.work_dir} ({'kept' if keep else 'removed at the end'})")
        print(f"export KUBECONFIG={cluster.kubeconfig()}")
        print(f"controller: {cluster.kubeconfig(WARMCLAIM)}")
        print("Ctrl-C ends it", flush=True)
        signal.pause()


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of `python -m e2e.cluster`; the exit code is 0, or 1 after an error."""
    parser = argparse.ArgumentParser(prog="python -m e2e.cluster", description="A control plane.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start one and run it until Ctrl-C")
    up.add_argument("--nodes", type=int, default=100, help="fake nodes (default 100)")
    up.add_argument("--keep", action="store_true", help="leave logs and data behind")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _up(chosen.nodes, keep=chosen.keep)
    except KeyboardInterrupt:
        print("stopped")
    except ControlPlaneError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
