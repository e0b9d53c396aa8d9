"""Create: what is accepted, what is refused and in which words, sizes."""

from __future__ import annotations

from typing import Any

import pytest

from warmclaim.api.resources import CLAIM, POD
from warmclaim.testing.api import FakeApiServer
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


async def test_a_create_sets_what_only_the_server_may_set(api: Probe) -> None:
    sent = as_sent(a_claim(), uid="mine", resourceVersion="", generation=9, creationTimestamp=None)
    reply = await api.post(CLAIMS, sent)
    assert reply.code == 201
    assert reply.metadata["uid"] not in ("", "mine")
    assert len(reply.metadata["uid"]) == 36
    assert reply.metadata["generation"] == 1
    assert reply.metadata["creationTimestamp"].endswith("Z")
    assert len(reply.metadata["creationTimestamp"]) == len("2026-01-01T00:00:00Z")
    assert int(reply.rv) > 0


async def test_a_create_drops_the_status_of_a_kind_that_has_the_subresource(api: Probe) -> None:
    assert "status" not in (await api.post(CLAIMS, as_sent(a_claim(sandbox="w")))).body
    pod = await api.post(PODS, {**_pod(), "status": {"phase": "Running"}})
    assert pod.body["status"]["phase"] == "Pending"


async def test_a_second_create_of_a_name_is_already_exists(api: Probe, claim: Json) -> None:
    reply = await api.post(CLAIMS, as_sent(a_claim()))
    assert (reply.code, reply.reason) == (409, "AlreadyExists")
    assert reply.message == f'{CLAIM_RESOURCE} "claim" already exists'
    assert reply.body["details"] == {
        "name": "claim",
        "group": "extensions.agents.x-k8s.io",
        "kind": "sandboxclaims",
    }


async def test_a_generated_name_has_five_more_letters_and_keeps_the_prefix(api: Probe) -> None:
    sent = {**as_sent(a_claim()), "metadata": {"generateName": "pool-"}}
    names = {(await api.post(CLAIMS, sent)).metadata["name"] for _ in range(20)}
    assert len(names) == 20
    assert all(n.startswith("pool-") and len(n) == 10 for n in names)


async def test_a_create_in_a_namespace_that_is_not_there_is_not_found(api: Probe) -> None:
    reply = await api.post(
        CLAIMS.replace("default", "nowhere"), as_sent(a_claim(namespace="nowhere"))
    )
    assert (reply.code, reply.message) == (404, 'namespaces "nowhere" not found')


_REFUSED: list[tuple[Json, int, str]] = [
    ({"metadata": {"name": ""}}, 422, "name or generateName is required"),
    ({"metadata": {"name": "Upper"}}, 422, "a lowercase RFC 1123 subdomain"),
    ({"metadata": {"name": "x" * 254}}, 422, "must be no more than 253"),
    ({"metadata": {"namespace": "other"}}, 400, "does not match the namespace sent"),
    ({"metadata": {"labels": {"a": "-"}}}, 422, "a valid label must be"),
    ({"metadata": {"labels": {"a b": "c"}}}, 422, "name part must consist of"),
    ({"metadata": {"labels": {"a": 1}}}, 400, "ObjectMeta.labels of type string"),
    ({"metadata": {"labels": []}}, 400, "ObjectMeta.labels of type map"),
    ({"metadata": {"finalizers": ["not qualified!"]}}, 422, "name part must consist of"),
    ({"metadata": {"finalizers": [{}]}}, 400, "ObjectMeta.finalizers of type string"),
    ({"metadata": {"ownerReferences": [{"name": "x"}]}}, 422, "must not be empty"),
    ({"metadata": {"ownerReferences": ["x"]}}, 400, "of type v1.OwnerReference"),
    ({"metadata": []}, 400, "type v1.ObjectMeta"),
    ({"metadata": {"name": 5}}, 400, "ObjectMeta.name of type string"),
    ({"kind": "Pod"}, 422, 'kind: Invalid value: "Pod": must be SandboxClaim'),
    ({"kind": ""}, 400, "Object 'Kind' is missing"),
    ({"apiVersion": ""}, 400, "the API version in the data () does not match"),
    ({"apiVersion": "v1"}, 400, "does not match the expected API version"),
    ({"spec": {"warmPoolRef": {"name": 5}}}, 422, "must be of type string"),
]


@pytest.mark.parametrize(("change", "code", "said"), _REFUSED, ids=str)
async def test_a_create_that_breaks_a_rule_is_refused_and_says_which(
    api: Probe, change: Json, code: int, said: str
) -> None:
    sent = {**as_sent(a_claim()), **change}
    if isinstance(change.get("metadata"), dict):
        sent["metadata"] = {**as_sent(a_claim())["metadata"], **change["metadata"]}
    reply = await api.post(CLAIMS, sent)
    assert (reply.code, said in reply.message) == (code, True), reply.text
    assert reply.reason == {400: "BadRequest", 422: "Invalid"}[code]
    assert (await api.get(CLAIMS)).items == []


async def test_two_controllers_are_refused(api: Probe) -> None:
    owner = {"apiVersion": "v1", "kind": "X", "name": "x", "uid": "u", "controller": True}
    reply = await api.post(
        CLAIMS, as_sent(a_claim(), ownerReferences=[owner, {**owner, "uid": "v"}])
    )
    assert (reply.code, "Only one reference can have Controller" in reply.message) == (422, True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff"], ids=repr)
async def test_a_body_that_is_no_object_is_a_bad_request(api: Probe, body: bytes) -> None:
    reply = await api.send("POST", CLAIMS, body)
    assert (reply.code, reply.reason) == (400, "BadRequest")


async def test_a_create_that_says_its_version_is_an_error_of_the_server(api: Probe) -> None:
    reply = await api.post(CLAIMS, as_sent(a_claim(), resourceVersion="5"))
    assert (reply.code, reply.reason) == (500, "")
    assert reply.message == "resourceVersion should not be set on objects to be created"


async def test_owners_are_kept_once_and_without_unknown_fields(api: Probe) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u"}
    sent = as_sent(a_claim(), ownerReferences=[owner, {**owner, "bogus": 1}])
    assert (await api.post(CLAIMS, sent)).metadata["ownerReferences"] == [owner]
    event = {**owner, "kind": "Event"}
    assert (await api.post(CLAIMS, as_sent(a_claim("e"), ownerReferences=[event]))).code == 422


async def test_a_null_label_is_an_empty_one(api: Probe) -> None:
    reply = await api.post(CLAIMS, as_sent(a_claim(), labels={"a": None}))
    assert reply.metadata["labels"] == {"a": ""}


async def test_an_odd_dry_run_is_refused_not_carried_out(api: Probe) -> None:
    reply = await api.post(CLAIMS, as_sent(a_claim()), dryRun="Some")
    assert (reply.code, "CreateOptions" in reply.message) == (422, True)


async def test_empty_parts_of_metadata_are_not_stored(api: Probe) -> None:
    reply = await api.post(CLAIMS, as_sent(a_claim(), labels={}, finalizers=[], annotations=None))
    assert {"labels", "finalizers", "annotations"}.isdisjoint(reply.metadata)


async def test_a_dry_run_answers_and_stores_nothing(api: Probe, server: FakeApiServer) -> None:
    before = server.cluster.store.rv
    assert (await api.post(CLAIMS, as_sent(a_claim()), dryRun="All")).code == 201
    assert server.cluster.store.rv == before


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_fact_1400_kb_are_accepted_and_2000_kb_are_a_permanent_500(api: Probe) -> None:
    def config(size: int) -> Json:
        return {"metadata": {"name": f"c{size}"}, "data": {"x": "x" * size}}

    path = "/api/v1/namespaces/default/configmaps"
    assert (await api.post(path, config(1_400_000))).code == 201
    reply = await api.post(path, config(2_000_000))
    assert (reply.code, reply.message) == (500, "etcdserver: request is too large")
    assert "reason" not in reply.body
    assert (await api.get(f"{path}/c2000000")).code == 404
    assert (await api.post(path, config(3_200_000))).code == 413


async def test_fact_300_kb_of_annotations_are_422(api: Probe) -> None:
    reply = await api.post(CLAIMS, as_sent(a_claim(), annotations={"a": "x" * 300_000}))
    assert (reply.code, reply.reason) == (422, "Invalid")
    assert reply.body["details"]["causes"] == [
        {
            "reason": "FieldValueTooLong",
            "message": "Too long: may not be more than 262144 bytes",
            "field": "metadata.annotations",
        }
    ]
