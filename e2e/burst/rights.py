"""Gives the controller's user what config/rbac gives the controller's account, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from e2e.controlplane.api import ApiSession, Object
from e2e.controlplane.objects import documents

_RBAC = Path(__file__).resolve().parent.parent.parent / "config" / "rbac"
_GROUP = "rbac.authorization.k8s.io"
_PATH = f"/apis/{_GROUP}/v1"


def grant(api: ApiSession, user: str) -> None:
    """Apply the ClusterRoles of config/rbac and bind them to a user. May be called again.

    The Role for the Lease is left out: the controller under test runs without one.
    Raises ApiError when the server refuses a manifest.
    """
    for role in _cluster_roles():
        name = role["metadata"]["name"]
        api.apply(f"{_PATH}/clusterroles/{name}", role)
        binding: dict[str, Any] = {
            "apiVersion": f"{_GROUP}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"e2e-{user}-{name}"},
            "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": user}],
        }
        api.apply(f"{_PATH}/clusterrolebindings/{binding['metadata']['name']}", binding)


def _cluster_roles() -> Iterator[Object]:
    return (one for one in documents([_RBAC]) if one["kind"] == "ClusterRole")
