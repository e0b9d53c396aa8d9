"""Gives the controller's user what config/rbac gives the controller's account, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from e2e.controlplane.api import ApiSession, Object
from e2e.controlplane.objects import documents

_RBAC = Path(__file__).resolve().parent.parent.parent / "config" / "rbac"
_PARTS = ("manager", "sandboxes", "claims", "pools", "templates", "webhook")
_GROUP = "rbac.authorization.k8s.io"
_PATH = f"/apis/{_GROUP}/v1"


def grant(api: ApiSession, user: str) -> None:
    """Apply the ClusterRoles of config/rbac and bind them to a user. May be called again.

    The Role for the Lease is left out: see `grant_lease`.
    Raises ApiError when the server refuses a manifest.
    """
    for role in _roles("ClusterRole"):
        _bind(api, user, role, _PATH)


def grant_lease(api: ApiSession, user: str, namespace: str) -> None:
    """The same for the Role that leader election needs, in a namespace of one's choice."""
    for role in _roles("Role"):
        placed = role | {"metadata": role["metadata"] | {"namespace": namespace}}
        _bind(api, user, placed, f"{_PATH}/namespaces/{namespace}")


def grant_account(
    api: ApiSession, namespace: str, account: str, *, lacks: Sequence[tuple[str, str]] = ()
) -> None:
    """Give a service account the ClusterRoles of config/rbac as one of its own, but for these pairs
    of a verb and a plural. May be called again, with others."""
    rules = [
        {**rule, "resources": [plural], "verbs": verbs}
        for role in _roles("ClusterRole")
        for rule in role["rules"]
        for plural in rule["resources"]
        if (verbs := [verb for verb in rule["verbs"] if (verb, plural) not in lacks])
    ]
    name = f"e2e-{namespace}-{account}"
    role = {"apiVersion": f"{_GROUP}/v1", "kind": "ClusterRole", "metadata": {"name": name}}
    # Replaced as a whole: what is applied twice by one manager loses what is left out.
    api.apply(f"{_PATH}/clusterroles/{name}", role | {"rules": rules})
    binding: dict[str, Any] = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }
    api.apply(f"{_PATH}/clusterrolebindings/{name}", binding)


def _bind(api: ApiSession, user: str, role: Object, folder: str) -> None:
    """Apply a role and its binding to the user, both below the path `folder`."""
    kind, name = role["kind"], role["metadata"]["name"]
    api.apply(f"{folder}/{kind.lower()}s/{name}", role)
    binding: dict[str, Any] = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": f"{kind}Binding",
        "metadata": role["metadata"] | {"name": f"e2e-{user}-{name}"},
        "roleRef": {"apiGroup": _GROUP, "kind": kind, "name": name},
        "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": user}],
    }
    api.apply(f"{folder}/{kind.lower()}bindings/{binding['metadata']['name']}", binding)


def _roles(kind: str) -> Iterator[Object]:
    files = [file for part in _PARTS for file in sorted((_RBAC / part).glob("*role.yaml"))]
    return (one for one in documents(files) if one["kind"] == kind)
