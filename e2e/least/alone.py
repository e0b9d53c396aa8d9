"""One manager with a user of its own, for rights that belong to no controller."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from e2e.burst.process import ControllerProcess, warmclaim_command
from e2e.cluster import ControlPlane
from e2e.controlplane.failures import wait_until
from e2e.controlplane.objects import create_namespace
from e2e.least.proof import HOLD_S, REFUSED_S_MAX
from e2e.least.rights import Right, User
from e2e.least.scene import WAIT_S_MAX, Scene

from warmclaim.app.needs import Part

CONTROLLERS = frozenset({"template"})


class Alone:
    """A manager that looks after one namespace, and has its Lease, events and keys in another.

    Without `controllers` it runs that of templates.
    """

    def __init__(
        self,
        cluster: ControlPlane,
        name: str,
        folder: Path,
        *parts: Part,
        controllers: frozenset[str] = CONTROLLERS,
    ) -> None:
        """`name`: of the user, who has the rights of the parts; the namespaces are called after
        it."""
        self.cluster, self.own, self.objects = cluster, f"{name}-own", f"{name}-objects"
        create_namespace(cluster.api, self.own)
        create_namespace(cluster.api, self.objects)
        self.scene = Scene(cluster, self.objects)
        self.user = User(
            cluster,
            name,
            parts,
            self.own,
            objects=self.objects,
            controllers=controllers,
        )
        self._kubeconfig, self._folder = cluster.kubeconfig(name), folder / name
        self._controllers = controllers
        self._made = 0

    def process(self, *flags: str) -> ControllerProcess:
        """Not started yet; without a Lease unless the flags say otherwise."""

        def command(kubeconfig: Path, probe_port: int) -> Sequence[str]:
            words = warmclaim_command(kubeconfig, probe_port)
            if any(flag.startswith("--leader-elect-") for flag in flags):
                words.remove("--leader-elect=false")
            if not any(flag.startswith("--webhook-") for flag in flags):
                words.append("--enable-webhook=false")
            own = [
                f"--controllers={','.join(self._controllers)}",
                f"--namespaces={self.objects}",
                f"--leader-election-namespace={self.own}",
            ]
            return [*words, *own, *flags]

        self._made += 1
        return ControllerProcess(self._kubeconfig, self._folder / str(self._made), command)

    def wait_refused(self, what: Right, mark: int) -> None:
        """Until it was told that it may not."""
        wait_until(
            f"refusal of {what}",
            lambda: None if self.user.was_refused(what.permission, mark) else "not asked for",
            timeout_s=REFUSED_S_MAX,
            interval_s=0.03,
        )

    def show(
        self,
        needs: Right,
        lacking: Callable[[], str | None],
        act: Callable[[], object],
        *flags: str,
        beside: Collection[Right] = (),
    ) -> None:
        """A process that starts without the right does not bring it about; when it is given the
        right, it does. `act` is done when it has started."""
        mark = self.cluster.audit_mark()
        self.user.allow([needs, *beside])
        with self.process(*flags) as process:
            act()
            self.wait_refused(needs, mark)
            time.sleep(HOLD_S)
            assert lacking() is not None, f"comes about without: {needs}"
            self.user.allow(beside)
            wait_until(str(needs), lacking, timeout_s=WAIT_S_MAX, log=process.log)
            assert process.stop() == []
