"""The real Prometheus, as a process with the files of its pod, asked over its API."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlencode

from e2e.controlplane import build, health
from e2e.controlplane.api import Object
from e2e.controlplane.failures import ControlPlaneError, wait_until
from e2e.controlplane.ports import draw_ports
from e2e.controlplane.processes import Processes
from e2e.monitoring.mounts import Mounts

NAME = "prometheus"
READY_S_MAX = 30.0
SEEN_S_MAX = 30.0
"""Within which a scrape and an evaluation, a second apart, must show; more for a busy machine."""
_ANSWER_S_MAX = 10.0


class Prometheus:
    """One server. It cannot outlive the test runner; use it as a context."""

    def __init__(self, mounts: Mounts, folder: Path) -> None:
        """Nothing is started yet; what it prints goes to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        (port,) = draw_ports(1)
        self._address = f"127.0.0.1:{port}"
        self._arguments = [*mounts.arguments(), f"--web.listen-address={self._address}"]
        self._processes = Processes(folder, keep=True)
        # Without the empty handler a proxy of the environment would be asked, for loopback too.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __enter__(self) -> Self:
        program = str(build.bin_dir(build.PROMETHEUS) / NAME)

        def unready() -> str | None:
            self._processes.check_running(NAME)
            return health.unready(f"http://{self._address}/-/ready")

        try:
            self._processes.start(NAME, [program, *self._arguments])
            wait_until(NAME, unready, timeout_s=READY_S_MAX, log=self.log)
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

    def get(self, path: str, **query: str) -> Object:
        """The data of an answer below /api/v1. Raises ControlPlaneError if it is no success."""
        url = f"http://{self._address}/api/v1/{path}?{urlencode(query)}"
        try:
            with self._opener.open(url, timeout=_ANSWER_S_MAX) as answer:
                found = cast("Object", json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode(errors="replace")
            raise ControlPlaneError(f"{path} {query}: {said}") from error
        if found["status"] != "success":
            raise ControlPlaneError(f"{path} {query}: {found}")
        return cast("Object", found["data"])

    def query(self, expression: str) -> list[Object]:
        """The series of an expression now: `metric`, its labels, and `value`, a time and a text."""
        found: list[Object] = self.get("query", query=expression)["result"]
        return found

    def value(self, expression: str) -> float | None:
        """Of an expression with one series; None if there is no data."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def targets(self) -> list[Object]:
        """Those that are scraped."""
        found: list[Object] = self.get("targets", state="active")["activeTargets"]
        return found

    def rules(self) -> list[Object]:
        """All that are loaded, in their order."""
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def states(self) -> dict[str, str]:
        """Of the alerts, by name: inactive, pending, firing."""
        return {rule["name"]: rule["state"] for rule in self.rules()}

    def wait(self, what: str, lacking: Callable[[], str | None], timeout_s: float = 0.0) -> None:
        """Wait until a condition holds, as `wait_until`."""
        wait_until(what, lacking, timeout_s=timeout_s or SEEN_S_MAX, log=self.log, interval_s=0.1)

    def wait_target(self, pod: str, state: str, error: str = "") -> Object:
        """Wait until a pod's target is up or down, for a reason with this text; returns it."""

        def found() -> Object | None:
            return next((one for one in self.targets() if one["labels"].get("pod") == pod), None)

        def lacking() -> str | None:
            target = found()
            if target is None:
                return f"not among {len(self.targets())} targets"
            is_so = target["health"] == state and error in target["lastError"]
            return None if is_so else f"{target['health']} {target['lastError']}"

        self.wait(f"target {pod} {state}", lacking)
        return found() or {}

    def wait_state(self, alert: str, *wanted: str) -> None:
        """Wait until an alert is in one of these states."""

        def lacking() -> str | None:
            state = self.states()[alert]
            return None if state in wanted else f"{alert} is {state}"

        self.wait(alert, lacking)
