"""How the worlds must end in which a pass was cancelled: each tells what is not as it should be."""

from __future__ import annotations

from typing import Any

from warmclaim.api import names
from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, SERVICE, VOLUME_CLAIM, Resource
from warmclaim.testing.explore.worlds import claim_problems
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.objects import controller_of, part, ready_of
from warmclaim.testing.sim.policies import policy_problems
from warmclaim.testing.store import ObjectStore


def annotation_missing(store: ObjectStore) -> list[str]:
    found = [
        part(commit.object, "spec", "podTemplate", "metadata", "annotations", "note")
        for commit in store.scan(str(SANDBOX))
    ]
    return claim_problems(store) + ([] if found == ["blue"] else [f"the pod's note is {found}"])


def unmarked(store: ObjectStore) -> list[str]:
    """What is not noted on a served claim and its sandbox, and what should not be any more."""
    problems: list[str] = []
    for commit in store.scan(str(CLAIM)):
        metadata = commit.object["metadata"]
        if names.ANNOTATION_FIRST_READY not in metadata["annotations"]:
            problems.append(f"{commit.key} does not say when it was Ready")
        if names.ASSIGNED_SANDBOX in metadata["annotations"] | metadata.get("labels", {}):
            problems.append(f"{commit.key} still names what it did not get")
    for commit in store.scan(str(SANDBOX)):
        if commit.object["metadata"]["labels"].get(names.LABEL_LAUNCH_TYPE) != names.WARM:
            problems.append(f"{commit.key} was launched warm and does not say so")
    return problems


def claim_gone(store: ObjectStore) -> list[str]:
    return [f"{commit.key} outlives its time" for commit in store.scan(str(CLAIM))]


def sandbox_gone(store: ObjectStore) -> list[str]:
    """The claim stays and says so."""
    kept = [f"{commit.key} outlives its claim's time" for commit in store.scan(str(SANDBOX))]
    said = [ready_of(commit.object).reason for commit in store.scan(str(CLAIM))]
    return kept if said == ["ClaimExpired"] else [*kept, f"the claim says {said}"]


def pool_problems(store: ObjectStore) -> list[str]:
    """As many members as wanted, and the status says so."""
    pool = next(iter(store.scan(str(POOL)))).object
    wanted = int(pool["spec"]["replicas"])
    owners = [controller_of(commit.object) for commit in store.scan(str(SANDBOX))]
    members = sum(owner is not None and owner.kind == POOL.kind for owner in owners)
    shown = part(pool, "status", "replicas")
    problems = [] if members == wanted else [f"L4 {members} members, {wanted} wanted"]
    return problems + ([] if shown == wanted else [f"L4 the status shows {shown} of {wanted}"])


def sandbox_problems(store: ObjectStore) -> list[str]:
    """Each sandbox has its pod, its Service where it wants one, and a status."""
    problems: list[str] = []
    for commit in store.scan(str(SANDBOX)):
        sandbox = commit.object
        problems += _child_problems(store, sandbox, POD)
        if sandbox["spec"].get("service"):
            problems += _child_problems(store, sandbox, SERVICE)
        if sandbox["spec"].get("volumeClaimTemplates"):
            problems += _child_problems(store, sandbox, VOLUME_CLAIM)
        if not part(sandbox, "status", "conditions"):
            problems.append(f"{commit.key} has no status")
    return problems


def at_rest(store: ObjectStore) -> list[str]:
    """Nothing runs for the sandbox, its volume is kept, and its status tells of both."""
    left = [f"{kind.plural} {c.key}" for kind in (POD, SERVICE) for c in store.scan(str(kind))]
    said = [ready_of(commit.object).reason for commit in store.scan(str(SANDBOX))]
    kept = sum(1 for _ in store.scan(str(VOLUME_CLAIM)))
    is_well = said in (["SandboxSuspended"], ["SandboxExpired"]) and kept == 1
    return left + ([] if is_well else [f"the sandbox says {said}, {kept} volume claims"])


def sandbox_deleted(store: ObjectStore) -> list[str]:
    return [f"{commit.key} outlives its time" for commit in store.scan(str(SANDBOX))]


def label_missing(store: ObjectStore) -> list[str]:
    labels = [part(commit.object, "metadata", "labels", "tier") for commit in store.scan(str(POD))]
    return [] if labels == ["gold"] else [f"the pod's labels are {labels}"]


def unsettled(store: ObjectStore) -> list[str]:
    return list(policy_problems(store))


def _child_problems(store: ObjectStore, sandbox: Json, kind: Resource[Any]) -> list[str]:
    uid = sandbox["metadata"]["uid"]
    owners = [controller_of(commit.object) for commit in store.scan(str(kind))]
    count = sum(owner is not None and owner.uid == uid for owner in owners)
    name = sandbox["metadata"]["name"]
    return [] if count == 1 else [f"{name} has {count} of {kind.plural}"]
