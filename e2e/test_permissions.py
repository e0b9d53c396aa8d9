"""A manager whose role lacks one verb, on a real authorizer: it says which, and claims go on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from e2e.burst.process import ControllerProcess, warmclaim_command
from e2e.burst.rights import grant_account
from e2e.burst.tenant import Tenant
from e2e.cluster import ControlPlane
from e2e.controlplane.api import ApiSession, Object
from e2e.controlplane.failures import wait_until

from warmclaim.loadtest.objects import path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

POLICIES = "networkpolicies.networking.k8s.io"
EVENTS = "events.events.k8s.io"
ACCOUNT = "default"


def manager(cluster: ControlPlane, namespace: str, folder: Path) -> ControllerProcess:
    """One that runs as the namespace's account, and has its events there."""

    def command(kubeconfig: Path, probe_port: int) -> list[str]:
        flags = [f"--leader-election-namespace={namespace}", "--enable-webhook=false"]
        return [*warmclaim_command(kubeconfig, probe_port), *flags]

    return ControllerProcess(cluster.account_kubeconfig(namespace, ACCOUNT), folder, command)


def wait_readiness(
    controller: ControllerProcess, code: int, *lines: str, without: str = ""
) -> None:
    """Wait until /readyz?verbose answers with this code and these lines, and not with that one."""

    def lacking() -> str | None:
        probe = controller.probe()
        has_all = all(line in probe.text.splitlines() for line in lines)
        is_told = probe.code == code and has_all and (not without or without not in probe.text)
        return None if is_told else f"/readyz answers {probe.code}: {probe.text}"

    wait_until("readiness", lacking, timeout_s=50, log=controller.log, interval_s=0.1)


def told(api: ApiSession, namespace: str) -> list[Object]:
    """The events about missing permissions."""
    events: list[Object] = api.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")["items"]
    return [event for event in events if event["reason"] == "PermissionMissing"]


def wait_said_once(controller: ControllerProcess, missing: str) -> None:
    """Wait until the log says it; it must not say it twice."""
    line = f"permission missing: {missing};"
    controller.wait_logged(line)
    assert controller.log_text().count(line) == 1


def serve_claims(tenant: Tenant) -> None:
    tenant.pool(2)
    tenant.wait_pool(2)
    for number in range(3):
        tenant.claim(f"claim-{number}")
        tenant.wait_served(f"claim-{number}")


def test_a_verb_that_is_missing_is_told_and_claims_go_on(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    api = control_plane.api
    grant_account(api, namespace, ACCOUNT, lacks=[("create", "networkpolicies")])
    with manager(control_plane, namespace, tmp_path) as controller:
        controller.wait_ready()
        serve_claims(Tenant(api, namespace, controller))
        missing = f'create {POLICIES} in namespace "{namespace}"'
        wait_readiness(controller, 200, f"[!]permission missing: {missing}", "ok")
        wait_said_once(controller, missing)
        wait_until("event", lambda: None if told(api, namespace) else "none", timeout_s=20)
        (event,) = told(api, namespace)
        assert event["type"] == "Warning"
        assert event["regarding"]["kind"] == "Lease"
        assert missing in event["note"]

        grant_account(api, namespace, ACCOUNT)
        wait_readiness(controller, 200, "ok", without=missing)
        policies = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
        assert len(api.get(policies)["items"]) == 1
        wait_said_once(controller, missing)
        assert controller.stop() == []


@pytest.mark.parametrize(
    ("lacks", "missing"),
    [
        ([("list", "networkpolicies"), ("watch", "networkpolicies")], f"watch {POLICIES}"),
        ([("watch", "networkpolicies")], f"watch {POLICIES}"),
    ],
    ids=["list and watch", "watch"],
)
def test_a_kind_that_may_not_be_read_makes_it_unready_and_claims_go_on(
    control_plane: ControlPlane,
    namespace: str,
    tmp_path: Path,
    lacks: Sequence[tuple[str, str]],
    missing: str,
) -> None:
    api = control_plane.api
    grant_account(api, namespace, ACCOUNT, lacks=lacks)
    with manager(control_plane, namespace, tmp_path) as controller:
        line = f"[!]permission missing: {missing} at the cluster scope"
        wait_readiness(controller, 503, line, "[+]sandboxes.agents.x-k8s.io ok", "not ok")
        assert f"[-]{POLICIES}: not read yet: 403 Forbidden" in controller.probe().text
        serve_claims(Tenant(api, namespace, controller))
        wait_said_once(controller, f"{missing} at the cluster scope")
        wait_until("event", lambda: None if told(api, namespace) else "none", timeout_s=20)

        grant_account(api, namespace, ACCOUNT)
        controller.wait_ready(60)
        assert controller.stop() == []


def test_without_events_the_log_and_readiness_say_it_and_claims_go_on(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    api = control_plane.api
    grant_account(api, namespace, ACCOUNT, lacks=[("create", "events")])
    mark = control_plane.audit_mark()
    with manager(control_plane, namespace, tmp_path) as controller:
        controller.wait_ready()
        serve_claims(Tenant(api, namespace, controller))
        missing = f'create {EVENTS} in namespace "{namespace}"'
        wait_readiness(controller, 200, f"[!]permission missing: {missing}", "ok")
        wait_said_once(controller, missing)
        control_plane.audit_settle()
        user = f"system:serviceaccount:{namespace}:{ACCOUNT}"
        events = [e for e in control_plane.audit_events(mark, user=user) if e.resource == "events"]
        assert {event.code for event in events} == {403}
        mine = [event for event in events if event.namespace == namespace]
        assert len(mine) == 1, "then the namespace is left alone for a minute"
        assert controller.stop() == []


def test_a_namespace_that_ends_is_left_alone(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """A finalizer of others holds it up while its templates are edited."""
    api = control_plane.api
    grant_account(api, namespace, ACCOUNT)
    ending = f"{namespace}-ending"
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace",
                                      "metadata": {"name": ending}})  # fmt: skip
    held = f"{path(ending, 'sandboxtemplates')}/burst"
    with manager(control_plane, namespace, tmp_path) as controller:
        controller.wait_ready()
        tenant = Tenant(api, ending, controller)
        tenant.pool(0)
        policies = f"/apis/networking.k8s.io/v1/namespaces/{ending}/networkpolicies"
        wait_until("policy", lambda: None if api.get(policies)["items"] else "none", timeout_s=20)
        api.merge(held, {"metadata": {"finalizers": ["example.com/held"]}})
        mark = control_plane.audit_mark()
        api.delete(f"/api/v1/namespaces/{ending}")
        wait_until(
            "policy gone", lambda: "there" if api.get(policies)["items"] else None, timeout_s=30
        )
        for number in range(5):
            api.merge(held, {"metadata": {"annotations": {"example.com/edit": str(number)}}})
        serve_claims(Tenant(api, namespace, controller))
        control_plane.audit_settle()
        user = f"system:serviceaccount:{namespace}:{ACCOUNT}"
        refused = [
            (e.verb, e.resource)
            for e in control_plane.audit_events(mark, user=user)
            if e.namespace == ending and e.code == 403
        ]
        assert len([one for one in refused if one[1] == "networkpolicies"]) <= 6, "no retries"
        assert len([one for one in refused if one[1] == "events"]) <= 1
        assert "permission missing" not in controller.log.read_text()
        api.merge(held, {"metadata": {"finalizers": []}})
        assert controller.stop() == []


def test_the_no_of_a_quota_or_of_pod_security_is_no_missing_permission(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    api = control_plane.api
    grant_account(api, namespace, ACCOUNT)
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.merge(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": restricted}})
    set_quota(api, namespace, {"count/sandboxes.agents.x-k8s.io": "1"})
    mark = control_plane.audit_mark()
    user = f"system:serviceaccount:{namespace}:{ACCOUNT}"

    def refused() -> set[str]:
        events = control_plane.audit_events(mark, user=user)
        return {e.resource for e in events if e.code == 403 and e.verb == "create"}

    with manager(control_plane, namespace, tmp_path) as controller:
        controller.wait_ready()
        Tenant(api, namespace, controller).pool(3)
        wait_until(
            "refusals",
            lambda: None if refused() >= {"pods", "sandboxes"} else f"only {refused()}",
            timeout_s=30,
        )
        wait_readiness(controller, 200, "ok", without="permission missing")
        assert "permission missing" not in controller.log.read_text()
        assert told(api, namespace) == []
        assert controller.stop() == []


def set_quota(api: ApiSession, namespace: str, hard: Object) -> None:
    """A quota that is in force: the cluster here has no controller that counts what is used."""
    quotas = f"/api/v1/namespaces/{namespace}/resourcequotas"
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}}
    api.create(quotas, quota | {"spec": {"hard": hard}})
    api.merge(f"{quotas}/q/status", {"status": {"hard": hard, "used": dict.fromkeys(hard, "0")}})
