"""Tenants who mean harm: forged members, stripped labels, false statuses, taken names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from warmclaim.api.names import ANNOTATION_RESERVATION, LABEL_WARM_POOL
from warmclaim.api.resources import CLAIM, POOL, SANDBOX
from warmclaim.testing import builders
from warmclaim.testing.sim.grip import Grip
from warmclaim.testing.sim.objects import ready_of

Act: TypeAlias = Callable[[str, str, float], None]
"""Takes a namespace, a name and a number in [0, 1)."""


class Enemies:
    """`acts` are theirs, by the names of their actions."""

    def __init__(self, grip: Grip) -> None:
        self._grip = grip
        self.acts: Final[Mapping[str, Act]] = {
            "hostile.label": self._forge_label,
            "hostile.owner": self._forge_owner,
            "hostile.stranger": self._forge_stranger,
            "hostile.strip": self._strip,
            "hostile.orphan": self._orphan,
            "hostile.second": self._second_owner,
            "hostile.status": self._point_elsewhere,
            "hostile.clear": self._clear_status,
            "hostile.ready": self._forge_ready,
            "hostile.squat": self._squat,
            "hostile.batch": self._garble_batch,
        }

    def _forge_label(self, namespace: str, name: str, x: float) -> None:
        """A sandbox that wears the pool's label and has no owner."""
        forged = builders.a_sandbox(f"forged-{_number(x)}", pool=name, namespace=namespace)
        forged["metadata"].pop("ownerReferences")
        self._grip.create(SANDBOX, namespace, builders.as_sent(forged))

    def _forge_owner(self, namespace: str, name: str, x: float) -> None:
        """A sandbox that names the pool as its owner, with the right uid."""
        if (pool := self._grip.get(POOL, namespace, name)) is not None:
            self._forge(namespace, name, x, str(pool["metadata"]["uid"]))

    def _forge_stranger(self, namespace: str, name: str, x: float) -> None:
        """The same with a uid that no pool has."""
        self._forge(namespace, name, x, "11111111-2222-4333-8444-555555555555")

    def _forge(self, namespace: str, pool: str, x: float, uid: str) -> None:
        forged = builders.a_sandbox(f"forged-{_number(x)}", pool=pool, namespace=namespace)
        owner = builders.an_owner(POOL, pool, uid=uid)
        forged["metadata"]["ownerReferences"] = [owner]
        self._grip.create(SANDBOX, namespace, builders.as_sent(forged))

    def _strip(self, _namespace: str, _name: str, x: float) -> None:
        """Some sandbox loses the pool's label."""
        if (found := self._grip.some(SANDBOX, x)) is not None:
            patch = {"metadata": {"labels": {LABEL_WARM_POOL: None}}}
            self._grip.patch_found(SANDBOX, found, patch)

    def _orphan(self, _namespace: str, _name: str, x: float) -> None:
        """Some sandbox loses its owner."""
        if (found := self._grip.some(SANDBOX, x)) is not None:
            self._grip.patch_found(SANDBOX, found, {"metadata": {"ownerReferences": None}})

    def _second_owner(self, namespace: str, name: str, x: float) -> None:
        """Some sandbox gets a second owner, that is not in control."""
        found, pool = self._grip.some(SANDBOX, x), self._grip.get(POOL, namespace, name)
        if found is None or pool is None or found["metadata"]["namespace"] != namespace:
            return
        owner = {**builders.an_owner(POOL, name, uid=pool["metadata"]["uid"]), "controller": False}
        owners = found["metadata"].get("ownerReferences", [])
        if all(o["uid"] != owner["uid"] for o in owners):
            self._grip.patch_found(
                SANDBOX, found, {"metadata": {"ownerReferences": [owner, *owners]}}
            )

    def _point_elsewhere(self, namespace: str, name: str, x: float) -> None:
        """A claim's status names a sandbox that is not the claim's."""
        other = self._grip.some(SANDBOX, x)
        if other is not None:
            status = {"sandbox": {"name": other["metadata"]["name"], "podIPs": ["10.6.6.6"]}}
            self._grip.patch(CLAIM, namespace, name, {"status": status}, "status")

    def _clear_status(self, namespace: str, name: str, _x: float) -> None:
        """A claim's status is emptied."""
        self._grip.patch(CLAIM, namespace, name, {"status": None}, "status")

    def _forge_ready(self, _namespace: str, _name: str, x: float) -> None:
        """Some sandbox's status says the opposite of what is."""
        found = self._grip.some(SANDBOX, x)
        if found is None:
            return
        status = "False" if ready_of(found).status == "True" else "True"
        forged = builders.a_condition("Ready", status, reason="Forged")
        change = {"status": {"conditions": [forged], "podIPs": ["10.6.6.6"]}}
        metadata = found["metadata"]
        self._grip.patch(SANDBOX, metadata["namespace"], metadata["name"], change, "status")

    def _squat(self, namespace: str, name: str, _x: float) -> None:
        """Somebody's sandbox has the name of a claim."""
        squatter = builders.a_sandbox(name, pool=None, namespace=namespace)
        self._grip.create(SANDBOX, namespace, builders.as_sent(squatter))

    def _garble_batch(self, namespace: str, name: str, x: float) -> None:
        """The pool's reservation is removed or made nonsense of."""
        values: Sequence[str | None] = (None, "{}", '{"first":-1,"end":3,"replicas":2}', "x" * 300)
        value = values[int(x * len(values))]
        patch = {"metadata": {"annotations": {ANNOTATION_RESERVATION: value}}}
        self._grip.patch(POOL, namespace, name, patch)


def _number(x: float) -> int:
    return int(x * 1_000_000)
