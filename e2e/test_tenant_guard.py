"""The tenants' guard on a real API server: hostile writes are refused, and claims go on.

G1 to G8 are the attacks of docs/security.md. Each test has a namespace in which `mallory` may write
all kinds, with their status: what stops her is the policies.
"""

from __future__ import annotations

import pytest
from e2e.burst.guarded import (
    EDITOR,
    MALLORY,
    OWNER,
    Guarded,
    denied,
    forbidden,
)
from e2e.burst.tenant import Tenant, ready_status, sandbox_body
from e2e.controlplane.api import ApiError, ApiSession, Object
from e2e.test_install import gone
from tests.hostile.inputs import Ground, Send
from tests.hostile.sandbox_owners import forged_owners, owner

from warmclaim.api import names
from warmclaim.loadtest.objects import (
    CLAIMS,
    EXTENSIONS_API,
    PODS,
    POOLS,
    SANDBOXES,
    TEMPLATES,
    claim_body,
    pool_body,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]

MARKS = "agent-sandbox-controllers) may set, change or remove"
OWNERS = "agent-sandbox-controllers) may make claims and pools owners"
OUR_GROUP = f"'apiVersion': '{names.EXTENSIONS_GROUP}/"
SPEC = "agent-sandbox-controllers) may change the spec of a sandbox that waits in a pool"
STATUS = "agent-sandbox-controllers) may write the status of"


@pytest.fixture
def team(guarded: Guarded) -> Tenant:
    """A namespace in which nothing is yet."""
    return guarded.team()


@pytest.fixture
def mallory(guarded: Guarded) -> ApiSession:
    return guarded.user(MALLORY)


def a_member(team: Tenant) -> Object:
    """A warm sandbox of a pool of one."""
    team.pool(1)
    team.wait_pool(1)
    (member,) = team.api.get(team.path(SANDBOXES))["items"]
    found: Object = member
    return found


def with_marks(body: Object, part: str, marks: dict[str, str]) -> Object:
    """The body with these labels or annotations in its metadata."""
    return body | {"metadata": body["metadata"] | {part: marks}}


def test_g1_nobody_labels_a_sandbox_of_his_own_as_a_member(
    team: Tenant, mallory: ApiSession
) -> None:
    member = a_member(team)
    marks: dict[str, str] = member["metadata"]["labels"]
    assert len(marks) >= 6
    sandboxes, of_pool = team.path(SANDBOXES), team.path(SANDBOXES, member["metadata"]["name"])
    own = sandbox_body("own", labels={"team": "x"}, annotations={"note": "y"})
    mallory.create(sandboxes, own)
    for key, value in (marks | {names.LABEL_CLAIM_UID: "u"}).items():
        made = sandbox_body("made", labels={key: value})
        denied((MARKS, key), mallory.create, sandboxes, made)
        change = {"metadata": {"labels": {key: value}}}
        denied((MARKS, key), mallory.merge, f"{sandboxes}/own", change)
        inner = {"spec": {"podTemplate": {"metadata": {"labels": {key: value}}}}}
        denied((MARKS, key), mallory.merge, f"{sandboxes}/own", inner)
        lost = {"metadata": {"labels": {key: None}}}
        if key in marks:
            denied((MARKS, key), mallory.merge, of_pool, lost)
    mallory.merge(f"{sandboxes}/own", {"metadata": {"labels": {"team": "z"}}})
    of_template = {"metadata": {"labels": {names.LABEL_TEMPLATE_REF: "00000000"}}}
    denied(MARKS, mallory.merge, team.path(TEMPLATES, "burst"), of_template)


def test_g1_nobody_makes_a_pod_pass_for_a_sandboxes(team: Tenant, mallory: ApiSession) -> None:
    """Its Service selects by that label."""
    a_member(team)
    (pod,) = team.api.get(team.path(PODS))["items"]
    tracked = pod["metadata"]["labels"][names.LABEL_NAME_HASH]
    other: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "other", "labels": {"team": "x"}},
        "spec": {"containers": [{"name": "c", "image": "c"}]},
    }
    label = {names.LABEL_NAME_HASH: tracked}
    denied(MARKS, mallory.create, team.path(PODS), with_marks(other, "labels", label))
    mallory.create(team.path(PODS), other)
    change = {"metadata": {"labels": label}}
    denied(MARKS, mallory.merge, team.path(PODS, "other"), change)
    lost = {"metadata": {"labels": {names.LABEL_NAME_HASH: None}}}
    denied(MARKS, mallory.merge, team.path(PODS, pod["metadata"]["name"]), lost)


def test_g2_nobody_forges_a_pool_as_the_owner(team: Tenant, mallory: ApiSession) -> None:
    """Every form of it that the API admits, with the labels of a member and without."""
    pool_uid = team.pool(1, "pool")["metadata"]["uid"]
    team.wait_pool(1, "pool")
    ground = Ground(team.namespace, pool_uid, "elsewhere", "0f0e0d0c-0000-4000-8000-000000000000")
    seen: dict[int, int] = {}
    for one in (one for one in forged_owners() if one.is_for_http):
        (step,) = one.build(ground)
        assert isinstance(step, Send)
        assert isinstance(step.body, dict)
        metadata = step.body["metadata"]
        plain = step.body | {"metadata": metadata | {"labels": {}}}
        for body in (step.body, plain):
            code = dry_run(mallory, team.path(SANDBOXES), body)
            seen[code] = seen.get(code, 0) + 1
            is_ours = f"'apiVersion': '{names.EXTENSIONS_GROUP}/" in str(
                metadata["ownerReferences"]
            )
            assert code >= 400 or (body is plain and not is_ours), f"{one}: {code}"
    assert seen[403] >= 50, seen

    genuine = {"metadata": {"ownerReferences": [owner(ground)]}}
    forged = sandbox_body("x", **genuine["metadata"])
    denied(OWNERS, mallory.create, team.path(SANDBOXES), forged)
    mallory.create(team.path(SANDBOXES), sandbox_body("own"))
    mallory.merge(team.path(SANDBOXES, "own"), {"metadata": {"finalizers": ["example.com/x"]}})
    denied(OWNERS, mallory.merge, team.path(SANDBOXES, "own"), genuine)
    mallory.merge(team.path(SANDBOXES, "own"), {"metadata": {"finalizers": []}})
    team.claim("good", "pool")
    assert team.wait_served("good") not in ("own", "good")


def dry_run(api: ApiSession, collection: str, body: Object) -> int:
    try:
        api.request("POST", collection, body, query={"dryRun": "All"})
    except ApiError as error:
        return error.code
    return 201


CHANGES: dict[str, Object] = {
    "image": {"podTemplate": {"spec": {"containers": [{"name": "agent", "image": "evil"}]}}},
    "host path": {"podTemplate": {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}}},
    "host network": {"podTemplate": {"spec": {"hostNetwork": True}}},
    "account": {"podTemplate": {"spec": {"serviceAccountName": "default"}}},
    "annotation": {"podTemplate": {"metadata": {"annotations": {"note": "x"}}}},
    "service": {"service": True},
    "suspended": {"operatingMode": "Suspended"},
    "ends": {"shutdownTime": "2099-01-01T00:00:00Z", "shutdownPolicy": "Delete"},
}


def test_g3_nobody_changes_a_warm_sandbox_before_it_is_given(
    team: Tenant, mallory: ApiSession
) -> None:
    member = a_member(team)
    name = member["metadata"]["name"]
    path = team.path(SANDBOXES, name)
    for spec in CHANGES.values():
        denied(SPEC, mallory.merge, path, {"spec": spec})
    whole = team.get(SANDBOXES, name) | {"spec": member["spec"] | CHANGES["suspended"]}
    denied(SPEC, mallory.request, "PUT", path, whole)
    owners: Object = {"metadata": {"ownerReferences": []}}
    denied("change the owners of what they own", mallory.merge, path, owners)
    denied(STATUS, mallory.merge, f"{path}/status", {"status": ready_status()})
    assert team.get(SANDBOXES, name)["spec"] == member["spec"]
    mallory.merge(path, {"metadata": {"labels": {"team": "x"}}})

    team.claim("good")
    assert team.wait_served("good") == name
    mallory.merge(path, {"spec": {"operatingMode": "Suspended"}})  # now it is a user's
    claims_mark = {"metadata": {"labels": {names.LABEL_CLAIM_UID: "another"}}}
    denied(MARKS, mallory.merge, path, claims_mark)
    denied("change the owners of what they own", mallory.merge, path, owners)


GUARDED_ON_CLAIMS = (
    ("annotations", names.ASSIGNED_SANDBOX),
    ("labels", names.ASSIGNED_SANDBOX),
    ("annotations", names.ANNOTATION_CONTROLLER_OBSERVED),
    ("annotations", names.ANNOTATION_FIRST_READY),
    ("annotations", names.ANNOTATION_RESERVATION),
)
CLIENTS = {
    names.ANNOTATION_CLIENT_REQUESTED: "2026-01-01T00:00:00Z",
    names.ANNOTATION_WEBHOOK_OBSERVED: "2026-01-01T00:00:00Z",
    names.ANNOTATION_TRACE_CONTEXT: "{}",
    "agents.x-k8s.io/storage-migrated-at": "2026-01-01T00:00:00Z",
    "api.agents.x-k8s.io/v1alpha1-sandboxclaim-state": "{}",
}


def test_g4_nobody_notes_what_controllers_note(team: Tenant, mallory: ApiSession) -> None:
    name = a_member(team)["metadata"]["name"]
    claims = team.path(CLAIMS)
    good = with_marks(claim_body("good"), "labels", {names.LABEL_CREATED_BY: "go-client"})
    good["metadata"]["annotations"] = CLIENTS
    mallory.create(claims, good)  # what clients and the migration write stays theirs
    assert team.wait_served("good") == name
    for part, key in GUARDED_ON_CLAIMS:
        made = with_marks(claim_body("made"), part, {key: name})
        denied((MARKS, key), mallory.create, claims, made)
        change = {"metadata": {part: {key: "x"}}}
        denied((MARKS, key), mallory.merge, f"{claims}/good", change)
    reservation = {"metadata": {"annotations": {names.ANNOTATION_RESERVATION: '{"first":0}'}}}
    denied(MARKS, mallory.merge, team.path(POOLS, "burst"), reservation)
    lost = {"metadata": {"annotations": {names.ANNOTATION_RESERVATION: None}}}
    denied(MARKS, mallory.merge, team.path(POOLS, "burst"), lost)
    mallory.merge(f"{claims}/good", {"metadata": {"annotations": {"note": "mine"}}})


def test_g5_nobody_writes_a_status_to_point_elsewhere(
    guarded: Guarded, team: Tenant, mallory: ApiSession
) -> None:
    a_member(team)
    team.claim("victim")
    before = team.wait_claim("victim", status="True")["status"]
    status: Object = {"status": {"sandbox": {"name": "evil", "podIPs": ["10.9.9.9"]}}}
    path = team.path(CLAIMS, "victim", "status")
    denied((STATUS, "sandboxclaims"), mallory.merge, path, status)
    counts = {"status": {"readyReplicas": 99}}
    denied(STATUS, mallory.merge, team.path(POOLS, "burst", "status"), counts)
    sandbox = team.path(SANDBOXES, before["sandbox"]["name"], "status")
    denied(STATUS, mallory.merge, sandbox, {"status": ready_status()})
    for user in (EDITOR, OWNER):
        forbidden(guarded.user(user).merge, path, status)
    made = claim_body("made") | status
    mallory.create(team.path(CLAIMS), made)
    assert team.wait_served("made") != "evil"
    assert team.get(CLAIMS, "victim")["status"]["sandbox"] == before["sandbox"]


def test_g6_a_claim_reaches_no_pool_of_another_namespace(
    guarded: Guarded, team: Tenant, mallory: ApiSession
) -> None:
    member = a_member(team)
    theirs = guarded.team()
    for number, pool in enumerate(["burst", f"{team.namespace}/burst", f"../{team.namespace}"]):
        theirs.claim(f"reach-{number}", pool)
        theirs.wait_claim(f"reach-{number}", status="False", reason="WarmPoolNotFound")
    reference = {"name": "burst", "namespace": team.namespace}
    body = claim_body("named") | {"spec": {"warmPoolRef": reference}}
    with pytest.raises(ApiError, match="unknown field"):
        mallory.request("POST", theirs.path(CLAIMS), body, query={"fieldValidation": "Strict"})
    mallory.create(theirs.path(CLAIMS), body)
    theirs.wait_claim("named", status="False", reason="WarmPoolNotFound")
    mallory.create(theirs.path(POOLS), pool_body(1))  # its template is in the other namespace
    theirs.wait_claim("named", status="False", reason="TemplateNotFound")
    assert theirs.api.get(theirs.path(SANDBOXES))["items"] == []
    now = team.get(SANDBOXES, member["metadata"]["name"])["metadata"]
    assert now["ownerReferences"] == member["metadata"]["ownerReferences"]


def test_g7_a_sandbox_under_a_claims_name_is_left_alone_and_named(
    team: Tenant, mallory: ApiSession
) -> None:
    mallory.create(team.path(SANDBOXES), sandbox_body("wanted"))
    team.pool(0)
    before = team.get(SANDBOXES, "wanted")["metadata"]
    team.claim("wanted")
    claim = team.wait_claim("wanted", status="False", reason="ReconcilerError")
    assert 'sandbox "wanted" exists and does not belong to this claim' in str(claim["status"])
    now = team.get(SANDBOXES, "wanted")["metadata"]
    assert (now["uid"], now.get("ownerReferences")) == (before["uid"], None)
    mallory.delete(team.path(SANDBOXES, "wanted"))
    assert team.wait_served("wanted") == "wanted"


def test_g8_nobody_becomes_the_owner_of_a_claim_or_holds_it_up(
    guarded: Guarded, team: Tenant, mallory: ApiSession
) -> None:
    team.pool(1)
    team.claim("victim")
    claim = team.wait_claim("victim", status="True")
    configs = f"/api/v1/namespaces/{team.namespace}/configmaps"
    mine = mallory.create(configs, config_map("mine"))
    to_mine = reference("v1", "ConfigMap", mine)
    for plural, name in ((CLAIMS, "victim"), (POOLS, "burst")):
        owned = {"metadata": {"ownerReferences": [to_mine]}}
        denied(OWNERS, mallory.merge, team.path(plural, name), owned)
    holding = reference(EXTENSIONS_API, "SandboxClaim", claim) | {"blockOwnerDeletion": True}
    body = config_map("holds", holding)
    denied("blockOwnerDeletion needs the right", mallory.create, configs, body)
    mallory.create(configs, config_map("goes", holding | {"blockOwnerDeletion": False}))
    change = {"metadata": {"ownerReferences": [holding]}}
    denied("blockOwnerDeletion needs the right", mallory.merge, f"{configs}/goes", change)
    other = claim_body("other")
    other["metadata"]["ownerReferences"] = [holding]
    denied(OWNERS, mallory.create, team.path(CLAIMS), other)

    team.api.create(configs, config_map("admins", holding))  # who may update finalizers may
    other["metadata"]["ownerReferences"] = [to_mine]
    mallory.create(team.path(CLAIMS), other)  # its maker says whose it is
    mallory.delete(f"{configs}/mine")
    gone(guarded.cluster, team.path(CLAIMS, "other"))
    mallory.delete(team.path(CLAIMS, "victim"), propagation="Foreground")
    gone(guarded.cluster, f"{configs}/goes")


def config_map(name: str, *owners: Object) -> Object:
    metadata: Object = {"name": name, "ownerReferences": list(owners)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def reference(api_version: str, kind: str, thing: Object) -> Object:
    metadata = thing["metadata"]
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
