"""Claims and sandboxes as the demo's watches show them, one line each."""

from __future__ import annotations

import msgspec

from warmclaim.api.claim import Claim
from warmclaim.api.resources import CLAIM, SANDBOX
from warmclaim.api.sandbox import Sandbox
from warmclaim.testing.builders import an_object
from warmclaim.testing.demo.figures import Latency, spread_of
from warmclaim.testing.demo.lifetime import Ending
from warmclaim.testing.demo.result import Result, Writes
from warmclaim.testing.demo.scenario import Scenario
from warmclaim.testing.json_values import Json

GROUP = "extensions.agents.x-k8s.io/v1beta1"


def a_claim_state(name: str, *, sandbox: str = "", is_ready: bool = True) -> Claim:
    """A claim that names `sandbox`, "" for one that has none yet."""
    ready = {"type": "Ready", "status": "True" if is_ready else "False"}
    status: Json = {"sandbox": {"name": sandbox}, "conditions": [ready]} if sandbox else {}
    return msgspec.convert(an_object(CLAIM, name, merge={"status": status}), Claim)


def a_sandbox_state(
    name: str, *, claim: str = "", pool: str = "demo", node: str = "n0", is_ready: bool = True
) -> Sandbox:
    """A sandbox of `claim`, else of `pool`."""
    kind, owner = ("SandboxClaim", claim) if claim else ("SandboxWarmPool", pool)
    reference: Json = {"apiVersion": GROUP, "kind": kind, "name": owner, "uid": f"{owner}-uid"}
    ready = {"type": "Ready", "status": "True" if is_ready else "False"}
    merge: Json = {
        "metadata": {"ownerReferences": [{**reference, "controller": True}]},
        "status": {"nodeName": node, "conditions": [ready]},
    }
    return msgspec.convert(an_object(SANDBOX, name, merge=merge), Sandbox)


def a_result(*, served: int = 100, warm: int = 100, problems: tuple[str, ...] = ()) -> Result:
    """A good run of the default scenario, unless said otherwise."""
    nodes = [f"n{number}" for number in range(100)]
    return Result(
        scenario=Scenario(),
        fill_s=3.2104,
        burst_s=2.01,
        refill_s=1.8,
        latency_ms=Latency(12.3456, 18.1, 31.9, 33.0) if served else None,
        post_ms=Latency(2.9, 4.1, 8.0, 9.0),
        served=served,
        warm=warm,
        before=spread_of(nodes * 2, 100),
        handed_out=spread_of(nodes, 100),
        after=spread_of([*nodes, *nodes[:50], *nodes[50:] * 2], 100),
        writes=(
            Writes("patch", "sandboxes.agents.x-k8s.io/status", 220),
            Writes("patch", "sandboxes.agents.x-k8s.io", 100),
            Writes("create", "pods", 100),
        ),
        manager_cpu_s=0.41,
        ending=Ending(7.25, 9.0, 10.0),
        history=({"hour": "2026-11-22T16:00:00", "pool": "demo", "claims": served + 1},),
        problems=problems,
    )
