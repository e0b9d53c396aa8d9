"""L1-L5 after the last fault: what is still not as it should be.

The statement is Anvil's ESR: eventually everything is as desired, and then it stays so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator
from typing import Any

from warmclaim.api.names import LABEL_WARM_POOL
from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, TEMPLATE, VOLUME_CLAIM
from warmclaim.seams import Clock
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.admins import TEMPLATE_NAME, does_recreate, is_stale
from warmclaim.testing.sim.objects import (
    controller_of,
    is_deleting,
    part,
    parts,
    published_by,
    ready_of,
)
from warmclaim.testing.sim.policies import policy_problems
from warmclaim.testing.sim.tenants import asks_for_forbidden
from warmclaim.testing.sim.wanted import (
    INVALID,
    goes_with_its_end,
    has_no_pod,
    is_over,
    refusals,
    resting,
)
from warmclaim.testing.sim.wire import CLAIM_EXPIRED
from warmclaim.testing.store import ObjectStore
from warmqueue import Place, SandboxKey, WarmDirectory


class Liveness:
    """Looks at the store; each look costs O(claims + pools + sandboxes + pods). `has_policies`:
    somebody keeps those of templates."""

    def __init__(self, store: ObjectStore, clock: Clock, *, has_policies: bool = False) -> None:
        self._store = store
        self._clock = clock
        self._has_policies = has_policies

    def problems(self) -> list[str]:
        """Everything that is not yet as it should be, each with its promise."""
        sandboxes = self._objects(SANDBOX)
        by_owner: dict[str, list[Json]] = {}
        for sandbox in sandboxes.values():
            owner = controller_of(sandbox)
            by_owner.setdefault(owner.uid if owner else "", []).append(sandbox)
        claims, pools, pods = self._objects(CLAIM), self._objects(POOL), self._objects(POD)
        return [
            *self._claims(claims, sandboxes, by_owner, pods),
            *self._pools(pools, by_owner),
            *self._pods(sandboxes, pods),
            *self._volumes(sandboxes),
            *self._orphans(sandboxes, claims, pools),
            *(policy_problems(self._store) if self._has_policies else ()),
        ]

    def out_of_reach(self, warm: WarmDirectory) -> list[str]:
        """Warm members that no claim would get from a manager with these queues.

        To be asked when no claim is waiting: one that comes now would find less than there is.
        """
        pools = {pool["metadata"]["uid"] for pool in self._objects(POOL).values()}
        places = {
            key: warm.place_of(SandboxKey(*key.split("/")))
            for key, sandbox in self._objects(SANDBOX).items()
            if _is_warm(sandbox, pools)
        }
        return [
            f"L1 {key} is warm, and to its manager it is {place.value if place else 'unknown'}"
            for key, place in places.items()
            if place is not Place.READY
        ]

    def _objects(self, resource: Any) -> dict[str, Json]:
        return {commit.key: commit.object for commit in self._store.scan(str(resource))}

    def _claims(
        self,
        claims: dict[str, Json],
        sandboxes: dict[str, Json],
        by_owner: dict[str, list[Json]],
        pods: dict[str, Json],
    ) -> Iterator[str]:
        templates = self._objects(TEMPLATE)
        for key, claim in claims.items():
            owned = by_owner.get(claim["metadata"]["uid"], [])
            if is_over(claim, self._clock.wall()):
                yield from _ended(key, claim, owned)
                continue
            name = published_by(claim)
            if len(owned) > 1:
                names = ", ".join(s["metadata"]["name"] for s in owned)
                yield f"L3 {key} has more than one sandbox: {names}"
            if not name:
                refused = refusals(claim, _template_of(claim, templates))
                is_squatted = _is_squatted(claim, sandboxes.get(key))
                if ready_of(claim).reason not in refused and (refused or not is_squatted):
                    yield f"L1 {key} has no sandbox: {ready_of(claim)}"
                continue
            sandbox = next((s for s in owned if s["metadata"]["name"] == name), None)
            if sandbox is None or is_deleting(sandbox):
                yield f"L1 {key} shows {name}, which is not there"
                continue
            yield from self._shown(key, claim, sandbox, pods)

    def _shown(self, key: str, claim: Json, sandbox: Json, pods: dict[str, Json]) -> Iterator[str]:
        """What a claim shows of its sandbox."""
        metadata = sandbox["metadata"]
        pod = pods.get(f"{metadata['namespace']}/{metadata['name']}")
        reason = resting(sandbox, pod, self._clock.wall())
        shown, of_claim = ready_of(sandbox), ready_of(claim)
        is_right = shown[:2] == ("False", reason) if reason else shown.status == "True"
        wanted = ("False", INVALID) if asks_for_forbidden(claim) else shown[:2]
        if not is_right or of_claim[:2] != wanted:
            yield f"L1 {key} shows {of_claim}, its sandbox {metadata['name']} {shown}"

    def _pools(self, pools: dict[str, Json], by_owner: dict[str, list[Json]]) -> Iterator[str]:
        templates = self._objects(TEMPLATE)
        for key, pool in pools.items():
            members = by_owner.get(pool["metadata"]["uid"], [])
            template = templates.get(f"{pool['metadata']['namespace']}/{TEMPLATE_NAME}")
            if does_recreate(pool) and any(is_stale(member, template) for member in members):
                yield f"L4 {key} has members from before its template's last edit"
            wanted = int(pool["spec"].get("replicas") or 0)
            if len(members) != wanted:
                yield f"L4 {key} has {len(members)} members, {wanted} wanted"
            ready = sum(ready_of(member).status == "True" for member in members)
            if ready != len(members):
                yield f"L4 {key} has {len(members) - ready} members that are not ready"
            shown = int(part(pool, "status", "readyReplicas") or 0)
            if shown != ready:
                yield f"L4 {key} shows {shown} ready members of {ready}"

    def _pods(self, sandboxes: dict[str, Json], pods: dict[str, Json]) -> Iterator[str]:
        """What shows Ready has a pod of its own that is; what is suspended or over has none."""
        owners = {owner.uid: key for key, pod in pods.items() if (owner := controller_of(pod))}
        for key, sandbox in sandboxes.items():
            owner = controller_of(sandbox)
            why_not = has_no_pod(sandbox, self._clock.wall())
            if why_not and (left := owners.get(sandbox["metadata"]["uid"])) is not None:
                yield f"L1 {key} has the pod {left} and should not: {why_not}"
            if owner is None or ready_of(sandbox).status != "True":
                continue
            promise = "L1" if owner.kind == CLAIM.kind else "L4"
            pod = pods.get(key)
            if pod is None or is_deleting(pod):
                yield f"{promise} {key} is Ready and has no pod"
            elif (controller := controller_of(pod)) is None:
                yield f"{promise} {key} is Ready, its pod is nobody's"
            elif controller.uid != sandbox["metadata"]["uid"]:
                yield f"{promise} {key} is Ready, its pod is of {controller}"
            elif ready_of(pod).status != "True":
                yield f"{promise} {key} is Ready, its pod {ready_of(pod)}"

    def _volumes(self, sandboxes: dict[str, Json]) -> Iterator[str]:
        """Each sandbox has its volumes, also when it is suspended; none is left without one."""
        volumes = self._objects(VOLUME_CLAIM)
        uids = {sandbox["metadata"]["uid"] for sandbox in sandboxes.values()}
        for key, volume in volumes.items():
            if (owner := controller_of(volume)) is None or owner.uid not in uids:
                yield f"L5 the volume {key} has lost its sandbox: {owner}"
        for key, sandbox in sandboxes.items():
            namespace, _, name = key.partition("/")
            if has_no_pod(sandbox, self._clock.wall()) == "SandboxExpired":
                continue  # it may have been over before it had any
            for asked in parts(sandbox, "spec", "volumeClaimTemplates"):
                wanted = f"{namespace}/{asked['metadata']['name']}-{name}"
                owner = controller_of(volumes.get(wanted))
                if owner is None or owner.uid != sandbox["metadata"]["uid"]:
                    yield f"L1 {key} lacks its volume {wanted}: {owner}"

    def _orphans(
        self, sandboxes: dict[str, Json], claims: dict[str, Json], pools: dict[str, Json]
    ) -> Iterator[str]:
        uids = {o["metadata"]["uid"] for o in (*claims.values(), *pools.values())}
        for key, sandbox in sandboxes.items():
            owner = controller_of(sandbox)
            if owner is not None and owner.uid not in uids:
                yield f"L5 {key} has lost its owner {owner.kind} {owner.name}"


def _ended(key: str, claim: Json, owned: list[Json]) -> Iterator[str]:
    """A claim whose time is over."""
    if goes_with_its_end(claim):
        yield f"L1 {key} is over and should be gone"
    elif owned or published_by(claim) or ready_of(claim).reason != CLAIM_EXPIRED:
        names = ", ".join(sandbox["metadata"]["name"] for sandbox in owned)
        yield f"L1 {key} is over, has {names or 'no sandbox'} and shows {ready_of(claim)}"


def _template_of(claim: Json, templates: dict[str, Json]) -> Json | None:
    return templates.get(f"{claim['metadata']['namespace']}/{TEMPLATE_NAME}")


def _is_warm(sandbox: Json, pools: Container[str]) -> bool:
    owner, metadata = controller_of(sandbox), sandbox["metadata"]
    is_member = owner is not None and owner.kind == POOL.kind and owner.uid in pools
    is_marked = LABEL_WARM_POOL in metadata.get("labels", {}) and not is_deleting(sandbox)
    has_address = bool(part(sandbox, "status", "podIPs"))
    return is_member and is_marked and has_address and ready_of(sandbox).status == "True"


def _is_squatted(claim: Json, namesake: Json | None) -> bool:
    """Whether somebody else's sandbox has the claim's name: then a cold start is impossible."""
    owner = controller_of(namesake)
    return namesake is not None and (owner is None or owner.uid != claim["metadata"]["uid"])


def summary(problems: list[str]) -> str:
    """The first few, and how many of each promise."""
    counts = Counter(text.split()[0] for text in problems)
    words = ", ".join(f"{number} x {promise}" for promise, number in sorted(counts.items()))
    return f"{words}: " + "; ".join(problems[:3])
