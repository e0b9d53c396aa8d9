"""`warmclaim loadtest` against a real control plane, as a user starts it: two configurations of the
controller under the same load, each beside what the load generator can do alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from e2e.burst.rights import grant
from e2e.burst.run import controller_command
from e2e.cluster import ADMIN, WARMCLAIM, ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

QUIET = ("--disable-claim-events", "--disable-claim-observability-annotations")
CLAIMS = 6


@dataclass(frozen=True)
class Compared:
    """The runs of one configuration, by who served."""

    folder: Path
    runs: dict[str, dict[str, Any]]

    def phase(self, serves: str, name: str) -> dict[str, Any]:
        """What a phase came to."""
        return next(one for one in self.runs[serves]["phases"] if one["name"] == name)


@pytest.fixture(scope="module", params=[(), QUIET], ids=["default", "quiet"])
def compared(
    request: pytest.FixtureRequest,
    control_plane: ControlPlane,
    tmp_path_factory: pytest.TempPathFactory,
) -> Compared:
    """A run of the tiny profile without and with a controller of these flags."""
    grant(control_plane.api, WARMCLAIM)
    folder = tmp_path_factory.mktemp("loadtest") / "out"
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "warmclaim", "loadtest", "--profile", "tiny", "-o", "json"),
            *("--kubeconfig", str(control_plane.kubeconfig(ADMIN)), "--limit"),
            *("--controller", controller_command(control_plane, *request.param)),
            *("--out", str(folder)),
            *("--audit-log", str(control_plane.audit_log.path), "--audit-user", WARMCLAIM),
            *(["--cpu-profile"] if os.geteuid() == 0 else []),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    runs = json.loads(ended.stdout)["runs"]
    return Compared(folder, {one["serves"]: one for one in runs})


def test_every_claim_is_served_warm_or_as_it_must_be(compared: Compared) -> None:
    for serves in ("limit", "controller"):
        burst = compared.phase(serves, "burst")
        assert (burst["sent"], burst["client"]["count"], burst["refused"]) == (CLAIMS, CLAIMS, {})
    assert compared.phase("limit", "burst")["warm"] == CLAIMS
    assert compared.runs["controller"]["breaches"] == []


def test_the_audit_log_tells_the_two_writes_of_a_claim(compared: Compared) -> None:
    burst = compared.phase("controller", "burst")
    assert burst["requests_from"] == "audit log"
    assert burst["requests"]["patch sandboxclaims/status"] >= burst["warm"]
    assert burst["requests"]["patch sandboxes"] >= burst["warm"]
    assert not [kind for kind in burst["requests"] if kind.startswith("list")]
    assert compared.phase("limit", "burst")["requests"] == {}


def test_a_configuration_shows_in_the_figures(compared: Compared) -> None:
    burst = compared.phase("controller", "burst")
    is_quiet = QUIET[0] in compared.runs["controller"]["command"]
    assert ("create events" in burst["requests"]) == (not is_quiet)
    # The controller's clock is read from what it notes on a claim.
    assert (burst["controller"] is None) == is_quiet


def test_the_controller_is_measured_and_everything_is_cleared(
    compared: Compared, control_plane: ControlPlane
) -> None:
    phases = compared.runs["controller"]["phases"]
    assert [one["name"] for one in phases] == [
        *("deploy", "burst", "steady-state", "scale", "delete")
    ]
    assert all(one["rss_bytes"] > 2**24 and one["cpu_s"] is not None for one in phases)
    assert phases[-1]["nodes"] == {}
    page = (compared.folder / "page.html").read_text()
    assert "Requests by kind" in page
    assert ("Flame graph: controller, burst" in page) == (os.geteuid() == 0)
    names = control_plane.kubectl("get", "namespaces", "-o", "name")
    assert "warmclaim-loadtest-" not in names
