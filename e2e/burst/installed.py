"""A manager as a Deployment of config says, but as a process here: its account, its arguments."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from e2e.burst.process import ControllerProcess
from e2e.cluster import ControlPlane
from e2e.controlplane.api import Object
from e2e.controlplane.manifests import kustomized, run
from e2e.controlplane.ports import draw_ports

OWN = "agent-sandbox-system"


def deployed(overlay: str) -> Object:
    (found,) = [one for one in kustomized(overlay) if one["kind"] == "Deployment"]
    return found


class Installed:
    """The manager of one overlay, which is applied already."""

    def __init__(self, cluster: ControlPlane, overlay: str) -> None:
        spec = deployed(overlay)["spec"]["template"]["spec"]
        self.arguments: list[str] = spec["containers"][0]["args"]
        self.account: str = spec["serviceAccountName"]
        self.kubeconfig = cluster.account_kubeconfig(OWN, self.account, hours=1)
        (self.metrics_port,) = draw_ports(1)
        self.user = f"system:serviceaccount:{OWN}:{self.account}"

    def process(self, folder: Path, *more: str) -> ControllerProcess:
        """Not started yet; what it prints goes to `folder`. Of a flag twice the last holds: `more`
        comes last."""

        def command(kubeconfig: Path, probe_port: int) -> Sequence[str]:
            return [*self._command(kubeconfig, probe_port), *more]

        return ControllerProcess(self.kubeconfig, folder, command)

    def _command(self, kubeconfig: Path, probe_port: int) -> Sequence[str]:
        # The image's entry point, which takes the arguments of the Go manager.
        start = "from warmclaim.cli.dropin import main; import sys; sys.exit(main())"
        return [
            *(sys.executable, "-c", start, *self.arguments),
            f"--kubeconfig={kubeconfig}",
            f"--leader-election-namespace={OWN}",
            f"--metrics-bind-address=127.0.0.1:{self.metrics_port}",
            f"--health-probe-bind-address=127.0.0.1:{probe_port}",
        ]

    def check(self, *flags: str) -> list[Object]:
        """What `warmclaim check` finds as this account. Raises ControlPlaneError for exit code 1
        and more."""
        words = [sys.executable, "-m", "warmclaim", "check", f"--kubeconfig={self.kubeconfig}"]
        found: list[Object] = json.loads(run([*words, "-o", "json", *flags]))
        return found
