"""Replace and patch: locks, compare-and-set, subresources, generation."""

from __future__ import annotations

from typing import Any

import pytest

from warmclaim.api.resources import CLAIM, POD, POOL, SANDBOX, TEMPLATE
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template, as_sent
from warmclaim.testing.json_values import Json
from warmclaim.testing.probe import Probe

CLAIMS = CLAIM.collection("default")
POOLS = POOL.collection("default")
TEMPLATES = TEMPLATE.collection("default")
SANDBOXES = SANDBOX.collection("default")
PODS = POD.collection("default")


def _pod(**metadata: Any) -> Json:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    return {"metadata": {"name": "p", **metadata}, "spec": spec}


@pytest.fixture
async def claim(api: Probe) -> Json:
    return (await api.post(CLAIMS, as_sent(a_claim()))).body


async def test_a_put_with_a_stale_version_is_a_conflict_and_changes_nothing(
    api: Probe, claim: Json
) -> None:
    path = f"{CLAIMS}/claim"
    fresh = {**claim, "metadata": {**claim["metadata"], "labels": {"a": "1"}}}
    assert (await api.put(path, fresh)).code == 200
    stale = await api.put(path, {**fresh, "spec": {"warmPoolRef": {"name": "other"}}})
    assert (stale.code, stale.reason) == (409, "Conflict")
    assert (await api.get(path)).body["spec"] == claim["spec"]


async def test_a_put_of_a_custom_object_must_carry_a_version_and_one_of_a_pod_need_not(
    api: Probe, claim: Json
) -> None:
    bare = {**claim, "metadata": {"name": "claim"}}
    reply = await api.put(f"{CLAIMS}/claim", bare)
    assert (reply.code, "must be specified for an update" in reply.message) == (422, True)
    pod = (await api.post(PODS, _pod())).body
    free = {**pod, "metadata": {"name": "p", "labels": {"a": "b"}}}
    assert (await api.put(f"{PODS}/p", free)).code == 200


async def test_a_put_with_another_uid_is_a_conflict(api: Probe, claim: Json) -> None:
    other = {**claim, "metadata": {**claim["metadata"], "uid": "another"}}
    reply = await api.put(f"{CLAIMS}/claim", other)
    assert (reply.code, reply.reason) == (409, "Conflict")
    assert "UID in precondition: another" in reply.message


async def test_a_put_under_another_name_is_a_bad_request_and_of_nothing_not_found(
    api: Probe, claim: Json
) -> None:
    other = {**claim, "metadata": {**claim["metadata"], "name": "other"}}
    assert (await api.put(f"{CLAIMS}/claim", other)).code == 400
    assert (await api.put(f"{CLAIMS}/other", other)).code == 404


async def test_what_only_the_server_sets_survives_an_update(api: Probe, claim: Json) -> None:
    forged = {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 99}
    reply = await api.merge_patch(f"{CLAIMS}/claim", {"metadata": forged})
    assert reply.metadata["creationTimestamp"] == claim["metadata"]["creationTimestamp"]
    assert reply.metadata["generation"] == 1
    marked = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert (await api.merge_patch(f"{CLAIMS}/claim", marked)).code == 422


async def test_an_update_that_changes_nothing_writes_nothing(
    api: Probe, claim: Json, server: FakeApiServer
) -> None:
    before = server.cluster.store.rv
    reply = await api.merge_patch(f"{CLAIMS}/claim", {"spec": claim["spec"]})
    assert (reply.code, reply.rv) == (200, claim["metadata"]["resourceVersion"])
    assert (await api.put(f"{CLAIMS}/claim", claim)).code == 200
    assert server.cluster.store.rv == before


async def test_generation_moves_with_the_spec_only(api: Probe, claim: Json) -> None:
    path = f"{CLAIMS}/claim"
    labelled = await api.merge_patch(path, {"metadata": {"labels": {"a": "b"}}})
    published = await api.merge_patch(f"{path}/status", {"status": {"sandbox": {"name": "w"}}})
    changed = await api.merge_patch(path, {"spec": {"warmPoolRef": {"name": "other"}}})
    generations = [r.metadata["generation"] for r in (labelled, published, changed)]
    assert generations == [1, 1, 2]


async def test_a_kind_without_status_subresource_counts_every_change(api: Probe) -> None:
    await api.post(TEMPLATES, as_sent(a_template()))
    service = await api.merge_patch(f"{TEMPLATES}/python", {"spec": {"service": True}})
    assert service.metadata["generation"] == 2
    assert (await api.merge_patch(f"{TEMPLATES}/python/status", {})).code == 404


async def test_the_main_resource_leaves_the_status_and_the_status_the_rest(
    api: Probe, claim: Json
) -> None:
    path = f"{CLAIMS}/claim"
    await api.merge_patch(f"{path}/status", {"status": {"sandbox": {"name": "w"}}})
    main = await api.merge_patch(
        path, {"status": {"sandbox": {"name": "forged"}}, "metadata": {"labels": {"a": "b"}}}
    )
    assert main.body["status"] == {"sandbox": {"name": "w"}}
    status = await api.merge_patch(
        f"{path}/status",
        {
            "status": {"sandbox": {"name": "x"}},
            "spec": {"warmPoolRef": {"name": "forged"}},
            "metadata": {"labels": {"c": "d"}},
        },
    )
    assert status.body["spec"] == claim["spec"]
    assert status.metadata["labels"] == {"a": "b"}
    assert status.body["status"] == {"sandbox": {"name": "x"}}


async def test_a_wrong_uid_does_not_stop_a_merge_patch_of_a_custom_status(
    api: Probe, claim: Json
) -> None:
    """As the real server: only a JSON Patch `test` (or a version) guards a status."""
    change = {"metadata": {"uid": "another"}, "status": {"sandbox": {"name": "w"}}}
    assert (await api.merge_patch(f"{CLAIMS}/claim/status", change)).code == 200


async def test_the_status_of_a_pod_may_carry_labels_but_no_owners(api: Probe) -> None:
    await api.post(PODS, _pod())
    owner = {"apiVersion": "v1", "kind": "X", "name": "x", "uid": "u"}
    change = {"labels": {"a": "b"}, "ownerReferences": [owner]}
    reply = await api.merge_patch(
        f"{PODS}/p/status", {"metadata": change, "status": {"phase": "Running"}}
    )
    assert reply.metadata["labels"] == {"a": "b"}
    assert "ownerReferences" not in reply.metadata
    assert reply.body["status"]["phase"] == "Running"


async def test_publication_is_a_compare_and_set_that_only_the_first_wins(
    api: Probe, claim: Json
) -> None:
    path = f"{CLAIMS}/claim/status"
    uid: Json = {"op": "test", "path": "/metadata/uid", "value": claim["metadata"]["uid"]}
    absent: Json = {"op": "test", "path": "/status", "value": None}
    first: Json = {"op": "add", "path": "/status", "value": {"sandbox": {"name": "w1"}}}
    assert (await api.json_patch(path, uid, absent, first)).code == 200
    second = await api.json_patch(path, uid, absent, first)
    assert (second.code, second.reason) == (422, "Invalid")
    assert second.message == "the server rejected our request due to an error in our request"
    null: Json = {"op": "test", "path": "/status/sandbox", "value": None}
    assert (await api.json_patch(path, null)).code == 422
    assert (await api.get(f"{CLAIMS}/claim")).body["status"] == {"sandbox": {"name": "w1"}}


async def test_a_reservation_is_a_compare_and_set_on_owner_uid_and_deletion(api: Probe) -> None:
    pool = (await api.post(POOLS, as_sent(a_pool()))).body
    sandbox = a_sandbox("w1")
    sandbox["metadata"]["ownerReferences"][0]["uid"] = pool["metadata"]["uid"]
    sandbox["metadata"]["finalizers"] = ["test/hold"]
    made = (await api.post(SANDBOXES, as_sent(sandbox))).body
    owner = "/metadata/ownerReferences/0"
    tests: list[Json] = [
        {"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]},
        {"op": "test", "path": f"{owner}/uid", "value": pool["metadata"]["uid"]},
        {"op": "test", "path": "/metadata/deletionTimestamp", "value": None},
    ]
    take: Json = {"op": "replace", "path": f"{owner}/uid", "value": "claim-uid"}
    assert (await api.json_patch(f"{SANDBOXES}/w1", *tests, take)).code == 200
    assert (await api.json_patch(f"{SANDBOXES}/w1", *tests, take)).code == 422
    await api.delete(f"{SANDBOXES}/w1")
    tests[1]["value"] = "claim-uid"
    assert (await api.json_patch(f"{SANDBOXES}/w1", *tests, take)).code == 422


async def test_scale_reads_and_writes_the_replicas_of_a_pool(api: Probe) -> None:
    await api.post(POOLS, as_sent(a_pool(replicas=3)))
    path = f"{POOLS}/pool/scale"
    shown = await api.get(path)
    assert (shown.body["kind"], shown.body["spec"]) == ("Scale", {"replicas": 3})
    assert (await api.merge_patch(path, {"spec": {"replicas": 5}})).body["spec"]["replicas"] == 5
    pool = (await api.get(f"{POOLS}/pool")).body
    assert (pool["spec"]["replicas"], pool["metadata"]["generation"]) == (5, 2)
    assert (await api.put(path, {**shown.body, "spec": {"replicas": 9}})).code == 409
    assert (await api.merge_patch(path, {"spec": {"replicas": -1}})).code == 422
    assert (await api.get(f"{CLAIMS}/claim/scale")).code == 404


async def test_patches_of_other_kinds_are_an_unsupported_media_type(
    api: Probe, claim: Json
) -> None:
    for content_type in ("application/apply-patch+yaml", "application/json", "text/plain"):
        reply = await api.send("PATCH", f"{CLAIMS}/claim", {}, content_type=content_type)
        assert (reply.code, reply.reason) == (415, "UnsupportedMediaType")


async def test_a_malformed_json_patch_is_a_bad_request(api: Probe, claim: Json) -> None:
    reply = await api.send(
        "PATCH", f"{CLAIMS}/claim", {"op": "add"}, content_type="application/json-patch+json"
    )
    assert (reply.code, reply.reason) == (400, "BadRequest")


async def test_conditions_are_replaced_as_a_whole_by_a_merge_patch(api: Probe, claim: Json) -> None:
    def condition(type_: str) -> Json:
        return {
            "type": type_,
            "status": "True",
            "reason": "R",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }

    path = f"{CLAIMS}/claim/status"
    await api.merge_patch(path, {"status": {"conditions": [condition("A"), condition("B")]}})
    reply = await api.merge_patch(path, {"status": {"conditions": [condition("C")]}})
    assert [c["type"] for c in reply.body["status"]["conditions"]] == ["C"]


async def test_fact_a_merge_patch_with_another_uid_is_422_and_with_a_stale_version_409(
    api: Probe, claim: Json
) -> None:
    path = f"{CLAIMS}/claim"
    wrong = await api.merge_patch(path, {"metadata": {"uid": "another"}})
    assert (wrong.code, wrong.reason) == (422, "Invalid")
    assert "metadata.uid" in wrong.message
    stale = await api.merge_patch(path, {"metadata": {"resourceVersion": "1"}})
    assert (stale.code, stale.reason) == (409, "Conflict")
    assert "the object has been modified" in stale.message
    right = {"uid": claim["metadata"]["uid"], "labels": {"a": "b"}}
    right["resourceVersion"] = claim["metadata"]["resourceVersion"]
    assert (await api.merge_patch(path, {"metadata": right})).code == 200
