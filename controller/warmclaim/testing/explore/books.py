"""What a run has made, handed out and left behind, from its commits alone.

Two runs of one scenario are compared by it. Names, uids, versions and times are masked: which
member serves which claim, and when, is the manager's choice.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from warmclaim.api.names import (
    ANNOTATION_CONTROLLER_OBSERVED,
    ANNOTATION_FIRST_READY,
    ANNOTATION_RESERVATION,
)
from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, SERVICE
from warmclaim.testing.json_values import Json, is_array, is_object
from warmclaim.testing.resources import NAMESPACE
from warmclaim.testing.sim.lifetimes import says_over
from warmclaim.testing.sim.objects import Owner, controller_of, is_deleting, published_by
from warmclaim.testing.store import Commit, Verb

CLAIMS, POOLS, SANDBOXES = str(CLAIM), str(POOL), str(SANDBOX)
_PARTS: Final = (str(POD), str(SERVICE))

# Whatever names an object, a moment or a machine, or is made from such a name.
_MASKED: Final = frozenset(
    (
        "name",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "lastTransitionTime",
        "startTime",
        "startedAt",
        "nodeName",
        "ip",
        "podIP",
        "podIPs",
        "selector",
        ANNOTATION_FIRST_READY,
        ANNOTATION_RESERVATION,
        "agents.x-k8s.io/claim-uid",
        "agents.x-k8s.io/pod-name",
        "agents.x-k8s.io/sandbox-name-hash",
    )
)

# A process that did not see a claim arrive says nothing of when it did.
_LEFT_OUT: Final = frozenset((ANNOTATION_CONTROLLER_OBSERVED,))


@dataclass(slots=True)
class Books:
    """An observer of the store.

    `made`: sandboxes ever created. `handed`: the sandboxes that each claim ever owned, by uids.
    `surplus`: members deleted while their pool was there, and their namespace to stay.
    `lowered`: by how many members pools were too large when their targets were lowered.
    """

    made: int = 0
    handed: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    surplus: int = 0
    lowered: int = 0
    live: dict[tuple[str, str], Json] = field(default_factory=dict[tuple[str, str], Json])
    _members: Counter[str] = field(default_factory=Counter[str])
    _pools: set[str] = field(default_factory=set[str])
    _ending: set[str] = field(default_factory=set[str])

    def __call__(self, commit: Commit) -> None:
        place = (commit.resource, commit.key)
        if commit.is_live:
            self.live[place] = commit.object
        else:
            del self.live[place]
        if commit.resource == SANDBOXES:
            self._sandbox(commit)
        elif commit.resource == POOLS:
            self._pool(commit)
        elif commit.resource == NAMESPACE.resource:
            change = self._ending.add if is_deleting(commit.object) else self._ending.discard
            change(commit.key)

    def _sandbox(self, commit: Commit) -> None:
        self.made += commit.verb is Verb.ADDED
        before = controller_of(commit.before)
        after = controller_of(commit.object) if commit.is_live else None
        is_ending = commit.object["metadata"]["namespace"] in self._ending
        if _is_of(before, POOL.kind) and not commit.is_live and not is_ending:
            self.surplus += before is not None and before.uid in self._pools
        for owner, change in ((before, -1), (after, 1)):
            if owner is not None and owner.kind == POOL.kind:
                self._members[owner.uid] += change
        if after is not None and after.kind == CLAIM.kind:
            self.handed.setdefault(after.uid, set()).add(commit.object["metadata"]["uid"])

    def _pool(self, commit: Commit) -> None:
        uid = commit.object["metadata"]["uid"]
        if not commit.is_live:
            self._pools.discard(uid)
            return
        self._pools.add(uid)
        replicas = int(commit.object["spec"].get("replicas") or 0)
        before = int((commit.before or commit.object)["spec"].get("replicas") or 0)
        if replicas < before:
            self.lowered += max(0, self._members[uid] - replicas)

    # ---------------------------------------------------------------- the end

    def living_claims(self) -> set[str]:
        """Uids of the claims that are there."""
        found = (o for (resource, _), o in self.live.items() if resource == CLAIMS)
        return {claim["metadata"]["uid"] for claim in found}

    def end(self) -> dict[str, Counter[bytes]]:
        """The masked state: for each claim and pool its own, for each pool its members'."""
        shapes = self._shapes()
        state: dict[str, Counter[bytes]] = {}
        for (resource, key), value in self.live.items():
            if resource in (CLAIMS, POOLS):
                state[f"{resource} {key}"] = Counter([masked(_without_notes(value))])
            elif resource == SANDBOXES and _is_of(owner := controller_of(value), POOL.kind):
                namespace = value["metadata"]["namespace"]
                pool = f"members of {namespace}/{owner.name if owner else ''}"
                state.setdefault(pool, Counter())[shapes[key]] += 1
        return state

    def claims_shapes(self) -> dict[str, bytes]:
        """What each claim's published sandbox looks like, masked; b"" where there is none."""
        shapes = self._shapes()
        found: dict[str, bytes] = {}
        for (resource, key), value in self.live.items():
            if resource == CLAIMS:
                namespace = value["metadata"]["namespace"]
                found[key] = shapes.get(f"{namespace}/{published_by(value)}", b"")
        return found

    def _shapes(self) -> dict[str, bytes]:
        """Each sandbox with its pod and service, masked."""
        parts: dict[str, list[bytes]] = {}
        for (resource, _), value in self.live.items():
            owner = controller_of(value) if resource in _PARTS else None
            if owner is not None:
                parts.setdefault(owner.uid, []).append(masked(value))
        return {
            key: b" ".join((masked(value), *sorted(parts.get(value["metadata"]["uid"], []))))
            for (resource, key), value in self.live.items()
            if resource == SANDBOXES
        }


def _without_notes(value: Json) -> Json:
    """Of a claim whose time is over: it may have been so before the claim was ever Ready."""
    if not says_over(value):
        return value
    metadata = value["metadata"]
    annotations = metadata.get("annotations", {})
    kept = {key: text for key, text in annotations.items() if key != ANNOTATION_FIRST_READY}
    return {**value, "metadata": {**metadata, "annotations": kept}}


def masked(value: Json) -> bytes:
    """An object as JSON without what two runs may differ in."""
    return msgspec.json.encode(_masked(value), order="sorted")


def _masked(value: Any) -> Any:
    if is_object(value):
        kept = ((key, v) for key, v in value.items() if key not in _LEFT_OUT)
        return {key: _count(v) if key in _MASKED else _masked(v) for key, v in kept}
    return [_masked(item) for item in value] if is_array(value) else value


def _count(value: Any) -> int:
    """How many of what is masked there are."""
    return len(value) if is_array(value) else 1


def _is_of(owner: Owner | None, kind: str) -> bool:
    return owner is not None and owner.kind == kind
