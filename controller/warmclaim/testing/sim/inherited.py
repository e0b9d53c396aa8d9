"""What the Go controller of this API leaves behind, in the shapes that it is documented to write.

Members whose names end as the server made them up; a claim that was served; one whose choice was
noted and not yet taken; one whose sandbox was taken and whose status was not yet written, by a
version that noted its choice in a label. Half of the owner references are of v1alpha1.
"""

from __future__ import annotations

from typing import Final

from warmclaim.api.names import ASSIGNED_SANDBOX, LABEL_LAUNCH_TYPE
from warmclaim.api.resources import CLAIM, POOL, SANDBOX
from warmclaim.testing import builders
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.grip import Grip

_ALPHA: Final = "extensions.agents.x-k8s.io/v1alpha1"


def leave_behind(grip: Grip, namespace: str, pool: str) -> None:
    """All of it, around one pool that was just made."""
    found = grip.get(POOL, namespace, pool)
    if found is None:
        return
    owner = builders.an_owner(POOL, pool, uid=found["metadata"]["uid"])
    for number, end in enumerate(("x7k2p", "b9zqd")):
        _member(grip, namespace, f"{pool}-{end}", pool, _versioned(owner, number))
    _claim(grip, namespace, f"{pool}-chosen", pool, annotation=f"{pool}-x7k2p")
    _claim(grip, namespace, f"{pool}-taken", pool, label=f"{pool}-m4tzn")
    _bound(grip, namespace, f"{pool}-m4tzn", f"{pool}-taken", is_alpha=True)
    _claim(grip, namespace, f"{pool}-served", pool, annotation=f"{pool}-w8rcl")
    _bound(grip, namespace, f"{pool}-w8rcl", f"{pool}-served", is_alpha=False)
    status = {
        "sandbox": {"name": f"{pool}-w8rcl", "podIPs": ["10.0.0.7"]},
        "conditions": [builders.a_condition("Ready", reason="DependenciesReady")],
    }
    grip.patch(CLAIM, namespace, f"{pool}-served", {"status": status}, "status")


def _member(grip: Grip, namespace: str, name: str, pool: str, owner: Json) -> None:
    member = builders.a_sandbox(name, pool=pool, namespace=namespace)
    member["metadata"]["ownerReferences"] = [owner]
    grip.create(SANDBOX, namespace, builders.as_sent(member))


def _bound(grip: Grip, namespace: str, name: str, claim: str, *, is_alpha: bool) -> None:
    """Versions before the launch type was labelled wrote none."""
    found = grip.get(CLAIM, namespace, claim)
    if found is None:
        return
    bound = builders.a_sandbox(name, claim=claim, namespace=namespace)
    owner = builders.an_owner(CLAIM, claim, uid=found["metadata"]["uid"])
    bound["metadata"]["ownerReferences"] = [_versioned(owner, int(is_alpha))]
    if not is_alpha:
        bound["metadata"]["labels"][LABEL_LAUNCH_TYPE] = "warm"
    grip.create(SANDBOX, namespace, builders.as_sent(bound))


def _claim(
    grip: Grip, namespace: str, name: str, pool: str, *, annotation: str = "", label: str = ""
) -> None:
    claim = builders.a_claim(name, pool=pool, namespace=namespace)
    for part, chosen in (("annotations", annotation), ("labels", label)):
        if chosen:
            claim["metadata"][part] = {ASSIGNED_SANDBOX: chosen}
    grip.create(CLAIM, namespace, builders.as_sent(claim))


def _versioned(owner: Json, number: int) -> Json:
    return {**owner, "apiVersion": _ALPHA} if number % 2 else owner
