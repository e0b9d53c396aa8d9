"""Takes rights away, one from each of several managers at a time, and looks what comes about.

The managers run one controller each, as users of their own, so that none has by another's role
what its own lacks. What a case takes away is missing to one of them alone, and the objects of a
case are its own: in a round four things must fail, and everything else goes on.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from e2e.burst.process import ControllerProcess, warmclaim_command
from e2e.cluster import ControlPlane
from e2e.controlplane.failures import ControlPlaneError, wait_until
from e2e.controlplane.objects import create_namespace
from e2e.least.behaviour import Case
from e2e.least.rights import Right, User
from e2e.least.scene import Scene

from warmclaim.app.needs import Part
from warmclaim.kube.permissions import Permission

REFUSED_S_MAX = 20.0
HOLD_S = 0.7
"""How long a behaviour is given after the refusal: with all rights each takes less."""
STUCK_S = 2.5
"""After so long a pool asks whether its last batch is its own still."""
SHUT_S = 62.0
_AT_ONCE = 8
CONTROLLERS: Mapping[Part, str] = {
    Part.CLAIMS: "claim",
    Part.POOLS: "pool",
    Part.SANDBOXES: "sandbox",
    Part.TEMPLATES: "template",
}


class Manager:
    """A process that runs one controller, with the rights of one part."""

    def __init__(self, cluster: ControlPlane, part: Part, folder: Path) -> None:
        self.user = User(cluster, f"least-{CONTROLLERS[part]}", (part, Part.OWNERS), "default")
        self._kubeconfig = cluster.kubeconfig(self.user.name)
        self._flags = [
            f"--controllers={CONTROLLERS[part]}",
            "--leader-election-namespace=default",
            "--enable-webhook=false",
            "--claim-wait=200ms",
            # Servers that stream no lists have them listed; on this one `list` would be idle.
            "--watch-list=false",
        ]
        self._folder = folder / CONTROLLERS[part]
        self.process = self._made()

    def _made(self) -> ControllerProcess:
        def command(kubeconfig: Path, probe_port: int) -> list[str]:
            return [*warmclaim_command(kubeconfig, probe_port), *self._flags]

        return ControllerProcess(self._kubeconfig, self._folder, command)

    def start(self) -> None:
        """Start it; it is not ready yet."""
        self.process.start()

    def stop(self) -> None:
        """End it. Raises AssertionError where it does not end well."""
        assert self.process.stop() == []


@dataclass(frozen=True)
class Running:
    """A case on objects of one name."""

    case: Case
    scene: Scene
    name: str

    def lacking(self) -> str | None:
        """What is missing until it has come about."""
        return self.case.behaviour.lacking(self.scene, self.name)

    def prepare(self) -> None:
        """Raises ControlPlaneError that names the right."""
        try:
            self.case.behaviour.prepare(self.scene, self.name)
        except ControlPlaneError as error:
            error.add_note(f"in preparing {self.name}: {self.case.needs}")
            raise

    def act(self) -> None:
        self.case.behaviour.act(self.scene, self.name)

    def wait(self) -> None:
        """Until it has come about."""
        self.scene.wait(f"{self.name}: {self.case.needs}", self.lacking)


class Proof:
    """All managers, and the cases that were shown."""

    def __init__(self, cluster: ControlPlane, folder: Path) -> None:
        self.cluster = cluster
        self.managers = {part: Manager(cluster, part, folder) for part in CONTROLLERS}
        self._processes = contextlib.ExitStack()
        for manager in self.managers.values():
            self._processes.push(manager.process)
        self._scenes: dict[str, Scene] = {}
        self._numbers = itertools.count()
        self.shown: set[Right] = set()
        self._shut: list[Running] = []
        self._shut_s = 0.0

    def start(self) -> None:
        """All managers, and wait until they are ready."""
        for manager in self.managers.values():
            manager.start()
        for manager in self.managers.values():
            manager.process.wait_ready()

    def close(self) -> None:
        """End all managers."""
        self._processes.close()

    def scene(self, namespace: str) -> Scene:
        """A namespace with the template of most pools, made when it is first asked for."""
        if namespace not in self._scenes:
            create_namespace(self.cluster.api, namespace)
            self._scenes[namespace] = Scene(self.cluster, namespace)
            self._scenes[namespace].template("base")
        return self._scenes[namespace]

    def prepared(self, cases: Iterable[Case]) -> list[Running]:
        """The cases with all that has to be there, while nobody lacks a right."""
        found = [self._running(case) for case in cases]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(Running.prepare, found))
        return found

    def rounds(self, running: Sequence[Running]) -> Iterator[list[Running]]:
        """One case of each part at a time, in their order."""
        lines = [[one for one in running if one.case.manager is part] for part in CONTROLLERS]
        for row in itertools.zip_longest(*lines):
            yield [one for one in row if one is not None]

    def show(self, row: Sequence[Running]) -> None:
        """Each does not come about without its right, and does with it.

        Raises AssertionError, ControlPlaneError.
        """
        mark = self._take_away(row)
        self._wait_refused([(one, one.case.request) for one in row], mark)
        time.sleep(HOLD_S)
        came = [str(one.case.needs) for one in row if one.lacking() is None]
        assert came == [], f"comes about without: {came}"
        self._give_back(row)
        self.shown |= {one.case.needs for one in row}

    def show_shut(self) -> None:
        """That events are told again a minute after the last refusal."""
        time.sleep(max(self._shut_s + SHUT_S - time.monotonic(), 0.0))
        self._anew(self._shut)
        self._shut.clear()

    def unused(self) -> list[str]:
        """Rights that no manager used, of all that the table gives them. Those on finalizers are
        looked at by an admission plug-in inside of the server."""
        users = [manager.user for manager in self.managers.values()]
        return [
            one
            for user in users
            for one in user.unused({r for r in user.rights if r.part is not Part.OWNERS})
        ]

    def _manager(self, one: Running) -> Manager:
        return self.managers[one.case.manager]

    def _running(self, case: Case) -> Running:
        number = next(self._numbers)
        where = f"least-events-{number}" if case.shuts else "least"
        return Running(case, self.scene(where), f"c{number}")

    def _take_away(self, row: Sequence[Running]) -> int:
        """The audit mark from which the refusals are."""
        stuck = [one for one in row if one.case.stuck_by is not None]
        for one in stuck:
            assert one.case.stuck_by is not None
            self._manager(one).user.allow([one.case.stuck_by])
            one.act()
        if stuck:
            time.sleep(STUCK_S)
        mark = self.cluster.audit_mark()
        self._stop([one for one in row if one.case.at_start])
        for one in row:
            self._manager(one).user.allow(one.case.lacks)
        self._start([one for one in row if one.case.at_start], mark)
        for one in row:
            if one not in stuck:
                one.act()
        return mark

    def _stop(self, row: Sequence[Running]) -> None:
        if row:
            with ThreadPoolExecutor(len(row)) as threads:
                list(threads.map(Manager.stop, map(self._manager, row)))

    def _start(self, row: Sequence[Running], mark: int) -> None:
        """Return when each has found out what it lacks."""
        for one in row:
            self._manager(one).start()
        lacks = [(one, one.case.at_start.permission) for one in row if one.case.at_start]
        self._wait_refused(lacks, mark)

    def _wait_refused(self, lacks: Sequence[tuple[Running, Permission]], mark: int) -> None:
        def unrefused() -> str | None:
            left = [
                f"{one.name}: {permission}"
                for one, permission in lacks
                if not self._manager(one).user.was_refused(permission, mark)
            ]
            return f"not refused: {left}" if left else None

        wait_until("the refusals", unrefused, timeout_s=REFUSED_S_MAX, interval_s=0.05)

    def _give_back(self, row: Sequence[Running]) -> None:
        for one in row:
            self._manager(one).user.allow([one.case.beside] if one.case.beside else [])
        for one in row:
            if one.case.is_tried_again:
                one.wait()
        for one in row:
            if one.case.beside:
                self._manager(one).user.allow()
        anew = [one for one in row if not one.case.is_tried_again]
        shut = [one for one in anew if one.case.shuts]
        if shut:
            self._shut += shut
            self._shut_s = time.monotonic()
        self._anew([one for one in anew if one not in shut])

    def _anew(self, row: Sequence[Running]) -> None:
        """On other objects in the same place."""
        again = [Running(one.case, one.scene, f"{one.name}-again") for one in row]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(Running.prepare, again))
        for one in again:
            one.act()
        for one in again:
            one.wait()
