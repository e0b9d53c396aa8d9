"""Paths that lead somewhere and paths that do not; kinds that come and go; the request log."""

from __future__ import annotations

from typing import Any

import pytest

from warmclaim.api.resources import CLAIM
from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, as_sent
from warmclaim.testing.json_values import Json
from warmclaim.testing.probe import Probe

CLAIMS = CLAIM.collection("default")
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
CLAIM_RESOURCE = str(CLAIM)


@pytest.fixture
async def claim(api: Probe) -> Json:
    return (await api.post(CLAIMS, as_sent(a_claim()))).body


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", f"{LEASES}/l", 405),
        ("POST", f"{CLAIMS}/claim/status", 405),
        ("DELETE", f"{CLAIMS}/claim/status", 405),
        ("POST", CLAIMS.replace("/namespaces/default", ""), 404),
        ("GET", "/apis/authentication.k8s.io/v1/tokenreviews", 405),
        ("POST", "/api/v1/pods", 405),
        ("PUT", CLAIMS, 400),
        ("PUT", LEASES, 405),
        ("PATCH", CLAIMS, 415),
        ("PATCH", LEASES, 405),
        ("POST", "/version", 405),
        ("GET", "/api/v1/nothings", 404),
        ("GET", "/apis/nobody.io/v1/things", 404),
        ("GET", "/nowhere", 404),
        ("GET", f"{CLAIMS}/claim/logs", 404),
        ("GET", "/api/v1/namespaces/default/nodes/x", 404),
        ("GET", "/api/v1/pods/p", 404),
    ],
)
async def test_paths_that_lead_nowhere(api: Probe, method: Any, path: str, code: int) -> None:
    reply = await api.send(method, path, {})
    assert reply.code == code


async def test_a_path_is_unescaped_once_before_it_is_cut(api: Probe) -> None:
    reply = await api.get(f"{CLAIMS}/a%2Fb")
    assert reply.message == f'{CLAIM_RESOURCE} "a" not found'
    reply = await api.get(f"{CLAIMS}/a%2541")
    assert reply.message == f'{CLAIM_RESOURCE} "a%41" not found'


async def test_an_error_of_the_server_itself_is_a_500_with_its_traceback_in_the_log(
    api: Probe, server: FakeApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(commit: object) -> None:
        raise RuntimeError("broken on purpose")

    server.cluster.store.observers.append(fail)
    reply = await api.post(CLAIMS, as_sent(a_claim()))
    server.cluster.store.observers.remove(fail)
    assert (reply.code, reply.reason) == (500, "InternalError")
    assert "broken on purpose" in reply.message
    assert "Traceback" in caplog.text
    assert (await api.get("/readyz")).code == 200


async def test_a_crd_is_served_from_its_creation_to_its_deletion(api: Probe) -> None:
    crd: Json = {
        "metadata": {"name": "toys.play.io"},
        "spec": {
            "group": "play.io",
            "scope": "Cluster",
            "names": {"plural": "toys", "kind": "Toy", "singular": "toy", "listKind": "ToyList"},
            "versions": [{"name": "v1", "served": True, "storage": True}],
        },
    }
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    made = await api.post(crds, crd)
    established = {c["type"]: c["status"] for c in made.body["status"]["conditions"]}
    assert established == {"NamesAccepted": "True", "Established": "True"}
    toy = {"apiVersion": "play.io/v1", "kind": "Toy", "metadata": {"name": "bear"}}
    assert (await api.post("/apis/play.io/v1/toys", toy)).code == 201
    assert (await api.delete(f"{crds}/toys.play.io")).code == 200
    assert (await api.get("/apis/play.io/v1/toys")).code == 404
    assert (await api.post(crds, {**crd, "metadata": {"name": "other"}})).code == 422
    assert (await api.post(crds, {"metadata": {"name": "x"}, "spec": {}})).code == 422


async def test_leases_keep_microseconds_and_lock_by_version(api: Probe) -> None:
    spec = {"holderIdentity": "a", "renewTime": "2026-01-01T00:00:00.000001Z"}
    lease: Json = {"metadata": {"name": "l"}, "spec": spec}
    made = await api.post(LEASES, lease)
    assert made.body["spec"] == spec
    taken = {**made.body, "spec": {**spec, "holderIdentity": "b"}}
    assert (await api.put(f"{LEASES}/l", taken)).code == 200
    assert (await api.put(f"{LEASES}/l", taken)).code == 409


async def test_token_and_access_reviews(api: Probe, server: FakeApiServer) -> None:
    server.reviews.users["good"] = "prometheus"
    server.reviews.may = lambda spec: spec["user"] == "prometheus"
    tokens = "/apis/authentication.k8s.io/v1/tokenreviews"
    good = await api.post(tokens, {"spec": {"token": "good"}})
    assert good.body["status"] == {"authenticated": True, "user": {"username": "prometheus"}}
    bad = await api.post(tokens, {"spec": {"token": "bad"}})
    assert "authenticated" not in bad.body["status"]
    access = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    for user, allowed in (("prometheus", True), ("eve", False)):
        reply = await api.post(access, {"spec": {"user": user}})
        assert (reply.code, reply.body["status"]) == (201, {"allowed": allowed})
    assert (await api.post(access, {})).code == 422
    assert (await api.post(tokens, {"spec": {}})).code == 400
    assert (await api.post(tokens, [])).code == 400


async def test_the_request_log_counts_by_verb_resource_and_code(
    api: Probe, server: FakeApiServer, claim: Json
) -> None:
    await api.post(CLAIMS, as_sent(a_claim()))
    await api.merge_patch(f"{CLAIMS}/claim/status", {"status": {"sandbox": {"name": "w"}}})
    await api.get(CLAIMS)
    log = server.requests
    assert log.count(verb="create", resource=CLAIM_RESOURCE) == 2
    assert log.count(verb="create", code=409) == 1
    assert log.count(verb="patch", subresource="status") == 1
    assert log.count(verb="list") == 1
    assert (log.writes(), log.count()) == (3, 4)
    assert [entry.verb for entry in log.last] == ["create", "create", "patch", "list"]
    log.clear()
    assert log.count() == 0
