"""Secrets beside the manager, as its operator gives them to who reads its metrics."""

from __future__ import annotations

import base64
import time
from pathlib import Path

from e2e.burst.installed import OWN
from e2e.cluster import ControlPlane
from e2e.controlplane.failures import wait_until
from e2e.monitoring.replica import SERVICE

from warmclaim.webhook.certificates import issue

_SECRETS = f"/api/v1/namespaces/{OWN}/secrets"
_GIVEN_S = 20.0


def give_certificate(cluster: ControlPlane, name: str, folder: Path) -> Path:
    """One for the Service, in a Secret of this name, and as the files that a pod mounts of it."""
    folder.mkdir()
    issued = issue([f"{SERVICE}.{OWN}.svc"], now_s=time.time())
    files = {"tls.crt": issued.pair.certificate, "tls.key": issued.pair.key}
    for file, content in files.items():
        (folder / file).write_bytes(content)
    files["ca.crt"] = issued.authority
    data = {file: base64.b64encode(content).decode() for file, content in files.items()}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
    cluster.api.create(_SECRETS, body)
    return folder


def give_token(cluster: ControlPlane, name: str) -> None:
    """An account that may read metrics and nothing else, and a Secret that Kubernetes writes a
    token of it into, all of this name."""
    cluster.kubectl("-n", OWN, "create", "serviceaccount", name)
    role = ("--clusterrole=agent-sandbox-metrics-reader", f"--serviceaccount={OWN}:{name}")
    cluster.kubectl("create", "clusterrolebinding", name, *role)
    whose = {"name": name, "annotations": {"kubernetes.io/service-account.name": name}}
    kind = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token"}
    cluster.api.create(_SECRETS, kind | {"metadata": whose})

    def lacking() -> str | None:
        found = cluster.api.get(f"{_SECRETS}/{name}").get("data", {})
        return None if "token" in found else "nothing is in the Secret"

    wait_until("token", lacking, timeout_s=_GIVEN_S)
