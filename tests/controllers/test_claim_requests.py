"""What a claim may ask for beyond a plain sandbox, through the whole manager."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controllers.app_world import NAMESPACE, POOL, SANDBOX, AppWorld, virtual

from warmclaim.api import names
from warmclaim.api.conditions import READY, find
from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import name_hash
from warmclaim.api.resources import CLAIM, TEMPLATE
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template
from warmclaim.testing.json_values import Json

KEY = ObjectKey(NAMESPACE, "c")
LABEL = "sandbox.users.io/team"
EVICT = names.ANNOTATION_SAFE_TO_EVICT


def stored(world: AppWorld, name: str) -> Json:
    found = world.server.cluster.store.get(str(SANDBOX), f"{NAMESPACE}/{name}")
    assert found is not None
    return found.object


def pod_metadata(world: AppWorld, name: str) -> Json:
    found: Json = stored(world, name)["spec"]["podTemplate"]["metadata"]
    return found


def a_member(name: str = "w1", template: str = "python", **metadata: Any) -> Json:
    """A warm sandbox with the marks that its pool puts into the pod template."""
    marks = {
        names.LABEL_WARM_POOL: name_hash("pool"),
        names.LABEL_TEMPLATE_HASH: "x",
        names.LABEL_TEMPLATE_REF: name_hash(template),
    }
    labels = {**marks, **metadata.pop("labels", {})}
    annotations = {EVICT: "true", **metadata.pop("annotations", {})}
    pod = {"metadata": {"labels": labels, "annotations": annotations}}
    member = a_sandbox(name, pool="pool", merge={"spec": {"podTemplate": pod}})
    member["metadata"]["labels"] |= marks
    return member


def asking(**spec: Any) -> Json:
    return a_claim("c", merge={"spec": spec})


def metadata(labels: Json | None = None, annotations: Json | None = None) -> Json:
    return {"additionalPodMetadata": {"labels": labels or {}, "annotations": annotations or {}}}


async def refused(world: AppWorld) -> str:
    """The claim's Ready condition as "Reason: message", "" while there is none."""
    ready = find((await world.claim("c")).conditions, READY)
    return f"{ready.reason}: {ready.message}" if ready and not ready.is_true else ""


class TestPlain:
    def test_the_pools_marks_leave_the_pod_template_with_the_adoption(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template(), a_pool(), a_member(), a_claim("c"))
            await world.served("c")
            found = pod_metadata(world, "w1")
            assert found["labels"] == {
                names.LABEL_CLAIM_UID: "c-uid",
                names.LABEL_TEMPLATE_REF: name_hash("python"),
            }
            assert EVICT not in found["annotations"]
            assert world.writes() == ["patch sandboxes 200", "patch sandboxclaims/status 200"]
            assert world.reads() == 0

        virtual(scenario)

    def test_a_mark_of_the_templates_own_stays(self) -> None:
        async def scenario(world: AppWorld) -> None:
            own = {"spec": {"podTemplate": {"metadata": {"annotations": {EVICT: "true"}}}}}
            world.put(a_template(merge=own), a_pool(), a_member(), a_claim("c"))
            await world.served("c")
            assert pod_metadata(world, "w1")["annotations"] == {EVICT: "true"}

        virtual(scenario)

    @pytest.mark.parametrize("metadata", [5, {"labels": 5}, {"annotations": {"a": 5}}])
    def test_a_malformed_member_is_passed_over(self, metadata: object) -> None:
        async def scenario(world: AppWorld) -> None:
            odd = a_member("odd")
            odd["spec"]["podTemplate"]["metadata"] = metadata
            world.put(a_template(), a_pool(replicas=2), odd, a_member("w2"), a_claim("c"))
            assert (await world.served("c")).published == "w2"

        virtual(scenario)


class TestMetadata:
    def test_a_warm_sandbox_gets_it_in_the_same_two_writes(self) -> None:
        async def scenario(world: AppWorld) -> None:
            claim = asking(**metadata({LABEL: "a"}, {"note": "b"}))
            world.put(a_template(), a_pool(), a_member(), claim)
            await world.served("c")
            found = pod_metadata(world, "w1")
            assert found["labels"][LABEL] == "a"
            assert found["annotations"]["note"] == "b"
            await world.run_for(60)
            writes = [text for text in world.writes() if "events" not in text]
            assert writes[:2] == ["patch sandboxes 200", "patch sandboxclaims/status 200"]
            assert writes[2:] == ["patch sandboxclaims 200"]  # when it was Ready, noted later

        virtual(scenario)

    def test_a_cold_one_gets_it_at_birth(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template(), a_pool(replicas=0), asking(**metadata({LABEL: "a"})))
            await world.served("c")
            assert pod_metadata(world, "c")["labels"][LABEL] == "a"

        virtual(scenario)

    @pytest.mark.parametrize(
        ("labels", "annotations", "said"),
        [
            ({"team": "a"}, {}, 'failed to validate label "team"'),
            ({}, {"k8s.io/x": "a"}, 'failed to validate annotation "k8s.io/x"'),
        ],
    )
    def test_what_is_not_allowed_takes_no_sandbox(
        self, labels: Json, annotations: Json, said: str
    ) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template(), a_pool(), a_member(), asking(**metadata(labels, annotations)))
            await world.run_for(120)
            assert said in await refused(world)
            assert (await refused(world)).startswith("InvalidMetadata: invalid additional")
            assert await world.owned("c") == []
            assert world.writes() == ["patch sandboxclaims/status 200"]

        virtual(scenario)

    def test_a_key_of_the_template_is_the_templates(self) -> None:
        async def scenario(world: AppWorld) -> None:
            own = {"spec": {"podTemplate": {"metadata": {"labels": {LABEL: "theirs"}}}}}
            claim = asking(**metadata({LABEL: "mine"}))
            world.put(a_template(merge=own), a_pool(), a_member(), claim)
            await world.run_for(10)
            assert "InvalidMetadata: metadata override conflict" in await refused(world)
            assert await world.owned("c") == []
            await world.hand.merge_patch(CLAIM, KEY, {"spec": metadata({LABEL: "theirs"})})
            await world.served("c")

        virtual(scenario)

    def test_a_later_change_reaches_the_sandbox(self) -> None:
        async def scenario(world: AppWorld) -> None:
            claim = asking(**metadata({LABEL: "a"}, {"note": "b"}))
            world.put(a_template(), a_pool(), a_member(labels={"app": "x"}), claim)
            await world.served("c")
            changed = metadata({LABEL: "z", f"{LABEL}-2": "new"}, {"note": None})
            await world.hand.merge_patch(CLAIM, KEY, {"spec": changed})
            await world.run_for(2)
            found = pod_metadata(world, "w1")
            assert found["labels"][LABEL] == "z"
            assert found["labels"][f"{LABEL}-2"] == "new"
            assert found["labels"]["app"] == "x"
            assert "note" not in found.get("annotations", {})
            await world.hand.merge_patch(CLAIM, KEY, {"spec": {"additionalPodMetadata": None}})
            await world.run_for(2)
            assert LABEL not in pod_metadata(world, "w1")["labels"]
            assert (
                names.ANNOTATION_CLAIM_METADATA
                not in stored(world, "w1")["metadata"]["annotations"]
            )
            before = len(world.writes())
            await world.run_for(120)
            assert len(world.writes()) == before

        virtual(scenario)

    def test_a_later_mistake_shows_and_the_binding_stays(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template(), a_pool(), a_member(labels={"app": "x"}), a_claim("c"))
            await world.served("c")
            for wrong in ({"team": "x"}, {"app": "y"}):
                await world.hand.merge_patch(CLAIM, KEY, {"spec": metadata(wrong)})
                await world.run_for(1)
                assert (await refused(world)).startswith("InvalidMetadata")
                assert (await world.claim("c")).published == "w1"
                assert "y" not in pod_metadata(world, "w1")["labels"].values()
                await world.hand.merge_patch(CLAIM, KEY, {"spec": {"additionalPodMetadata": None}})
                await world.run_for(1)
                assert await refused(world) == ""

        virtual(scenario)

    def test_an_edit_of_the_template_moves_no_running_pod(self) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template(), a_pool(), a_member(), a_claim("c"))
            await world.served("c")
            before = pod_metadata(world, "w1")
            edit = {"spec": {"podTemplate": {"metadata": {"labels": {"app": "new"}}}}}
            await world.hand.merge_patch(TEMPLATE, ObjectKey(NAMESPACE, "python"), edit)
            await world.run_for(60)
            assert pod_metadata(world, "w1") == before

        virtual(scenario)


ENV: Json = {"env": [{"name": "A", "value": "1"}]}
VOLUME: Json = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
VOLUMES: Json = {"volumeClaimTemplates": [VOLUME]}
ALLOWED: Json = {"envVarsInjectionPolicy": "Allowed", "volumeClaimTemplatesPolicy": "Allowed"}


class TestOwnSandbox:
    @pytest.mark.parametrize("spec", [ENV, VOLUMES])
    def test_it_starts_cold_although_the_pool_is_full(self, spec: Json) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template(merge={"spec": ALLOWED}), a_pool(), a_member(), asking(**spec))
            await world.served("c")
            made = stored(world, "c")["spec"]
            if spec is ENV:
                (container,) = made["podTemplate"]["spec"]["containers"]
                assert container["env"] == [{"name": "A", "value": "1"}]
            else:
                assert [v["metadata"]["name"] for v in made["volumeClaimTemplates"]] == ["data"]
            assert stored(world, "w1")["metadata"]["ownerReferences"][0]["kind"] == POOL.kind

        virtual(scenario)

    @pytest.mark.parametrize(
        ("spec", "reason"),
        [(ENV, "EnvVarsInjectionRejected: env"), (VOLUMES, "VolumeClaimTemplatesError: failed")],
    )
    def test_without_leave_it_gets_nothing_until_the_template_changes(
        self, spec: Json, reason: str
    ) -> None:
        async def scenario(world: AppWorld) -> None:
            world.put(a_template(), a_pool(), a_member(), asking(**spec))
            await world.run_for(600)
            assert (await refused(world)).startswith(reason)
            assert world.writes() == ["patch sandboxclaims/status 200"]
            key = ObjectKey(NAMESPACE, "python")
            await world.hand.merge_patch(TEMPLATE, key, {"spec": ALLOWED})
            await world.served("c")

        virtual(scenario)


OLDER = {names.LABEL_TEMPLATE_HASH: "of-an-older-one"}
RECREATE: Json = {"spec": {"updateStrategy": {"type": "Recreate"}}}


class TestRecreate:
    def test_a_stale_member_is_not_handed_out(self) -> None:
        async def scenario(world: AppWorld) -> None:
            older = a_member("old")
            older["metadata"]["labels"] |= OLDER
            older["spec"]["podTemplate"]["spec"] = {"containers": [{"name": "c", "image": "old"}]}
            world.put(a_template(), a_pool(merge=RECREATE), older, a_claim("c"))
            claim = await world.served("c")
            assert claim.published == "c"

        virtual(scenario)

    @pytest.mark.parametrize("change", ["strategy", "template"])
    def test_a_member_that_was_stale_is_handed_out_once_it_is_no_longer(self, change: str) -> None:
        async def scenario(world: AppWorld) -> None:
            older = a_member("old")
            older["metadata"]["labels"] |= OLDER
            older["spec"]["podTemplate"]["spec"] = as_made({"name": "sandbox", "image": "old"})
            world.put(a_template(), a_pool(merge=RECREATE), older, a_claim("c"))
            assert (await world.served("c")).published == "c"  # "old" was looked at, and left
            wanted: Json
            if change == "strategy":
                wanted = {"spec": {"updateStrategy": {"type": "OnReplenish"}}}
                await world.hand.merge_patch(POOL, ObjectKey(NAMESPACE, "pool"), wanted)
            else:
                pod = {"spec": {"containers": [{"name": "sandbox", "image": "old"}]}}
                wanted = {"spec": {"podTemplate": pod}}
                await world.hand.merge_patch(TEMPLATE, ObjectKey(NAMESPACE, "python"), wanted)
            await world.run_for(1)
            world.put(a_claim("d"))
            assert (await world.served("d")).published == "old"

        virtual(scenario)

    def test_a_member_of_the_same_meaning_is(self) -> None:
        async def scenario(world: AppWorld) -> None:
            container: Json = {"name": "sandbox", "image": an_image(), "env": []}
            pod: Json = {"metadata": {"labels": {"x": "y"}}, "spec": as_made(container)}
            same = a_member("same")
            same["metadata"]["labels"] |= OLDER
            same["spec"]["podTemplate"] = pod
            world.put(a_template(), a_pool(merge=RECREATE), same, a_claim("c"))
            assert (await world.served("c")).published == "same"

        virtual(scenario)

    def test_on_replenish_a_stale_member_is_as_good_as_any(self) -> None:
        async def scenario(world: AppWorld) -> None:
            older = a_member("old")
            older["metadata"]["labels"] |= OLDER
            older["spec"]["podTemplate"]["spec"] = {"containers": [{"name": "c", "image": "old"}]}
            world.put(a_template(), a_pool(), older, a_claim("c"))
            assert (await world.served("c")).published == "old"

        virtual(scenario)


def as_made(container: Json) -> Json:
    """A pod's spec as a pool makes it, with what it adds for safety."""
    return {
        "containers": [container],
        "automountServiceAccountToken": False,
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["8.8.8.8", "1.1.1.1"]},
    }


def an_image() -> str:
    image: str = a_template()["spec"]["podTemplate"]["spec"]["containers"][0]["image"]
    return image
