"""S12 and S13, at commits: each rule is broken once by a manager, and never by anybody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from warmclaim.api.names import LABEL_TEMPLATE_REF, name_hash
from warmclaim.api.resources import (
    CLAIM,
    NETWORK_POLICY,
    POD,
    SANDBOX,
    TEMPLATE,
    VOLUME_CLAIM,
    Resource,
)
from warmclaim.testing import builders
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.children import Children
from warmclaim.testing.sim.lifetimes import LAG_S_MAX
from warmclaim.testing.sim.policies import Policies, policy_problems
from warmclaim.testing.sim.trace import Attribution
from warmclaim.testing.store import ObjectStore

MANAGER, TENANT = "m0", "tenant"
UNMANAGED: Json = {"spec": {"networkPolicyManagement": "Unmanaged"}}
LABELLED: Json = {"metadata": {"labels": {LABEL_TEMPLATE_REF: name_hash("python")}}}
TEMPLATES_OWN = builders.an_owner(TEMPLATE, "python")
POLICY = "python-network-policy"


class _Time:
    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        self.now_s += delay_s


class Scene:
    """A sandbox with its pod and its volume; a template with its label and its policy."""

    def __init__(self) -> None:
        self.store = ObjectStore()
        self.time = _Time()
        self.promises: list[str] = []
        self._attribution = Attribution()
        policies = Policies(self.store, self._attribution, self.time, self._report)
        children = Children(self._attribution, self._report)
        self.store.observers += [policies.on_commit, children.on_commit]
        self.put(TENANT, SANDBOX, builders.a_sandbox("s"))
        self.put(MANAGER, POD, builders.a_pod("s"))
        self.child(VOLUME_CLAIM, "data-s")
        self.put(TENANT, TEMPLATE, builders.a_template(merge=LABELLED))
        self.policy(MANAGER, POLICY, TEMPLATES_OWN)

    def _report(self, promise: str, _: str) -> None:
        self.promises.append(promise)

    def put(self, who: str, resource: Resource[object], value: Json) -> None:
        self._attribution.who = who
        self.store.put(str(resource), f"{builders.NAMESPACE}/{value['metadata']['name']}", value)

    def delete(self, who: str, resource: Resource[object], name: str) -> None:
        self._attribution.who = who
        self.store.delete(str(resource), f"{builders.NAMESPACE}/{name}")

    def child(self, resource: Resource[object], name: str, owner: Json | None = None) -> None:
        owners = [owner or builders.an_owner(SANDBOX, "s")]
        merge: Json = {"metadata": {"ownerReferences": owners}}
        self.put(MANAGER, resource, builders.an_object(resource, name, merge=merge))

    def policy(self, who: str, name: str, owner: Json | None, *, is_open: bool = False) -> None:
        matches = {"matchLabels": {LABEL_TEMPLATE_REF: name_hash("python")}}
        spec: Json = {"podSelector": matches, "ingress": [{}] if is_open else []}
        owners = {"ownerReferences": [owner]} if owner else {}
        merge: Json = {"metadata": owners, "spec": spec}
        self.put(who, NETWORK_POLICY, builders.an_object(NETWORK_POLICY, name, merge=merge))

    def problems(self) -> set[str]:
        return {text.split()[0] for text in policy_problems(self.store)}


def test_a_sound_scene_has_no_breach() -> None:
    scene = Scene()
    scene.put(MANAGER, POD, builders.a_pod("s", merge={"metadata": {"labels": {"a": "b"}}}))
    scene.policy(MANAGER, POLICY, TEMPLATES_OWN, is_open=False)
    assert (scene.promises, scene.problems()) == ([], set())


def _s12_a_second_pod(scene: Scene) -> None:
    scene.put(MANAGER, POD, builders.a_pod("s-again", sandbox="s"))


def _s12_a_second_pod_taken_over(scene: Scene) -> None:
    scene.put(TENANT, POD, builders.a_pod("marked", merge={"metadata": {"ownerReferences": None}}))
    scene.put(MANAGER, POD, builders.a_pod("marked", sandbox="s"))


def _s12_a_pod_of_nobody(scene: Scene) -> None:
    scene.put(MANAGER, POD, builders.a_pod("n", merge={"metadata": {"ownerReferences": None}}))


def _s12_a_volume_of_a_claim(scene: Scene) -> None:
    scene.child(VOLUME_CLAIM, "data-c", builders.an_owner(CLAIM, "c"))


def _s12_a_volume_deleted(scene: Scene) -> None:
    scene.delete(MANAGER, VOLUME_CLAIM, "data-s")


def _s13_under_another_name(scene: Scene) -> None:
    scene.policy(MANAGER, "another", TEMPLATES_OWN)


def _s13_of_nobody(scene: Scene) -> None:
    scene.policy(MANAGER, "other-network-policy", None)


def _s13_of_a_template_that_never_was(scene: Scene) -> None:
    owner = builders.an_owner(TEMPLATE, "python", uid="another")
    scene.delete(TENANT, NETWORK_POLICY, POLICY)
    scene.policy(MANAGER, POLICY, owner)


def _s13_a_strangers_changed(scene: Scene) -> None:
    scene.policy(TENANT, "theirs", None)
    scene.policy(MANAGER, "theirs", None, is_open=True)


def _s13_a_strangers_deleted(scene: Scene) -> None:
    scene.policy(TENANT, "theirs", builders.an_owner(CLAIM, "one"))
    scene.delete(MANAGER, NETWORK_POLICY, "theirs")


def _s13_taken_over(scene: Scene) -> None:
    scene.delete(TENANT, NETWORK_POLICY, POLICY)
    scene.policy(TENANT, POLICY, None)
    scene.policy(MANAGER, POLICY, TEMPLATES_OWN)


def _s13_deleted_while_it_is_wanted(scene: Scene) -> None:
    scene.time.now_s += LAG_S_MAX + 1
    scene.delete(MANAGER, NETWORK_POLICY, POLICY)


BREAKING: list[Callable[[Scene], None]] = [
    _s12_a_second_pod,
    _s12_a_second_pod_taken_over,
    _s12_a_pod_of_nobody,
    _s12_a_volume_of_a_claim,
    _s12_a_volume_deleted,
    _s13_under_another_name,
    _s13_of_nobody,
    _s13_of_a_template_that_never_was,
    _s13_a_strangers_changed,
    _s13_a_strangers_deleted,
    _s13_taken_over,
    _s13_deleted_while_it_is_wanted,
]


@pytest.mark.parametrize("breaks", BREAKING, ids=lambda breaks: breaks.__name__.strip("_"))
def test_a_planted_breach_is_found(breaks: Callable[[Scene], None]) -> None:
    scene = Scene()
    breaks(scene)
    assert breaks.__name__[1:4].upper() in scene.promises


def test_a_pod_after_the_first_is_gone_is_no_second_one() -> None:
    scene = Scene()
    scene.delete("world", POD, "s")
    scene.put(MANAGER, POD, builders.a_pod("s"))
    assert scene.promises == []


def test_what_others_do_is_no_breach() -> None:
    scene = Scene()
    scene.put(TENANT, POD, builders.a_pod("s-again", sandbox="s"))
    scene.delete(TENANT, VOLUME_CLAIM, "data-s")
    scene.delete(TENANT, NETWORK_POLICY, POLICY)
    scene.policy(TENANT, "another", TEMPLATES_OWN)
    assert scene.promises == []


def test_a_policy_of_an_older_version_may_go() -> None:
    scene = Scene()
    scene.policy(TENANT, "one-network-policy", builders.an_owner(CLAIM, "one"))
    scene.delete(MANAGER, NETWORK_POLICY, "one-network-policy")
    assert scene.promises == []


def test_a_policy_may_go_that_was_not_wanted_a_moment_ago() -> None:
    scene = Scene()
    scene.put(TENANT, TEMPLATE, builders.a_template(merge=UNMANAGED))
    scene.put(TENANT, TEMPLATE, builders.a_template())
    scene.delete(MANAGER, NETWORK_POLICY, POLICY)
    assert scene.promises == []


def _l9_no_policy(scene: Scene) -> None:
    scene.delete(TENANT, NETWORK_POLICY, POLICY)


def _l9_an_open_policy(scene: Scene) -> None:
    scene.policy(TENANT, POLICY, TEMPLATES_OWN, is_open=True)


def _l9_no_label(scene: Scene) -> None:
    scene.put(TENANT, TEMPLATE, builders.a_template())


def _l9_an_unwanted_policy(scene: Scene) -> None:
    template = builders.a_template(merge={**LABELLED, **UNMANAGED})
    scene.put(TENANT, TEMPLATE, template)


def _l5_a_policy_without_its_template(scene: Scene) -> None:
    scene.delete(TENANT, TEMPLATE, "python")


UNSETTLED: list[Callable[[Scene], None]] = [
    _l9_no_policy,
    _l9_an_open_policy,
    _l9_no_label,
    _l9_an_unwanted_policy,
    _l5_a_policy_without_its_template,
]


@pytest.mark.parametrize("breaks", UNSETTLED, ids=lambda breaks: breaks.__name__.strip("_"))
def test_what_is_not_settled_in_the_end_is_told(breaks: Callable[[Scene], None]) -> None:
    scene = Scene()
    breaks(scene)
    assert scene.problems() == {breaks.__name__[1:3].upper()}


def test_a_strangers_policy_under_the_name_settles_it() -> None:
    scene = Scene()
    scene.delete(TENANT, NETWORK_POLICY, POLICY)
    scene.policy(TENANT, POLICY, None)
    assert scene.problems() == set()
