"""A flood of claims in one namespace, and what a tenant in another notices of it (G13).

The tenant has a warm pool and asks for 60 sandboxes at 5 a second, twice: in peace, and while the
flood goes on. The whole is done twice. In the first run the manager looks after both namespaces, in
the second after the tenant's alone: what the flood costs the tenant then is the API server's, and
that of two cores for everybody.

Promises are asserted; the ratios are told at the end of `make e2e`, and kept in out/e2e-flood.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

import pytest
import uvloop
from e2e.burst import claim_requests
from e2e.burst.claim_requests import Handed
from e2e.burst.rights import grant
from e2e.burst.run import controller_command
from e2e.burst.wires import connected
from e2e.cluster import ADMIN, WARMCLAIM, ControlPlane
from e2e.controlplane.objects import create_namespace
from e2e.figures import RunFigures
from tests.bench.figures import OUT, ROOT

from warmclaim.loadtest.audit_log import AuditEvent
from warmclaim.loadtest.objects import (
    CLAIMS,
    POOLS,
    SANDBOXES,
    TEMPLATES,
    path,
    pool_body,
    template_body,
)
from warmclaim.loadtest.phases import PhaseRun
from warmclaim.loadtest.process import command_of
from warmclaim.loadtest.profile import Profile, parse
from warmclaim.loadtest.result import Latency, RunResult
from warmclaim.loadtest.run import Plan, run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FLOOD, TENANT = "flood", "tenant"
FLOOD_CLAIMS = 10_000
CLAIMS_EACH = 60
RATIO_MAX = 2.0
FOLDER = OUT / "e2e-flood"
STOP_S_MAX = 30.0
PROFILE = f"""
name: tenant-flood
phases:
  - phase: deploy
    members_each: {CLAIMS_EACH}
  - {{phase: burst, name: peace, claims: {CLAIMS_EACH}, rate_per_s: 5, until: [
      {{condition: ready, of: claims}}, {{condition: ready, of: members}}]}}
  - {{phase: steady-state, name: begin, until: [{{condition: timer, for_s: 2}}]}}
  - {{phase: burst, name: flood, claims: {CLAIMS_EACH}, rate_per_s: 5, until: [
      {{condition: ready, of: claims}}]}}
"""


@dataclass
class FloodProcess:
    """The flood, begun by the first phase that ends and stopped by the last: as the judge of a run
    it hears of both."""

    cluster: ControlPlane
    handed: dict[str, Handed] = field(default_factory=dict[str, Handed])
    warm: set[str] = field(default_factory=set[str])
    made: int = 0
    during_s: float = 0.0
    _process: subprocess.Popen[str] | None = None
    _begun_s: float = 0.0

    def __call__(self, phases: PhaseRun) -> list[str]:
        """A phase has ended."""
        title = phases.results[-1].name
        if title == "peace":
            self._begin()
        if title == "flood":
            self.stop()
            self._look(phases)
        return []

    def stop(self) -> None:
        """End the flood, if it goes on, and hear how much it was."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=STOP_S_MAX)
        self.made, self.during_s = json.loads(said)["made"], time.monotonic() - self._begun_s
        assert process.returncode == 0

    def _begin(self) -> None:
        self._begun_s = time.monotonic()
        words = {
            "--kubeconfig": self.cluster.kubeconfig(ADMIN),
            "--ca-file": self.cluster.ca_file,
            "--namespace": FLOOD,
            "--pool": "burst",
            "--claims": FLOOD_CLAIMS,
        }
        flags = [str(word) for pair in words.items() for word in pair]
        command = [sys.executable, "-m", "e2e.burst.flood", *flags]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def _look(self, phases: PhaseRun) -> None:
        ledger = phases.scene.stage.ledger
        for claim in ledger.claims.values():
            sandbox = ledger.sandbox_of(claim)
            if claim.ready_s is None or sandbox is None:
                continue
            self.handed[claim.name] = Handed(claim.name, sandbox.name, claim.versions_to_ready)
            if sandbox.launch_type == "warm" and sandbox.name != claim.name:
                self.warm.add(claim.name)


@dataclass(frozen=True)
class Spent:
    """Where the middle one of a phase's claims spent its time, in milliseconds; each part has its
    own middle one. `unsent_ms`: from the claim's creation to our first write reaching the server.
    `served_ms`: in the server, with both writes. `between_ms`: from the answer to the first to the
    second."""

    unsent_ms: float
    served_ms: float
    between_ms: float


def spent(events: Sequence[AuditEvent], handed: Iterable[Handed]) -> Spent:
    """By the server's own clock."""
    named = {(e.resource, e.subresource, e.verb, e.name): e for e in reversed(events)}
    parts: list[tuple[float, float, float]] = []
    for one in handed:
        made = named[CLAIMS, "", "create", one.claim]
        first = named[SANDBOXES, "", "patch", one.sandbox]
        second = named[CLAIMS, "status", "patch", one.claim]
        served_s = first.staged_s - first.received_s + second.staged_s - second.received_s
        unsent_s = first.received_s - made.staged_s
        parts.append((unsent_s, served_s, second.received_s - first.staged_s))
    return Spent(*(round(median(part) * 1000, 1) for part in zip(*parts, strict=True)))


@dataclass(frozen=True)
class Flooded:
    """What a run came to."""

    result: RunResult
    flood: FloodProcess
    wrong_paths: list[str]
    peace: Spent
    beside: Spent

    def latency(self, phase: str) -> Latency:
        """Of the tenant's claims in a phase."""
        (found,) = [one for one in self.result.phases if one.name == phase]
        assert found.client is not None
        return found.client

    @property
    def ratio(self) -> float:
        """P99 in the flood by P99 in peace. Of 60 claims the P99 is the slowest."""
        return self.latency("flood").p99_ms / self.latency("peace").p99_ms


def run_once(cluster: ControlPlane, folder: Path, *flags: str) -> Flooded:
    """One run, with a manager of these flags."""
    api = cluster.api
    grant(api, WARMCLAIM)
    create_namespace(api, FLOOD)
    api.create(path(FLOOD, TEMPLATES), template_body())
    api.create(path(FLOOD, POOLS), pool_body(0))
    folder.mkdir(parents=True)
    profile: Profile = parse(PROFILE.encode())
    plan = Plan(
        profile,
        connected(cluster.server, cluster.token(ADMIN), cluster.ca_file),
        TENANT,
        command=command_of(controller_command(cluster, *flags), str(cluster.kubeconfig(WARMCLAIM))),
    )
    flood = FloodProcess(cluster)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result = runner.run(run(plan, folder, lambda _: None, flood))
    finally:
        flood.stop()
    cluster.audit_settle()
    events = [one for one in cluster.audit_events() if one.namespace == TENANT]
    paths = claim_requests.claim_paths(events, flood.handed.values(), WARMCLAIM)
    ours = [one for one in events if one.verb == "create" or one.user == WARMCLAIM]
    peace, beside = (
        spent(ours, [one for name, one in flood.handed.items() if name.startswith(phase)])
        for phase in ("peace", "flood")
    )
    return Flooded(result, flood, list(claim_requests.problems(paths)), peace, beside)


@pytest.fixture(scope="module", params=[(), (f"--namespaces={TENANT}",)], ids=["both", "one"])
def flooded(request: pytest.FixtureRequest) -> Iterator[tuple[str, Flooded]]:
    """A run on a control plane of its own: what a flood leaves would be a part of the next."""
    flags: tuple[str, ...] = request.param
    name = "looked-after" if not flags else "ignored"
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    with ControlPlane() as cluster:
        yield name, run_once(cluster, FOLDER / name, *flags)


def test_the_other_tenants_claims_are_served_as_ever(
    flooded: tuple[str, Flooded], run_figures: RunFigures
) -> None:
    name, found = flooded
    peace, flood = found.latency("peace"), found.latency("flood")
    figures = {
        "flood_claims_made": found.flood.made,
        "flood_s": round(found.flood.during_s, 2),
        "peace_p99_ms": peace.p99_ms,
        "flood_p99_ms": flood.p99_ms,
        "ratio": round(found.ratio, 3),
        "peace_spent": asdict(found.peace),
        "flood_spent": asdict(found.beside),
    }
    (FOLDER / f"{name}.json").write_text(f"{json.dumps(figures, indent=2)}\n")
    note = (
        f"{flood.p99_ms:,.0f} by {peace.p99_ms:,.0f} ms (P50 {flood.p50_ms:,.0f} by"
        f" {peace.p50_ms:,.0f}); {found.flood.made:,} claims in {found.flood.during_s:.0f} s"
    )
    what = f"a tenant's P99 beside a flood that is {name.replace('-', ' ')}"
    run_figures.add("G13", what, found.ratio, RATIO_MAX, "x", note)

    assert found.result.problem == ""
    assert found.result.breaches == []
    assert len(found.flood.handed) == 2 * CLAIMS_EACH
    assert found.flood.warm == set(found.flood.handed)
    assert found.wrong_paths == []
    assert found.flood.made > CLAIMS_EACH
