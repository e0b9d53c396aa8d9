"""Tenants who use more of the API than a plain claim, and the pods that they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from warmclaim.api.names import ASSIGNED_SANDBOX
from warmclaim.api.resources import CLAIM, POD, SANDBOX
from warmclaim.api.timestamps import rfc3339, seconds_of
from warmclaim.testing import builders
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.case import Options
from warmclaim.testing.sim.dice import Dice
from warmclaim.testing.sim.enemies import Act
from warmclaim.testing.sim.grip import Grip
from warmclaim.testing.sim.objects import controller_of, is_deleting, part, parts, published_by
from warmclaim.testing.sim.workload import pools_of

LaterAs: TypeAlias = Callable[[float, str, Callable[[], None]], None]
"""Does something after so many seconds, in somebody's name."""

LIFETIME_S_MAX: Final = 15.0
TTL_S_MAX: Final = 6
JOB_S_MAX: Final = 8.0
SOON_S: Final = 60.0
"""What ends by itself within that time after the faults is left to."""

_POLICIES: Final = ("Delete", "DeleteForeground", "Retain", None)
_FORBIDDEN: Final = "no-domain"
_WISHES: Final[tuple[Json, ...]] = (
    {"labels": {"sandbox.users.io/team": "a"}},
    {"annotations": {"tenant.example/note": "b"}},
    {"labels": {"sandbox.users.io/team": "c"}, "annotations": {"tenant.example/note": "d"}},
    {"labels": {_FORBIDDEN: "e"}},
)


class Tenants:
    """`acts` are theirs, by the names of their actions; those of `CREATING` make claims."""

    CREATING: Final = ("claim.create", "claim.brief", "claim.dress", "claim.own")

    def __init__(self, grip: Grip, options: Options, later_as: LaterAs) -> None:
        self._grip = grip
        self._options = options
        self._dice = Dice(options.seed)
        self._later_as = later_as
        self.claims_made = 0
        self.acts: Final[Mapping[str, Act]] = {
            "claim.create": self.create_claim,
            "claim.assign": self._assign,
            "claim.brief": self._create_brief,
            "claim.dress": self._create_dressed,
            "claim.own": self._create_own,
            "claim.prolong": self._prolong,
            "claim.relabel": self._relabel,
            "claim.suspend": self._suspend,
            "claim.retire": self._retire,
            "pod.finish": self._finish_some,
        }

    def create_claim(self, namespace: str, name: str, x: float) -> None:
        """A plain one."""
        self._create(namespace, name, x, {})

    def _assign(self, namespace: str, name: str, x: float) -> None:
        """A claim is made again, for which another controller has chosen some sandbox already."""
        chosen = self._grip.some(SANDBOX, x)
        if chosen is None:
            return
        mark: Json = {ASSIGNED_SANDBOX: chosen["metadata"]["name"]}
        self._grip.delete(CLAIM, namespace, name)
        place = "labels" if x * 7 % 1 < 0.3 else "annotations"
        self._create(namespace, name, x * 13 % 1, {}, **{place: mark})

    def let_go(self) -> None:
        """Nothing that ends by itself is left to end at some later time."""
        now_s = self._grip.cluster.clock.wall()
        for claim in self._grip.all(CLAIM):
            moment = moment_of(claim)
            if part(claim, "spec", "lifecycle") and (moment is None or moment > now_s + SOON_S):
                ended = {"shutdownTime": rfc3339(now_s - 1)}
                lifecycle = ended if self._is_even(claim) else None
                self._grip.patch_found(CLAIM, claim, {"spec": {"lifecycle": lifecycle}})
        for sandbox in self._grip.all(SANDBOX):
            moment = seconds_of(part(sandbox, "spec", "shutdownTime"))
            if moment is not None and moment > now_s:
                time = rfc3339(now_s - 1) if self._is_even(sandbox) else None
                self._grip.patch_found(SANDBOX, sandbox, {"spec": {"shutdownTime": time}})

    def _is_even(self, found: Json) -> bool:
        return self._dice.chance(f"ends {found['metadata']['uid']}", 0.5)

    # ------------------------------------------------------------------ claims

    def _create(self, namespace: str, name: str, x: float, spec: Json, **metadata: Json) -> None:
        pools = pools_of(self._options, namespace)
        pool = pools[int(x * len(pools))]
        claim = builders.a_claim(name, pool=pool, namespace=namespace, merge={"spec": spec})
        self._grip.create(CLAIM, namespace, builders.as_sent(claim, **metadata))
        self.claims_made += 1

    def _create_brief(self, namespace: str, name: str, x: float) -> None:
        """One whose life ends at a moment, or some time after its pod has."""
        which, policy, when, job = self._dice.units(f"brief {namespace}/{name} {x}")
        lifecycle: Json = {"shutdownPolicy": _POLICIES[int(policy * len(_POLICIES))]}
        if which < 0.5:
            lifecycle["shutdownTime"] = self._moment(when)
        else:
            lifecycle["ttlSecondsAfterFinished"] = int(when * TTL_S_MAX)
        self._create(namespace, name, x, {"lifecycle": lifecycle})
        if which >= 0.5:
            end_job = partial(self._finish_of, namespace, name, job)
            self._later_as(job * JOB_S_MAX, "pod", end_job)

    def _create_dressed(self, namespace: str, name: str, x: float) -> None:
        """One that asks for labels or annotations of its pod, which may be forbidden."""
        self._create(namespace, name, x, {"additionalPodMetadata": self._wish(x)})

    def _create_own(self, namespace: str, name: str, x: float) -> None:
        """One that asks for what no warm sandbox has: a variable, a volume, or both."""
        which = self._dice.unit(f"own {namespace}/{name} {x}")
        spec: Json = {}
        if which < 0.6:
            spec["volumeClaimTemplates"] = [a_volume_template()]
        if which > 0.4:
            spec["env"] = [{"name": "WISH", "value": "w1sh"}]
        self._create(namespace, name, x, spec)

    def _prolong(self, namespace: str, name: str, x: float) -> None:
        """A claim gets another end, its first one, or none."""
        if self._options.uses.brief_share:
            policy = _POLICIES[int(x * 11 % 1 * len(_POLICIES))]
            change = {"shutdownTime": self._moment(x), "shutdownPolicy": policy}
            lifecycle = change if x * 7 % 1 < 0.7 else None
            self._grip.patch(CLAIM, namespace, name, {"spec": {"lifecycle": lifecycle}})

    def _relabel(self, namespace: str, name: str, x: float) -> None:
        """A claim asks for other metadata, or for none."""
        if self._options.uses.dressed_share:
            wish = self._wish(x) if x * 7 % 1 < 0.8 else None
            patch = {"spec": {"additionalPodMetadata": wish}}
            self._grip.patch(CLAIM, namespace, name, patch)

    def _wish(self, x: float) -> Json:
        return _WISHES[int(x * 13 % 1 * len(_WISHES))]

    def _moment(self, x: float) -> str:
        return rfc3339(self._grip.cluster.clock.wall() + x * LIFETIME_S_MAX)

    # --------------------------------------------------------------- sandboxes

    def _suspend(self, namespace: str, name: str, _x: float) -> None:
        """The sandbox that a claim shows is suspended; one that is so already runs again."""
        found = self._shown(namespace, name)
        if found is not None:
            is_suspended = part(found, "spec", "operatingMode") == "Suspended"
            mode = "Running" if is_suspended else "Suspended"
            self._grip.patch_found(SANDBOX, found, {"spec": {"operatingMode": mode}})

    def _retire(self, namespace: str, name: str, x: float) -> None:
        """The sandbox that a claim shows gets an end of its own; one that has one loses it."""
        found = self._shown(namespace, name)
        if found is None:
            return
        has_end = part(found, "spec", "shutdownTime") is not None
        policy = "Delete" if x * 7 % 1 < 0.5 else "Retain"
        time = None if has_end else self._moment(x)
        change = {"shutdownTime": time, "shutdownPolicy": policy}
        self._grip.patch_found(SANDBOX, found, {"spec": change})

    def _shown(self, namespace: str, name: str) -> Json | None:
        claim = self._grip.get(CLAIM, namespace, name)
        found = self._grip.get(SANDBOX, namespace, published_by(claim)) if claim else None
        owner = controller_of(found)
        is_own = claim is not None and owner is not None and owner.uid == claim["metadata"]["uid"]
        return found if is_own else None

    # -------------------------------------------------------------------- pods

    def _finish_of(self, namespace: str, name: str, x: float) -> None:
        if (sandbox := self._shown(namespace, name)) is not None:
            pod = self._grip.get(POD, namespace, sandbox["metadata"]["name"])
            if pod is not None:
                finish_pod(self._grip, pod, x)

    def _finish_some(self, _namespace: str, _name: str, x: float) -> None:
        """The pod of some sandbox that a claim has comes to its end, well or not."""
        ours = [pod for pod in self._grip.all(POD) if self._is_claimed(pod)]
        if ours:
            finish_pod(self._grip, ours[int(x * len(ours))], x)

    def _is_claimed(self, pod: Json) -> bool:
        metadata = pod["metadata"]
        owner = controller_of(self._grip.get(SANDBOX, metadata["namespace"], metadata["name"]))
        return owner is not None and owner.kind == CLAIM.kind


def finish_pod(grip: Grip, pod: Json, x: float) -> None:
    """A pod that runs comes to its end; `x` says whether well or not."""
    if part(pod, "status", "phase") != "Running" or is_deleting(pod):
        return
    conditions = [
        {**c, "status": "False", "reason": "PodCompleted"}
        if c["type"] in ("Ready", "ContainersReady")
        else c
        for c in parts(pod, "status", "conditions")
    ]
    phase = "Failed" if x * 7 % 1 < 0.3 else "Succeeded"
    metadata, status = pod["metadata"], {"phase": phase, "conditions": conditions}
    grip.patch(POD, metadata["namespace"], metadata["name"], {"status": status}, "status")


def a_volume_template() -> Json:
    """A small volume, as claims and sandboxes ask for one."""
    storage: Any = {"requests": {"storage": "1Gi"}}
    return {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": storage},
    }


def asks_for_forbidden(claim: Json) -> bool:
    """Whether it asks for metadata that no claim may have."""
    return _FORBIDDEN in (part(claim, "spec", "additionalPodMetadata", "labels") or {})


def moment_of(claim: Json | None) -> float | None:
    """When a claim's life ends, in seconds since 1970; None for never, or not known yet."""
    lifecycle = part(claim, "spec", "lifecycle")
    moments = [seconds_of(part(lifecycle, "shutdownTime"))]
    ttl_s: float | None = part(lifecycle, "ttlSecondsAfterFinished")
    for condition in parts(claim, "status", "conditions"):
        if ttl_s is not None and condition["type"] == "Finished" and condition["status"] == "True":
            since_s = seconds_of(condition.get("lastTransitionTime"))
            moments.append(None if since_s is None else since_s + ttl_s)
    return min((moment for moment in moments if moment is not None), default=None)
