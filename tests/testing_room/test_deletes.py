"""Delete: preconditions, finalizers, policies, grace periods."""

from __future__ import annotations

from typing import Any

import pytest

from warmclaim.api.resources import CLAIM, POD
from warmclaim.testing.builders import a_claim, as_sent
from warmclaim.testing.json_values import Json
from warmclaim.testing.probe import Probe

CLAIMS = CLAIM.collection("default")
PODS = POD.collection("default")
CLAIM_RESOURCE = str(CLAIM)


def _pod(**metadata: Any) -> Json:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    return {"metadata": {"name": "p", **metadata}, "spec": spec}


@pytest.fixture
async def claim(api: Probe) -> Json:
    return (await api.post(CLAIMS, as_sent(a_claim()))).body


async def test_a_delete_says_success_with_the_uid_and_the_object_is_gone(
    api: Probe, claim: Json
) -> None:
    reply = await api.delete(f"{CLAIMS}/claim")
    assert (reply.code, reply.body["status"]) == (200, "Success")
    assert reply.body["details"]["uid"] == claim["metadata"]["uid"]
    assert (await api.get(f"{CLAIMS}/claim")).code == 404
    again = await api.delete(f"{CLAIMS}/claim")
    assert (again.code, again.message) == (404, f'{CLAIM_RESOURCE} "claim" not found')


@pytest.mark.parametrize(
    "conditions", [{"uid": "another"}, {"resourceVersion": "1"}], ids=["uid", "version"]
)
async def test_a_delete_whose_precondition_fails_is_a_conflict(
    api: Probe, claim: Json, conditions: Json
) -> None:
    reply = await api.delete(f"{CLAIMS}/claim", {"preconditions": conditions})
    assert (reply.code, reply.reason) == (409, "Conflict")
    assert "in the precondition" in reply.message
    right = {n: claim["metadata"][n] for n in ("uid", "resourceVersion")}
    assert (await api.delete(f"{CLAIMS}/claim", {"preconditions": right})).code == 200


async def test_finalizers_hold_an_object_until_the_last_one_is_removed(api: Probe) -> None:
    await api.post(CLAIMS, as_sent(a_claim(), finalizers=["test/a", "test/b"]))
    path = f"{CLAIMS}/claim"
    marked = await api.delete(path)
    assert marked.body["kind"] == "SandboxClaim"
    assert marked.metadata["deletionTimestamp"]
    assert marked.metadata["deletionGracePeriodSeconds"] == 0
    assert marked.metadata["generation"] == 2
    assert (await api.delete(path)).rv == marked.rv
    more = {"metadata": {"finalizers": ["test/a", "test/b", "test/c"]}}
    assert (await api.merge_patch(path, more)).code == 422
    one_less = await api.merge_patch(path, {"metadata": {"finalizers": ["test/b"]}})
    assert one_less.metadata["deletionTimestamp"] == marked.metadata["deletionTimestamp"]
    assert (await api.merge_patch(path, {"metadata": {"finalizers": None}})).code == 200
    assert (await api.get(path)).code == 404


@pytest.mark.parametrize(
    ("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")]
)
async def test_a_propagation_policy_is_a_finalizer(
    api: Probe, claim: Json, policy: str, finalizer: str
) -> None:
    reply = await api.delete(f"{CLAIMS}/claim", {"propagationPolicy": policy})
    assert reply.metadata["finalizers"] == [finalizer]


async def test_a_later_delete_may_change_the_policy_or_leave_it(api: Probe) -> None:
    await api.post(CLAIMS, as_sent(a_claim(), finalizers=["test/a"]))
    seen: list[list[str]] = []
    for options in ({"propagationPolicy": "Foreground"}, {}, {"orphanDependents": True}):
        reply = await api.delete(f"{CLAIMS}/claim", options)
        seen.append(reply.metadata["finalizers"])
    last = await api.delete(f"{CLAIMS}/claim", propagationPolicy="Background")
    foreground = ["test/a", "foregroundDeletion"]
    assert seen == [foreground, foreground, ["test/a", "orphan"]]
    assert last.metadata["finalizers"] == ["test/a"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"propagationPolicy": "Never"}, 422),
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, 422),
        ({"gracePeriodSeconds": "x"}, 400),
        ([], 400),
    ],
    ids=str,
)
async def test_delete_options_that_make_no_sense_are_refused(
    api: Probe, claim: Json, options: Any, code: int
) -> None:
    assert (await api.delete(f"{CLAIMS}/claim", options)).code == code
    assert (await api.get(f"{CLAIMS}/claim")).code == 200


async def test_a_dry_run_of_a_delete_deletes_nothing(api: Probe, claim: Json) -> None:
    assert (await api.delete(f"{CLAIMS}/claim", {"dryRun": ["All"]})).code == 200
    assert (await api.delete(f"{CLAIMS}/claim", dryRun="All")).code == 200
    assert (await api.get(f"{CLAIMS}/claim")).code == 200


async def test_the_first_namespaces_are_immortal(api: Probe) -> None:
    reply = await api.delete("/api/v1/namespaces/default")
    assert (reply.code, reply.reason) == (403, "Forbidden")


async def test_a_bound_pod_terminates_and_an_unbound_one_goes_at_once(api: Probe) -> None:
    await api.post(PODS, _pod())
    assert (await api.delete(f"{PODS}/p")).body["kind"] == "Pod"
    assert (await api.get(f"{PODS}/p")).code == 404
    bound = _pod()
    bound["spec"]["nodeName"] = "n1"
    await api.post(PODS, bound)
    marked = await api.delete(f"{PODS}/p", {"gracePeriodSeconds": 7})
    assert marked.metadata["deletionGracePeriodSeconds"] == 7
    assert (await api.get(f"{PODS}/p")).code == 200
    await api.delete(f"{PODS}/p", gracePeriodSeconds=0)
    assert (await api.get(f"{PODS}/p")).code == 404


async def test_a_collection_is_deleted_by_selector(api: Probe) -> None:
    for name, label in (("a", "x"), ("b", "y"), ("c", "x")):
        await api.post(CLAIMS, as_sent(a_claim(name), labels={"l": label}))
    reply = await api.delete(CLAIMS, labelSelector="l=x")
    assert reply.names == ["a", "c"]
    assert (await api.get(CLAIMS)).names == ["b"]
