"""With the tenants' guard in force: the manager does its work, and tenants what their role says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from e2e.burst.guarded import EDITOR, MALLORY, OWNER, VIEWER, Guarded, forbidden, wait_in_force
from e2e.burst.tenant import Tenant, sandbox_body
from e2e.cluster import ADMIN
from e2e.controlplane.api import ApiError, Object
from e2e.controlplane.failures import wait_until
from e2e.controlplane.manifests import kustomized
from e2e.test_install import POOL, gone, refused, serve_burst

from warmclaim.api.names import ASSIGNED_SANDBOX
from warmclaim.loadtest.objects import (
    CLAIMS,
    PODS,
    POOLS,
    SANDBOXES,
    TEMPLATES,
    claim_body,
    pool_body,
    template_body,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]

OWN = "/api/v1/namespaces/agent-sandbox-system"


@pytest.fixture
def team(guarded: Guarded) -> Tenant:
    """A namespace in which nothing is yet."""
    return guarded.team()


def test_the_manager_serves_a_burst_and_all_of_it_goes(guarded: Guarded, team: Tenant) -> None:
    """Refill, an end by time, deletion by the garbage collector, the end of the namespace."""
    mark = guarded.cluster.audit_mark()
    serve_burst(team)
    team.wait_pool(POOL)
    deleted = team.get(CLAIMS, "claim-0")["status"]["sandbox"]["name"]
    team.api.delete(team.path(CLAIMS, "claim-0"))
    gone(guarded.cluster, team.path(SANDBOXES, deleted))
    gone(guarded.cluster, team.path(PODS, deleted))

    ending = claim_body("ending")
    soon = datetime.now(UTC) + timedelta(seconds=1)
    ending["spec"]["lifecycle"] = {
        "shutdownTime": soon.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "shutdownPolicy": "DeleteForeground",
    }
    team.api.create(team.path(CLAIMS), ending)
    gone(guarded.cluster, team.path(CLAIMS, "ending"))

    team.api.delete(team.path(POOLS, "burst"), propagation="Orphan")
    wait_until("orphans", lambda: still_owned(team), timeout_s=20)
    # Later, what is made in a namespace that ends is refused, whoever makes it.
    assert refused(guarded.cluster, mark, guarded.manager_user) == []
    team.api.delete(f"/api/v1/namespaces/{team.namespace}")
    gone(guarded.cluster, f"/api/v1/namespaces/{team.namespace}")


def still_owned(team: Tenant) -> str | None:
    """Whether any sandbox still names a pool as its owner, which the collector takes away."""
    found = [
        one["metadata"]["name"]
        for one in team.api.get(team.path(SANDBOXES))["items"]
        if any(o["kind"] == "SandboxWarmPool" for o in one["metadata"].get("ownerReferences", []))
    ]
    return f"{len(found)} have an owner" if found else None


def test_the_api_server_finds_no_fault_with_the_policies(guarded: Guarded) -> None:
    """It checks their expressions against the schemas of all kinds that they match."""
    policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"

    def unchecked() -> str | None:
        found = guarded.api.get(policies)["items"]
        names = [one["metadata"]["name"] for one in found if "typeChecking" not in one["status"]]
        return ", ".join(names) or None

    wait_until("type checking", unchecked, timeout_s=20)
    found = guarded.api.get(policies)["items"]
    assert len(found) == 4
    assert [one["status"]["typeChecking"] for one in found] == [{}] * 4


def test_who_may_view_sees_all_kinds_and_writes_none(guarded: Guarded, team: Tenant) -> None:
    user = guarded.user(VIEWER)
    for plural in (CLAIMS, POOLS, TEMPLATES, SANDBOXES):
        assert user.get(team.path(plural))["items"] == []
    forbidden(user.create, team.path(CLAIMS), claim_body("c"))


def test_who_may_edit_has_claims_and_no_status_or_sandbox(guarded: Guarded, team: Tenant) -> None:
    user = guarded.user(EDITOR)
    team.pool(1)
    team.wait_pool(1)
    user.create(team.path(CLAIMS), claim_body("mine"))
    sandbox = team.wait_served("mine")
    user.merge(team.path(CLAIMS, "mine"), {"metadata": {"labels": {"team": "x"}}})
    assert user.get(team.path(SANDBOXES, sandbox))["status"]["podIPs"]
    nothing: Object = {"status": {}}
    forbidden(user.merge, team.path(CLAIMS, "mine", "status"), nothing)
    forbidden(user.merge, team.path(SANDBOXES, sandbox), {"spec": {}})
    forbidden(user.create, team.path(SANDBOXES), sandbox_body("s"))
    forbidden(user.create, team.path(TEMPLATES), template_body())
    forbidden(user.merge, team.path(POOLS, "burst"), {"spec": {"replicas": 9}})
    user.delete(team.path(CLAIMS, "mine"))
    gone(guarded.cluster, team.path(SANDBOXES, sandbox))


def test_who_is_admin_of_a_namespace_has_pools_and_templates(
    guarded: Guarded, team: Tenant
) -> None:
    user = guarded.user(OWNER)
    user.create(team.path(TEMPLATES), template_body())
    user.create(team.path(POOLS), pool_body(1))
    user.merge(team.path(POOLS, "burst", "scale"), {"spec": {"replicas": 2}})
    team.wait_pool(2)
    user.create(team.path(CLAIMS), claim_body("mine"))
    sandbox = team.wait_served("mine")
    nothing: Object = {"status": {}}
    for plural, name in ((CLAIMS, "mine"), (POOLS, "burst"), (SANDBOXES, sandbox)):
        forbidden(user.merge, team.path(plural, name, "status"), nothing)
    forbidden(user.delete, team.path(SANDBOXES, sandbox))


def test_without_the_list_of_controllers_nobody_writes_what_is_theirs(
    guarded: Guarded, team: Tenant
) -> None:
    """Nor anything on claims; pods that are no sandbox's go on. With the list all does."""
    (listed,) = [one for one in kustomized(guarded.manifests) if is_list(one)]
    path = f"{OWN}/configmaps/{listed['metadata']['name']}"
    team.pool(1)
    team.wait_pool(1)
    guarded.api.delete(path)
    try:
        wait_until("refusal", lambda: let_through(team), timeout_s=20, interval_s=0.1)
        pod: Object = {"containers": [{"name": "c", "image": "c"}]}
        plain: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "plain"}}
        guarded.user(MALLORY).create(team.path(PODS), plain | {"spec": pod})
    finally:
        guarded.api.create(f"{OWN}/configmaps", listed)
    wait_in_force(guarded.api, team.namespace)
    team.claim("after")
    assert team.wait_served("after") != "after"


def test_a_manager_that_is_not_listed_says_so_and_goes_on_once_it_is(
    guarded: Guarded, team: Tenant
) -> None:
    """In its log: it may not write a status either."""
    team.pool(1)
    team.wait_pool(1)
    path = f"{OWN}/configmaps/agent-sandbox-controllers"
    guarded.api.merge(path, {"data": {"manager": ADMIN}})
    told = "denied request: only controllers (ConfigMap agent-sandbox-system/agent-s"

    def unsaid() -> str | None:
        lines = guarded.manager.log.read_text().splitlines()
        found = any(told in line and f"{team.namespace}/claim" in line for line in lines)
        return None if found else "not in the log"

    try:
        wait_until("list", lambda: guarded_still(team), timeout_s=20, interval_s=0.1)
        team.claim("claim")
        wait_until("log", unsaid, timeout_s=20)
        assert "status" not in team.get(CLAIMS, "claim")
        assert guarded.manager.probe().code == 200
    finally:
        guarded.api.merge(path, {"data": {"manager": guarded.manager_user}})
    assert team.wait_served("claim") != "claim"


def guarded_still(team: Tenant) -> str | None:
    """Whether the admin, who was put on the list, is refused as others are."""
    body = claim_body("probe")
    body["metadata"]["labels"] = {ASSIGNED_SANDBOX: "x"}
    try:
        team.api.request("POST", team.path(CLAIMS), body, query={"dryRun": "All"})
    except ApiError as error:
        return str(error)
    return None


def is_list(thing: Object) -> bool:
    return bool(thing["kind"] == "ConfigMap")


def let_through(team: Tenant) -> str | None:
    """Whether a claim is let through while the list is missing."""
    body = claim_body("lost")
    try:
        team.api.request("POST", team.path(CLAIMS), body, query={"dryRun": "All"})
    except ApiError as error:
        return None if "no params found" in str(error) else str(error)
    return "it is let through"
