"""What admins do to templates, pools and policies beyond their sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from warmclaim.api.resources import CLAIM, NETWORK_POLICY, POOL, TEMPLATE
from warmclaim.testing import builders
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.case import Options
from warmclaim.testing.sim.dice import Dice
from warmclaim.testing.sim.enemies import Act
from warmclaim.testing.sim.grip import Grip
from warmclaim.testing.sim.objects import part, parts

TEMPLATE_NAME: Final = "python"
POLICY_NAME: Final = f"{TEMPLATE_NAME}-network-policy"
_ANYBODY: Final[Json] = {}
_CLOSED: Final[Json] = {"podSelector": {}, "policyTypes": ["Ingress"]}


class Admins:
    """`acts` are theirs, by the names of their actions; the world is founded by them."""

    def __init__(self, grip: Grip, options: Options) -> None:
        self._grip = grip
        self._uses = options.uses
        self._dice = Dice(options.seed)
        policies = {
            "template.manage": self._manage,
            "policy.delete": self._delete_policy,
            "policy.edit": self._edit_policy,
            "policy.legacy": self._create_legacy,
            "hostile.policy": self._squat_policy,
        }
        self.acts: Final[Mapping[str, Act]] = {
            "pool.strategy": self._change_strategy,
            **{name: self._if_kept(act) for name, act in policies.items()},
        }

    def create_template(self, namespace: str) -> None:
        """The one of a namespace, if it is not there."""
        if self._grip.get(TEMPLATE, namespace, TEMPLATE_NAME) is not None:
            return
        policy = "Allowed" if self._uses.grants_own else "Disallowed"
        granted = {"envVarsInjectionPolicy": policy, "volumeClaimTemplatesPolicy": policy}
        merge = {"spec": granted if self._uses.own_share else {}}
        template = builders.a_template(TEMPLATE_NAME, namespace=namespace, merge=merge)
        self._grip.create(TEMPLATE, namespace, builders.as_sent(template))

    def create_pool(self, namespace: str, name: str, replicas: int) -> None:
        """A pool, if it is not there."""
        if self._grip.get(POOL, namespace, name) is not None:
            return
        recreates = self._dice.chance(f"recreates {namespace}/{name}", self._uses.recreate_share)
        merge = {"spec": {"updateStrategy": {"type": "Recreate"}}} if recreates else None
        pool = builders.a_pool(
            name, replicas=replicas, template=TEMPLATE_NAME, namespace=namespace, merge=merge
        )
        self._grip.create(POOL, namespace, builders.as_sent(pool))

    def _if_kept(self, act: Act) -> Act:
        """Nothing where no manager keeps policies."""

        def nothing(_namespace: str, _name: str, _x: float) -> None: ...

        return act if self._uses.has_policies else nothing

    def _change_strategy(self, namespace: str, name: str, _x: float) -> None:
        """A pool replaces its stale members from now on, or keeps them."""
        pool = self._grip.get(POOL, namespace, name)
        if pool is None or not self._uses.recreate_share:
            return
        strategy = "OnReplenish" if does_recreate(pool) else "Recreate"
        self._grip.patch_found(POOL, pool, {"spec": {"updateStrategy": {"type": strategy}}})

    # ---------------------------------------------------------------- policies

    def _manage(self, namespace: str, _name: str, x: float) -> None:
        """A template's policy is managed from now on, or not, or by other rules."""
        template = self._grip.get(TEMPLATE, namespace, TEMPLATE_NAME)
        if template is None:
            return
        other = "Unmanaged" if is_managed(template) else "Managed"
        rules: Json = {"networkPolicy": {"ingress": [_ANYBODY]} if x < 0.2 else None}
        spec = rules if x < 0.3 else {"networkPolicyManagement": other}
        self._grip.patch_found(TEMPLATE, template, {"spec": spec})

    def _delete_policy(self, namespace: str, _name: str, _x: float) -> None:
        self._grip.delete(NETWORK_POLICY, namespace, POLICY_NAME)

    def _edit_policy(self, namespace: str, _name: str, _x: float) -> None:
        """Somebody opens a policy wide."""
        spec = {"ingress": [_ANYBODY], "egress": [_ANYBODY]}
        self._grip.patch(NETWORK_POLICY, namespace, POLICY_NAME, {"spec": spec})

    def _create_legacy(self, _namespace: str, _name: str, x: float) -> None:
        """A policy as older versions made one for each claim."""
        if (claim := self._grip.some(CLAIM, x)) is not None:
            metadata = claim["metadata"]
            owner = builders.an_owner(CLAIM, metadata["name"], uid=metadata["uid"])
            name = f"{metadata['name']}-network-policy"
            self._create_policy(metadata["namespace"], name, [owner])

    def _squat_policy(self, namespace: str, _name: str, _x: float) -> None:
        """Somebody's own policy takes the name of the template's."""
        if self._grip.get(NETWORK_POLICY, namespace, POLICY_NAME) is not None:
            self._grip.delete(NETWORK_POLICY, namespace, POLICY_NAME)
        self._create_policy(namespace, POLICY_NAME, [])

    def _create_policy(self, namespace: str, name: str, owners: list[Any]) -> None:
        policy = builders.an_object(NETWORK_POLICY, name, namespace)
        policy["spec"] = _CLOSED
        sent = builders.as_sent(policy, ownerReferences=owners)
        self._grip.create(NETWORK_POLICY, namespace, sent)


def does_recreate(pool: Json) -> bool:
    """Whether it replaces stale members."""
    return bool(part(pool, "spec", "updateStrategy", "type") == "Recreate")


def is_managed(template: Json) -> bool:
    """Whether its policy is kept by the manager."""
    return bool(part(template, "spec", "networkPolicyManagement") != "Unmanaged")


def is_stale(member: Json, template: Json | None) -> bool:
    """Whether it was made from other images than the template names: nothing else is edited."""
    made_from = _images(part(member, "spec", "podTemplate"))
    return template is not None and made_from != _images(part(template, "spec", "podTemplate"))


def _images(pod_template: Json | None) -> list[str]:
    return [container["image"] for container in parts(pod_template, "spec", "containers")]
