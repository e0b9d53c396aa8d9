"""Namespaces in which the tenants' guard is in force, and the users who try it.

`mallory` may write whatever is of a namespace: its claims, pools, templates, sandboxes and their
pods, with each status. `viewer`, `editor` and `owner` have the roles view, edit and admin of
Kubernetes, with what config/components/tenant-roles adds to them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec

import pytest
from e2e.burst.process import ControllerProcess
from e2e.burst.tenant import Tenant
from e2e.cluster import ControlPlane
from e2e.controlplane.api import ApiError, ApiSession, Object
from e2e.controlplane.failures import wait_until
from e2e.controlplane.objects import create_namespace

from warmclaim.loadtest.objects import CLAIMS, claim_body, path

COMPONENTS = ("components/tenant-guard", "components/tenant-roles")
MALLORY, VIEWER, EDITOR, OWNER = "mallory", "viewer", "editor", "owner"
USERS: Mapping[str, tuple[str, ...]] = {MALLORY: (), VIEWER: (), EDITOR: (), OWNER: ()}
_ROLES = {VIEWER: "view", EDITOR: "edit", OWNER: "admin"}
_RBAC = "rbac.authorization.k8s.io"
_ALL = ["get", "list", "create", "update", "patch", "delete"]
_KINDS = ["sandboxclaims", "sandboxwarmpools"]
# By name and not "*", which would hold the finalizers, too.
_RULES = [
    {"apiGroups": ["extensions.agents.x-k8s.io"], "verbs": _ALL,
     "resources": [*_KINDS, *(f"{kind}/status" for kind in _KINDS), "sandboxtemplates"]},
    {"apiGroups": ["agents.x-k8s.io"], "verbs": _ALL,
     "resources": ["sandboxes", "sandboxes/status"]},
    {"apiGroups": [""], "verbs": _ALL,
     "resources": ["pods", "services", "persistentvolumeclaims", "configmaps"]},
]  # fmt: skip
FIRST_ACT_S_MAX = 20.0
P = ParamSpec("P")


class Guarded:
    """A cluster with the guard in force, whose manager runs."""

    def __init__(
        self, cluster: ControlPlane, manager: ControllerProcess, user: str, manifests: str
    ) -> None:
        """`user`: whom the manager acts as; `manifests`: the kustomization that is installed."""
        self.cluster = cluster
        self.api = cluster.api
        self.manager = manager
        self.manager_user = user
        self.manifests = manifests
        self._numbers = itertools.count(1)
        self._sessions = {name: cluster.session(name) for name in USERS}

    def close(self) -> None:
        """Close the users' connections."""
        for session in self._sessions.values():
            session.close()

    def user(self, name: str) -> ApiSession:
        """The session of one of USERS."""
        return self._sessions[name]

    def team(self) -> Tenant:
        """A new namespace; returns when each of USERS has its rights there."""
        namespace = f"team-{next(self._numbers)}"
        create_namespace(self.api, namespace)
        folder = f"/apis/{_RBAC}/v1/namespaces/{namespace}"
        role: Object = {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "rules": _RULES}
        self.api.create(f"{folder}/roles", role | {"metadata": {"name": MALLORY}})
        self._bind(folder, MALLORY, "Role", MALLORY)
        for user, name in _ROLES.items():
            self._bind(folder, user, "ClusterRole", name)
        team = Tenant(self.api, namespace, self.manager)
        for user in USERS:
            self._wait_rights(team, user)
        return team

    def _bind(self, folder: str, user: str, kind: str, role: str) -> None:
        binding: Object = {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": user},
            "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": role},
            "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": user}],
        }
        self.api.create(f"{folder}/rolebindings", binding)

    def _wait_rights(self, team: Tenant, user: str) -> None:
        def lacking() -> str | None:
            code = self.user(user).status(team.path(CLAIMS))
            return None if code == 200 else f"{user} gets {code}"

        wait_until("rights", lacking, timeout_s=FIRST_ACT_S_MAX, interval_s=0.05)


def wait_in_force(api: ApiSession, namespace: str) -> None:
    """Wait until the API server knows the policies, which it learns some time after they are
    stored: the admin is no controller either."""
    body = claim_body("probe")
    body["metadata"]["labels"] = {"agents.x-k8s.io/sandbox-name": "x"}

    def lax() -> str | None:
        try:
            api.request("POST", path(namespace, CLAIMS), body, query={"dryRun": "All"})
        except ApiError as error:
            return None if "may set" in str(error) else str(error)
        return "it is let through"

    wait_until("policies", lax, timeout_s=FIRST_ACT_S_MAX, interval_s=0.1)


def denied(
    said: str | Sequence[str], call: Callable[P, object], *args: P.args, **kwargs: P.kwargs
) -> None:
    """Call what a policy must refuse, with these words."""
    with pytest.raises(ApiError) as refusal:
        call(*args, **kwargs)
    text = str(refusal.value)
    assert refusal.value.code == 403, text
    assert "ValidatingAdmissionPolicy 'agent-sandbox-" in text, text
    for words in [said] if isinstance(said, str) else said:
        assert words in text, text


def forbidden(call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call what RBAC must refuse."""
    with pytest.raises(ApiError) as refusal:
        call(*args, **kwargs)
    assert refusal.value.code == 403, refusal.value
    assert "cannot" in str(refusal.value), refusal.value
    assert "ValidatingAdmissionPolicy" not in str(refusal.value)
