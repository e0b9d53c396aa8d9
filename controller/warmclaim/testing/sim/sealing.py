"""Runs with the seal on: the Secret with its keys, and enemies who would get round it.

S7 is stricter there. A claim is given only what a manager made for that pool, with the spec that it
was made with; who holds the key to what is not looked at.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from warmclaim.api.names import ANNOTATION_SEAL
from warmclaim.api.resources import CLAIM, POOL, SANDBOX, SECRET
from warmclaim.api.secret import encoded
from warmclaim.testing import builders
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.canaries import canary
from warmclaim.testing.sim.enemies import Act
from warmclaim.testing.sim.grip import Grip
from warmclaim.testing.sim.objects import controller_of, part
from warmclaim.testing.sim.trace import Attribution, is_manager
from warmclaim.testing.sim.wire import Report
from warmclaim.testing.store import Commit, Verb

NAMESPACE, NAME = "default", "seal"
SECRET_FLAG: Final = f"{NAMESPACE}/{NAME}"

ACTS: Final = {
    "seal.rotate": 4.0,
    "seal.spoil": 2.0,
    "hostile.owner": 4.0,
    "hostile.edit": 6.0,
    "hostile.copy": 6.0,
    "hostile.race": 6.0,
}
"""As `options.ACTS`, for these runs alone."""

LaterAs: TypeAlias = Callable[[float, str, Callable[[], None]], None]
"""A timer: after so many seconds, as whom, what."""

_RACE_S_MAX: Final = 0.02


class Sealing:
    """Whoever keeps the keys, and whoever wants a sandbox of his own given to others."""

    def __init__(self, grip: Grip, later_as: LaterAs) -> None:
        self._grip = grip
        self._later_as = later_as
        self._number = 0
        self.acts: Final[Mapping[str, Act]] = {
            "seal.rotate": self._rotate,
            "seal.spoil": self._spoil,
            "hostile.edit": self._edit,
            "hostile.copy": self._copy,
            "hostile.race": self._race,
        }

    def found(self) -> None:
        """Keys that can be used are there, at the start and at the end again."""
        found = self._grip.get(SECRET, NAMESPACE, NAME)
        if found is None:
            body = builders.an_object(SECRET, NAME, NAMESPACE)
            sent = builders.as_sent(body)
            self._grip.create(SECRET, NAMESPACE, {**sent, "data": self._data(b"")})
        elif "current" not in part(found, "data"):
            self._grip.patch_found(SECRET, found, {"data": self._data(b"")})

    def _data(self, previous: bytes) -> dict[str, str]:
        return encoded({"current": self._key(), "previous": previous})

    def _key(self) -> bytes:
        """Another one each time; none may ever be told."""
        self._number += 1
        return f"{canary('seal', NAMESPACE)}{self._number:032d}".encode()

    def _rotate(self, _namespace: str, _name: str, x: float) -> None:
        """A new key; the one before stays good, mostly."""
        found = self._grip.get(SECRET, NAMESPACE, NAME)
        if found is None or "current" not in part(found, "data"):
            return
        data: dict[str, Any] = self._data(b"")
        if x < 0.8:
            data["previous"] = found["data"]["current"]
        self._grip.patch_found(SECRET, found, {"data": data})

    def _spoil(self, _namespace: str, _name: str, x: float) -> None:
        """Somebody deletes the Secret, or its key."""
        if x < 0.5:
            self._grip.delete(SECRET, NAMESPACE, NAME)
        elif (found := self._grip.get(SECRET, NAMESPACE, NAME)) is not None:
            self._grip.patch_found(SECRET, found, {"data": {"current": None}})

    def _edit(self, _namespace: str, _name: str, x: float) -> None:
        """Somebody has a genuine member run what he likes; half of the time he puts it back."""
        if (found := self._some_member(x)) is None:
            return
        self._spoil_spec(found)
        if x * 7 % 1 < 0.5:
            pod = part(found, "spec", "podTemplate", "spec")
            before = {"containers": pod["containers"]}
            self._grip.patch_found(SANDBOX, found, {"spec": {"podTemplate": {"spec": before}}})

    def _spoil_spec(self, found: Json) -> None:
        (container, *_) = part(found, "spec", "podTemplate", "spec", "containers")
        evil = {"containers": [{**container, "image": "registry.example/evil:1"}]}
        self._grip.patch_found(SANDBOX, found, {"spec": {"podTemplate": {"spec": evil}}})

    def _race(self, namespace: str, name: str, x: float) -> None:
        """A claim comes, and every member is edited while one is on its way to it."""
        claim = builders.a_claim(f"race-{int(x * 1e6)}", pool=name, namespace=namespace)
        self._grip.create(CLAIM, namespace, builders.as_sent(claim))
        self._later_as(x * _RACE_S_MAX, "hostile", self._edit_all)

    def _edit_all(self) -> None:
        for found in self._members():
            self._spoil_spec(found)

    def _copy(self, _namespace: str, _name: str, x: float) -> None:
        """A sandbox of another name is a genuine member in all else, seal and owner included."""
        if (found := self._some_member(x)) is None:
            return
        metadata = found["metadata"]
        twin = copy.deepcopy({**found, "metadata": {**metadata, "name": f"forged-{int(x * 1e6)}"}})
        owners = metadata["ownerReferences"]
        sent = builders.as_sent(twin, ownerReferences=owners)
        self._grip.create(SANDBOX, metadata["namespace"], sent)

    def _some_member(self, x: float) -> Json | None:
        members = self._members()
        return members[int(x * len(members))] if members else None

    def _members(self) -> list[Json]:
        """Pools' own that bear a seal."""
        owned = [
            found
            for found in self._grip.all(SANDBOX)
            if (owner := controller_of(found)) and owner.kind == POOL.kind
        ]
        return [one for one in owned if ANNOTATION_SEAL in str(part(one, "metadata"))]


class SealJudge:
    """An observer of the store: S7, as it is in these runs."""

    def __init__(self, attribution: Attribution, report: Report) -> None:
        self._attribution = attribution
        self._report = report
        self._made: dict[str, Json] = {}  # specs, by uid, of what managers made for pools

    def on_commit(self, commit: Commit) -> None:
        """Hold each hand-over against how the sandbox was made. O(its spec)."""
        if commit.resource != str(SANDBOX):
            return
        uid = commit.object["metadata"]["uid"]
        if not commit.is_live:
            self._made.pop(uid, None)
            return
        before, after = controller_of(commit.before), controller_of(commit.object)
        by_manager = is_manager(self._attribution.who)
        if commit.verb is Verb.ADDED and by_manager and after and after.kind == POOL.kind:
            self._made[uid] = commit.object["spec"]
        is_given = before and before.kind == POOL.kind and after and after.kind == CLAIM.kind
        if by_manager and is_given and commit.before is not None:
            self._judge(commit, commit.before, uid)
        if after and after.kind == CLAIM.kind:
            self._made.pop(uid, None)  # what a claim has had is nobody else's any more

    def _judge(self, commit: Commit, before: Json, uid: str) -> None:
        made = self._made.get(uid)
        if made is None:
            self._report("S7", f"given, and no manager made it so ({commit.key})")
        elif made != before["spec"]:
            self._report("S7", f"given, and its spec was changed ({commit.key})")
