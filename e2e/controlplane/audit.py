"""What the API server is to write into its audit log."""

from __future__ import annotations

from typing import Any

from e2e.controlplane.credentials import CONTROLLER_MANAGER, KWOK, SCHEDULER

_READS = ["get", "list", "watch"]


def audit_policy() -> dict[str, Any]:
    """Everything at level Metadata, but probes and the reads of the control plane itself.

    Bodies would double the work of the API server; who asked for what needs none.
    """
    machinery = ["system:apiserver", CONTROLLER_MANAGER, SCHEDULER, KWOK]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [
            {"level": "None", "nonResourceURLs": ["/readyz*", "/livez*", "/healthz*"]},
            {"level": "None", "users": machinery, "verbs": _READS},
            {"level": "Metadata"},
        ],
    }
