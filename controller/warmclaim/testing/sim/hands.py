"""The people and machines around the manager: carries out the actions of a run.

An action that does not fit (its object is gone, its name taken) does nothing, so any subset of a
run's actions is a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, TypeAlias

from warmclaim.api.names import ANNOTATION_RESERVATION, LABEL_WARM_POOL, name_hash
from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, TEMPLATE, Resource
from warmclaim.seams import Rng
from warmclaim.testing import builders
from warmclaim.testing.cluster import Cluster, Target
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import MERGE_PATCH
from warmclaim.testing.refusals import Refusal
from warmclaim.testing.resources import NAMESPACE, NODE, Kind
from warmclaim.testing.sim.case import Action, Options
from warmclaim.testing.sim.objects import parts, published_by, ready_of
from warmclaim.testing.sim.trace import WORLD, Attribution
from warmclaim.testing.sim.workload import namespace_name, pool_target, pools_of
from warmclaim.testing.store import Commit

REPLICAS_MAX: Final = 30
TEMPLATE_NAME: Final = "python"

Later: TypeAlias = Callable[[float, Callable[[], None]], None]
Subresource: TypeAlias = Literal["", "status"]


class SimCluster(Cluster):
    """Gives uids by what an object is called and how many of that name came before.

    So an object keeps its uid, and a member its name, in a run from which something was left out.
    """

    def __init__(self, **arguments: Any) -> None:
        self._uids_given: dict[str, int] = {}
        self._uid_for = ""
        super().__init__(**arguments)

    def create(self, target: Target, body: Json, *, dry_run: bool = False) -> Commit:
        """As every cluster does."""
        name = body.get("metadata", {}).get("name", target.name) if target.name == "" else ""
        self._uid_for = f"{target.kind.resource}/{target.namespace}/{name or target.name}"
        return super().create(target, body, dry_run=dry_run)

    def new_uid(self) -> str:
        """A uid that says nothing and follows from the name."""
        number = self._uids_given[self._uid_for] = self._uids_given.get(self._uid_for, 0) + 1
        text = f"{self._uid_for}#{number}"
        return f"{name_hash(text)}-{name_hash(text[::-1])[:4]}-4000-8000-{number:012d}"


class Hands:
    """Acts on the cluster as tenant, admin, node or enemy. `later(seconds, work)` is a timer."""

    def __init__(
        self, cluster: Cluster, attribution: Attribution, options: Options, rng: Rng, later: Later
    ) -> None:
        self._cluster = cluster
        self._attribution = attribution
        self._options = options
        self._rng = rng
        self._later = later
        self.claims_made = 0
        self._acts: dict[str, Callable[[str, str, float], None]] = {
            "claim.create": self._create_claim,
            "claim.delete": self._delete_claim,
            "claim.recreate": self._recreate_claim,
            "claim.lose": self._lose_sandbox,
            "namespace.delete": self._delete_namespace,
            "admin.found": self._found_again,
            "pool.scale": self._scale,
            "pool.renew": self._renew_pool,
            "template.edit": self._edit_template,
            "template.renew": self._renew_template,
            "sandbox.delete": self._delete_sandbox,
            "pod.delete": self._delete_pod,
            "pod.flap": self._flap,
            "node.lose": self._lose_node,
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

    def does(self, action: Action) -> bool:
        """Whether this action is one of these hands'."""
        return action.do in self._acts

    def act(self, action: Action) -> None:
        """Do it, as far as it can be done."""
        who = "tenant" if action.do.startswith(("claim", "sandbox")) else action.do.split(".")[0]
        namespace, _, name = action.target.partition("/")
        self._as(who, lambda: self._acts[action.do](namespace, name, action.x))

    def found_world(self) -> None:
        """Namespaces, templates and pools as they are at the start, and at the end again."""
        self._as("admin", self._found)

    def _as(self, who: str, work: Callable[[], None]) -> None:
        self._attribution.who = who
        try:
            work()
        except Refusal:
            pass  # gone, there already, or refused: as it goes
        finally:
            self._attribution.who = WORLD

    # ------------------------------------------------------------------ admin

    def _found(self) -> None:
        for number in range(self._options.namespaces):
            name = namespace_name(number)
            if self._get_kind(NAMESPACE, "", name) is None:
                self._cluster.create(Target(NAMESPACE), {"metadata": {"name": name}})
            self._create_template(name)
        for number, replicas in enumerate(self._options.replicas):
            namespace, _, name = pool_target(self._options, number).partition("/")
            self._create_pool(namespace, name, replicas)

    def _delete_namespace(self, namespace: str, _name: str, _x: float) -> None:
        self._cluster.delete(Target(NAMESPACE, "", namespace))

    def _found_again(self, _namespace: str, _name: str, _x: float) -> None:
        self._found()

    def _create_template(self, namespace: str) -> None:
        if self._get(TEMPLATE, namespace, TEMPLATE_NAME) is None:
            body = builders.as_sent(builders.a_template(TEMPLATE_NAME, namespace=namespace))
            self._create(TEMPLATE, namespace, body)

    def _create_pool(self, namespace: str, name: str, replicas: int) -> None:
        if self._get(POOL, namespace, name) is None:
            pool = builders.a_pool(
                name, replicas=replicas, template=TEMPLATE_NAME, namespace=namespace
            )
            self._create(POOL, namespace, builders.as_sent(pool))

    def _scale(self, namespace: str, name: str, x: float) -> None:
        self._patch(POOL, namespace, name, {"spec": {"replicas": _replicas(x)}})

    def _renew_pool(self, namespace: str, name: str, x: float) -> None:
        self._delete(POOL, namespace, name)
        again = Action(0, "pool.renew", f"{namespace}/{name}", x)
        self._later(x * 6, lambda: self._as("pool", lambda: self._create_again(again)))

    def _create_again(self, action: Action) -> None:
        namespace, _, name = action.target.partition("/")
        self._create_pool(namespace, name, _replicas(action.x))

    def _edit_template(self, namespace: str, _name: str, x: float) -> None:
        image = f"registry.example/sandbox:{int(x * 1000)}"
        spec = {"containers": [{"name": "sandbox", "image": image}]}
        self._patch(TEMPLATE, namespace, TEMPLATE_NAME, {"spec": {"podTemplate": {"spec": spec}}})

    def _renew_template(self, namespace: str, _name: str, x: float) -> None:
        self._delete(TEMPLATE, namespace, TEMPLATE_NAME)
        self._later(x * 6, lambda: self._as("admin", lambda: self._create_template(namespace)))

    # ----------------------------------------------------------------- tenant

    def _create_claim(self, namespace: str, name: str, x: float) -> None:
        pools = pools_of(self._options, namespace)
        claim = builders.a_claim(name, pool=pools[int(x * len(pools))], namespace=namespace)
        self._create(CLAIM, namespace, builders.as_sent(claim))
        self.claims_made += 1

    def _delete_claim(self, namespace: str, name: str, _x: float) -> None:
        self._delete(CLAIM, namespace, name)

    def _recreate_claim(self, namespace: str, name: str, x: float) -> None:
        self._delete(CLAIM, namespace, name)
        self._create_claim(namespace, name, x)

    def _lose_sandbox(self, namespace: str, name: str, _x: float) -> None:
        """The sandbox that a claim shows is deleted."""
        if published := published_by(self._get(CLAIM, namespace, name)):
            self._delete(SANDBOX, namespace, published)

    def _delete_sandbox(self, _namespace: str, _name: str, x: float) -> None:
        if (found := self._some(SANDBOX, x)) is not None:
            metadata = found["metadata"]
            self._delete(SANDBOX, metadata["namespace"], metadata["name"])

    # ------------------------------------------------------------------ nodes

    def _delete_pod(self, _namespace: str, _name: str, x: float) -> None:
        if (found := self._some(POD, x)) is not None:
            self._delete(POD, found["metadata"]["namespace"], found["metadata"]["name"])

    def _flap(self, _namespace: str, _name: str, x: float) -> None:
        """A pod is not Ready for a while; then it is again."""
        found = self._some(POD, x)
        if found is None or not ready_of(found).status:
            return
        metadata = found["metadata"]
        self._set_ready(metadata, "False")
        again = x * 5 % 1 * 4
        self._later(again, lambda: self._as("pod", lambda: self._set_ready(metadata, "True")))

    def _set_ready(self, metadata: Json, status: str) -> None:
        found = self._get(POD, metadata["namespace"], metadata["name"])
        if found is None or found["metadata"]["uid"] != metadata["uid"]:
            return
        conditions = [
            {**c, "status": status, "lastTransitionTime": self._cluster.now()}
            if c["type"] in ("Ready", "ContainersReady")
            else c
            for c in parts(found, "status", "conditions")
        ]
        patch = {"status": {"conditions": conditions}}
        self._patch(POD, metadata["namespace"], metadata["name"], patch, "status")

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
                self._delete(POD, pod["metadata"]["namespace"], pod["metadata"]["name"])
        fresh = {**node, "metadata": {"name": name, "labels": node["metadata"].get("labels", {})}}
        self._later(x * 5, lambda: self._as("node", lambda: self._return_node(name, fresh)))

    def _return_node(self, name: str, node: Json) -> None:
        if self._get_kind(NODE, "", name) is None:
            self._cluster.create(Target(NODE), node)

    # ---------------------------------------------------------------- enemies

    def _forge_label(self, namespace: str, name: str, x: float) -> None:
        """A sandbox that wears the pool's label and has no owner."""
        forged = builders.a_sandbox(f"forged-{_number(x)}", pool=name, namespace=namespace)
        forged["metadata"].pop("ownerReferences")
        self._create(SANDBOX, namespace, builders.as_sent(forged))

    def _forge_owner(self, namespace: str, name: str, x: float) -> None:
        """A sandbox that names the pool as its owner, with the right uid."""
        if (pool := self._get(POOL, namespace, name)) is not None:
            self._forge(namespace, name, x, str(pool["metadata"]["uid"]))

    def _forge_stranger(self, namespace: str, name: str, x: float) -> None:
        """The same with a uid that no pool has."""
        self._forge(namespace, name, x, "11111111-2222-4333-8444-555555555555")

    def _forge(self, namespace: str, pool: str, x: float, uid: str) -> None:
        forged = builders.a_sandbox(f"forged-{_number(x)}", pool=pool, namespace=namespace)
        owner = builders.an_owner(POOL, pool, uid=uid)
        forged["metadata"]["ownerReferences"] = [owner]
        self._create(SANDBOX, namespace, builders.as_sent(forged))

    def _strip(self, _namespace: str, _name: str, x: float) -> None:
        """Some sandbox loses the pool's label."""
        if (found := self._some(SANDBOX, x)) is not None:
            patch = {"metadata": {"labels": {LABEL_WARM_POOL: None}}}
            self._patch_found(SANDBOX, found, patch)

    def _orphan(self, _namespace: str, _name: str, x: float) -> None:
        """Some sandbox loses its owner."""
        if (found := self._some(SANDBOX, x)) is not None:
            self._patch_found(SANDBOX, found, {"metadata": {"ownerReferences": None}})

    def _second_owner(self, namespace: str, name: str, x: float) -> None:
        """Some sandbox gets a second owner, that is not in control."""
        found, pool = self._some(SANDBOX, x), self._get(POOL, namespace, name)
        if found is None or pool is None or found["metadata"]["namespace"] != namespace:
            return
        owner = {**builders.an_owner(POOL, name, uid=pool["metadata"]["uid"]), "controller": False}
        owners = found["metadata"].get("ownerReferences", [])
        if all(o["uid"] != owner["uid"] for o in owners):
            self._patch_found(SANDBOX, found, {"metadata": {"ownerReferences": [owner, *owners]}})

    def _point_elsewhere(self, namespace: str, name: str, x: float) -> None:
        """A claim's status names a sandbox that is not the claim's."""
        other = self._some(SANDBOX, x)
        if other is not None:
            status = {"sandbox": {"name": other["metadata"]["name"], "podIPs": ["10.6.6.6"]}}
            self._patch(CLAIM, namespace, name, {"status": status}, "status")

    def _clear_status(self, namespace: str, name: str, _x: float) -> None:
        """A claim's status is emptied."""
        self._patch(CLAIM, namespace, name, {"status": None}, "status")

    def _forge_ready(self, _namespace: str, _name: str, x: float) -> None:
        """Some sandbox's status says the opposite of what is."""
        found = self._some(SANDBOX, x)
        if found is None:
            return
        status = "False" if ready_of(found).status == "True" else "True"
        forged = builders.a_condition("Ready", status, reason="Forged")
        change = {"status": {"conditions": [forged], "podIPs": ["10.6.6.6"]}}
        metadata = found["metadata"]
        self._patch(SANDBOX, metadata["namespace"], metadata["name"], change, "status")

    def _squat(self, namespace: str, name: str, _x: float) -> None:
        """Somebody's sandbox has the name of a claim."""
        squatter = builders.a_sandbox(name, pool=None, namespace=namespace)
        self._create(SANDBOX, namespace, builders.as_sent(squatter))

    def _garble_batch(self, namespace: str, name: str, x: float) -> None:
        """The pool's reservation is removed or made nonsense of."""
        values: Sequence[str | None] = (None, "{}", '{"first":-1,"end":3,"replicas":2}', "x" * 300)
        value = values[int(x * len(values))]
        patch = {"metadata": {"annotations": {ANNOTATION_RESERVATION: value}}}
        self._patch(POOL, namespace, name, patch)

    # ---------------------------------------------------------------- helpers

    def _kind(self, resource: Resource[Any]) -> Kind:
        kind = self._cluster.kinds.named(resource.api_version, resource.kind)
        assert kind is not None, f"{resource} is not served"
        return kind

    def _get(self, resource: Resource[Any], namespace: str, name: str) -> Json | None:
        return self._get_kind(self._kind(resource), namespace, name)

    def _get_kind(self, kind: Kind, namespace: str, name: str) -> Json | None:
        found = self._cluster.store.get(kind.resource, kind.key(namespace, name))
        return found.object if found is not None else None

    def _some(self, resource: Resource[Any], x: float) -> Json | None:
        """One of all, by `x`."""
        found = list(self._cluster.store.scan(self._kind(resource).resource))
        return found[int(x * len(found))].object if found else None

    def _create(self, resource: Resource[Any], namespace: str, body: Json) -> None:
        self._cluster.create(Target(self._kind(resource), namespace), body)

    def _delete(self, resource: Resource[Any], namespace: str, name: str) -> None:
        self._cluster.delete(Target(self._kind(resource), namespace, name))

    def _patch(
        self,
        resource: Resource[Any],
        namespace: str,
        name: str,
        patch: Json,
        subresource: Subresource = "",
    ) -> None:
        target = Target(self._kind(resource), namespace, name, subresource=subresource)
        self._cluster.patch(target, MERGE_PATCH, patch)

    def _patch_found(self, resource: Resource[Any], found: Json, patch: Json) -> None:
        self._patch(resource, found["metadata"]["namespace"], found["metadata"]["name"], patch)


def _replicas(x: float) -> int:
    return int((REPLICAS_MAX + 1) ** x) - (1 if x < 0.3 else 0)


def _number(x: float) -> int:
    return int(x * 1_000_000)
