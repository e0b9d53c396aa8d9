"""The people and machines around the manager: carries out the actions of a run.

An action that does not fit (its object is gone, its name taken) does nothing, so any subset of a
run's actions is a run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, TEMPLATE, Resource
from warmclaim.seams import Rng
from warmclaim.testing import builders
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.json_values import Json
from warmclaim.testing.lag import Later
from warmclaim.testing.refusals import Refusal
from warmclaim.testing.resources import NAMESPACE, NODE
from warmclaim.testing.sim.admins import TEMPLATE_NAME, Admins
from warmclaim.testing.sim.case import Action, Options
from warmclaim.testing.sim.enemies import Act, Enemies
from warmclaim.testing.sim.grip import Grip
from warmclaim.testing.sim.inherited import leave_behind
from warmclaim.testing.sim.objects import (
    controller_of,
    is_deleting,
    part,
    parts,
    published_by,
    ready_of,
)
from warmclaim.testing.sim.sealing import Sealing
from warmclaim.testing.sim.tenants import Tenants
from warmclaim.testing.sim.trace import WORLD, Attribution
from warmclaim.testing.sim.workload import namespace_name, pool_target, pools_of

REPLICAS_MAX: Final = 30
OBJECT_BYTES_MAX: Final = 24 * 1024
"""What the store of a run takes: small, so that objects too large for it cost little."""

_SWOLLEN: Final = "tenant.example/swollen"
_HELD: Final = "tenant.example/held"
_ROOM_BYTES: Final = 120
_CHURN_MAX: Final = 25
_RUSH: Final = 5


class Hands:
    """Acts on the cluster as tenant, admin, node or enemy. `later(seconds, work)` is a timer."""

    def __init__(
        self, cluster: Cluster, attribution: Attribution, options: Options, rng: Rng, later: Later
    ) -> None:
        self._cluster = cluster
        self._grip = Grip(cluster)
        self._attribution = attribution
        self._options = options
        self._rng = rng
        self._later = later
        self._tenants = Tenants(self._grip, options, self._later_as)
        self._admins = Admins(self._grip, options)
        self._sealing = Sealing(self._grip, self._later_as)
        self._is_founded = False
        self._acts: dict[str, Act] = {
            "claim.delete": self._delete_claim,
            "claim.recreate": self._recreate_claim,
            "claim.lose": self._lose_sandbox,
            "claim.churn": self._churn,
            "claim.swell": self._swell_claim,
            "namespace.delete": self._delete_namespace,
            "namespace.renew": self._renew_namespace,
            "admin.found": self._found_again,
            "pool.scale": self._scale,
            "pool.renew": self._renew_pool,
            "template.edit": self._edit_template,
            "template.rush": self._rush,
            "template.renew": self._renew_template,
            "template.swell": self._swell_template,
            "sandbox.delete": self._delete_sandbox,
            "sandbox.hold": self._hold_sandbox,
            "pod.delete": self._delete_pod,
            "pod.flap": self._flap,
            "pod.address": self._lose_address,
            "node.lose": self._lose_node,
            **self._tenants.acts,
            **self._admins.acts,
            **Enemies(self._grip).acts,
            **self._sealing.acts,
        }

    @property
    def claims_made(self) -> int:
        """How many claims tenants have made, those that come and go at once not counted."""
        return self._tenants.claims_made

    def does(self, action: Action) -> bool:
        """Whether this action is one of these hands'."""
        return action.do in self._acts

    def act(self, action: Action) -> bool:
        """Do it, as far as it can be done; whether it changed anything."""
        who = "tenant" if action.do.startswith(("claim", "sandbox")) else action.do.split(".")[0]
        namespace, _, name = action.target.partition("/")
        before = self._cluster.store.rv
        self._as(who, lambda: self._acts[action.do](namespace, name, action.x))
        return self._cluster.store.rv > before

    def found_world(self) -> None:
        """Namespaces, templates and pools as they are at the start, and at the end again."""
        self._as("admin", self._found)

    def let_go(self) -> None:
        """Nothing is held or swollen any more."""
        for resource in (TEMPLATE, CLAIM):
            for found in self._grip.all(resource):
                metadata = found["metadata"]
                where = metadata["namespace"], metadata["name"]
                self._as("tenant", partial(self._shrink, resource, *where))
        for found in self._grip.all(SANDBOX):
            self._as("tenant", partial(self._release, found))
        self._as("tenant", self._tenants.let_go)

    def is_ending(self) -> bool:
        """Whether some namespace is still terminating."""
        found = self._cluster.store.scan(NAMESPACE.resource)
        return any(is_deleting(commit.object) for commit in found)

    def _as(self, who: str, work: Callable[[], None]) -> None:
        self._attribution.who = who
        try:
            work()
        except Refusal:
            pass  # gone, there already, or refused: as it goes
        finally:
            self._attribution.who = WORLD

    def _later_as(self, seconds: float, who: str, work: Callable[[], None]) -> None:
        self._later(seconds, lambda: self._as(who, work))

    # ------------------------------------------------------------------ admin

    def _found(self) -> None:
        if self._options.uses.is_sealed:
            self._sealing.found()
        for number in range(self._options.namespaces):
            name = namespace_name(number)
            if self._grip.get_kind(NAMESPACE, "", name) is None:
                self._cluster.create(Target(NAMESPACE), {"metadata": {"name": name}})
            self._admins.create_template(name)
        for number, replicas in enumerate(self._options.replicas):
            namespace, _, name = pool_target(self._options, number).partition("/")
            self._admins.create_pool(namespace, name, replicas)
        if self._options.uses.is_inherited and not self._is_founded:
            for number in range(len(self._options.replicas)):
                leave_behind(self._grip, *pool_target(self._options, number).split("/"))
        self._is_founded = True

    def _delete_namespace(self, namespace: str, _name: str, _x: float) -> None:
        for resource in (TEMPLATE, POOL, CLAIM, SANDBOX):
            self._grip.kind(resource)  # what is not served just now would never be emptied
        self._cluster.delete(Target(NAMESPACE, "", namespace))

    def _renew_namespace(self, namespace: str, _name: str, x: float) -> None:
        self._delete_namespace(namespace, "", x)
        self._later(1 + x * 6, self._found_when_gone)

    def _found_when_gone(self) -> None:
        if self.is_ending():
            self._later(1.0, self._found_when_gone)
        else:
            self.found_world()

    def _found_again(self, _namespace: str, _name: str, _x: float) -> None:
        self._found()

    def _scale(self, namespace: str, name: str, x: float) -> None:
        self._grip.patch(POOL, namespace, name, {"spec": {"replicas": _replicas(x)}})

    def _renew_pool(self, namespace: str, name: str, x: float) -> None:
        self._grip.delete(POOL, namespace, name)
        again = Action(0, "pool.renew", f"{namespace}/{name}", x)
        self._later(x * 6, lambda: self._as("pool", lambda: self._create_again(again)))

    def _create_again(self, action: Action) -> None:
        namespace, _, name = action.target.partition("/")
        self._admins.create_pool(namespace, name, _replicas(action.x))

    def _edit_template(self, namespace: str, _name: str, x: float) -> None:
        image = f"registry.example/sandbox:{int(x * 1000)}"
        spec = {"containers": [{"name": "sandbox", "image": image}]}
        self._grip.patch(
            TEMPLATE, namespace, TEMPLATE_NAME, {"spec": {"podTemplate": {"spec": spec}}}
        )

    def _rush(self, namespace: str, name: str, x: float) -> None:
        """A template of pools that replace stale members is edited, and claims come just then."""
        if not self._options.uses.recreate_share:
            return
        self._edit_template(namespace, name, x)
        for number in range(_RUSH):
            claim, which = f"rush-{int(x * 1000)}-{number}", (x + number / _RUSH) % 1
            create = partial(self._tenants.create_claim, namespace, claim, which)
            self._later_as(0.002 + number * 0.004, "tenant", create)

    def _renew_template(self, namespace: str, _name: str, x: float) -> None:
        self._grip.delete(TEMPLATE, namespace, TEMPLATE_NAME)
        self._later(
            x * 6, lambda: self._as("admin", lambda: self._admins.create_template(namespace))
        )

    def _swell_template(self, namespace: str, _name: str, x: float) -> None:
        """The template itself just fits into the store; a sandbox made of it does not."""
        found = self._grip.get(TEMPLATE, namespace, TEMPLATE_NAME)
        if found is not None:
            filler = {"podTemplate": {"metadata": {"annotations": self._filler(found)}}}
            self._grip.patch_found(TEMPLATE, found, {"spec": filler})
            self._later_as(
                1 + x * 8, "admin", partial(self._shrink, TEMPLATE, namespace, TEMPLATE_NAME)
            )

    # ----------------------------------------------------------------- tenant

    def _delete_claim(self, namespace: str, name: str, _x: float) -> None:
        self._grip.delete(CLAIM, namespace, name)

    def _recreate_claim(self, namespace: str, name: str, x: float) -> None:
        self._grip.delete(CLAIM, namespace, name)
        self._tenants.create_claim(namespace, name, x)

    def _churn(self, namespace: str, _name: str, x: float) -> None:
        """Claims come and go at once, a hundred in a second."""
        pools = pools_of(self._options, namespace)
        for number in range(5 + int(x * _CHURN_MAX)):
            name = f"churn-{int(x * 1000)}-{number}"
            body = builders.as_sent(
                builders.a_claim(name, pool=pools[number % len(pools)], namespace=namespace)
            )
            create = partial(self._grip.create, CLAIM, namespace, body)
            delete = partial(self._grip.delete, CLAIM, namespace, name)
            began_s = number * 0.01
            if number:
                self._later_as(began_s, "tenant", create)
            else:
                create()
            self._later_as(began_s + x * 7 % 1 * 0.1, "tenant", delete)

    def _swell_claim(self, namespace: str, name: str, x: float) -> None:
        """A claim just fits into the store; with a status it does not."""
        found = self._grip.get(CLAIM, namespace, name)
        if found is not None:
            self._grip.patch_found(CLAIM, found, {"metadata": {"annotations": self._filler(found)}})
            self._later_as(1 + x * 8, "tenant", partial(self._shrink, CLAIM, namespace, name))

    def _filler(self, found: Json) -> Json:
        """An annotation that leaves little room in an object."""
        size = OBJECT_BYTES_MAX - len(msgspec.json.encode(found)) - _ROOM_BYTES
        return {_SWOLLEN: "x" * max(size, 1)}

    def _shrink(self, resource: Resource[Any], namespace: str, name: str) -> None:
        found = self._grip.get(resource, namespace, name)
        if found is None or _SWOLLEN not in str(found):
            return
        nothing: Json = {"metadata": {"annotations": {_SWOLLEN: None}}}
        is_template = resource is TEMPLATE
        patch = {"spec": {"podTemplate": nothing}} if is_template else nothing
        self._grip.patch_found(resource, found, patch)

    def _hold_sandbox(self, _namespace: str, _name: str, x: float) -> None:
        """Some sandbox gets a finalizer, and may not go before `let_go`; half of them are told
        to, and these are members, where there are any: claims have most of all sandboxes."""
        goes = x * 7 % 1 < 0.5
        found = (goes and self._some_member(x)) or self._grip.some(SANDBOX, x)
        if found is None or is_deleting(found):
            return
        metadata = found["metadata"]
        held = sorted({*metadata.get("finalizers", []), _HELD})
        self._grip.patch_found(SANDBOX, found, {"metadata": {"finalizers": held}})
        if goes:
            self._grip.delete(SANDBOX, metadata["namespace"], metadata["name"])

    def _some_member(self, x: float) -> Json | None:
        owned = ((found, controller_of(found)) for found in self._grip.all(SANDBOX))
        members = [found for found, owner in owned if owner and owner.kind == POOL.kind]
        return members[int(x * len(members))] if members else None

    def _release(self, found: Json) -> None:
        finalizers = found["metadata"].get("finalizers", [])
        if _HELD in finalizers:
            left = [word for word in finalizers if word != _HELD]
            self._grip.patch_found(SANDBOX, found, {"metadata": {"finalizers": left or None}})

    def _lose_sandbox(self, namespace: str, name: str, _x: float) -> None:
        """The sandbox that a claim shows is deleted."""
        if published := published_by(self._grip.get(CLAIM, namespace, name)):
            self._grip.delete(SANDBOX, namespace, published)

    def _delete_sandbox(self, _namespace: str, _name: str, x: float) -> None:
        if (found := self._grip.some(SANDBOX, x)) is not None:
            metadata = found["metadata"]
            self._grip.delete(SANDBOX, metadata["namespace"], metadata["name"])

    # ------------------------------------------------------------------ nodes

    def _delete_pod(self, _namespace: str, _name: str, x: float) -> None:
        if (found := self._grip.some(POD, x)) is not None:
            self._grip.delete(POD, found["metadata"]["namespace"], found["metadata"]["name"])

    def _flap(self, _namespace: str, _name: str, x: float) -> None:
        """A pod is not Ready for a while; then it is again."""
        found = self._grip.some(POD, x)
        if found is None or not ready_of(found).status:
            return
        metadata = found["metadata"]
        self._set_ready(metadata, "False")
        again = x * 5 % 1 * 4
        self._later(again, lambda: self._as("pod", lambda: self._set_ready(metadata, "True")))

    def _lose_address(self, _namespace: str, _name: str, x: float) -> None:
        """A pod has no address for a while; then it has another one."""
        found = self._grip.some(POD, x)
        if found is None or not part(found, "status", "podIP"):
            return
        self._set_address(found["metadata"], None)
        address = f"10.200.{int(x * 250)}.1"
        self._later_as(x * 5 % 1 * 4, "pod", partial(self._set_address, found["metadata"], address))

    def _set_address(self, metadata: Json, address: str | None) -> None:
        found = self._grip.get(POD, metadata["namespace"], metadata["name"])
        if found is not None and found["metadata"]["uid"] == metadata["uid"]:
            addresses = [{"ip": address}] if address else None
            patch = {"status": {"podIP": address, "podIPs": addresses}}
            self._grip.patch(POD, metadata["namespace"], metadata["name"], patch, "status")

    def _set_ready(self, metadata: Json, status: str) -> None:
        found = self._grip.get(POD, metadata["namespace"], metadata["name"])
        if found is None or found["metadata"]["uid"] != metadata["uid"]:
            return
        conditions = [
            {**c, "status": status, "lastTransitionTime": self._cluster.now()}
            if c["type"] in ("Ready", "ContainersReady")
            else c
            for c in parts(found, "status", "conditions")
        ]
        patch = {"status": {"conditions": conditions}}
        self._grip.patch(POD, metadata["namespace"], metadata["name"], patch, "status")

    def _lose_node(self, _namespace: str, _name: str, x: float) -> None:
        """A node and its pods vanish; the node comes back."""
        nodes = list(self._cluster.store.scan(NODE.resource))
        if not nodes:
            return
        node = nodes[int(x * len(nodes))].object
        name = node["metadata"]["name"]
        pods = [c.object for c in self._cluster.store.scan(POD.plural)]
        self._cluster.delete(Target(NODE, "", name))
        for pod in pods:
            if pod["spec"].get("nodeName") == name:
                self._grip.delete(POD, pod["metadata"]["namespace"], pod["metadata"]["name"])
        fresh = {**node, "metadata": {"name": name, "labels": node["metadata"].get("labels", {})}}
        self._later(x * 5, lambda: self._as("node", lambda: self._return_node(name, fresh)))

    def _return_node(self, name: str, node: Json) -> None:
        if self._grip.get_kind(NODE, "", name) is None:
            self._cluster.create(Target(NODE), node)


def _replicas(x: float) -> int:
    return int((REPLICAS_MAX + 1) ** x) - (1 if x < 0.3 else 0)
