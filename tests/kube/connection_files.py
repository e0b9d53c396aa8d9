"""What says where the API server is, as files: a kubeconfig, and the account of a pod."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

# A self-signed certificate, to have one that parses; its key was not kept.
CA = """\
-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUMWyoINiSv0jGWg0/u/VeQWa2vQowCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjIwNzExMzdaGA8yMTI2MTAyOTA3MTEz
N1owDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNum
qvYSvTeSji4Yfkaqo0qAK7UI9+hNT9qEogE6B7eAu24utCkNcoyskyog6bqfiIBU
XHzdcWxKPgr9+wHi2HajUzBRMB0GA1UdDgQWBBST85eXSGbGFFwsE5tZzZa5rREF
SjAfBgNVHSMEGDAWgBST85eXSGbGFFwsE5tZzZa5rREFSjAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIQDNU1j78UvWM+B/f6xtGvPVdZ7rcXIMtmZk
FFkV3loTGwIgZGIiAXHI4cUKc3cmt4D+SPfPQHCUSY2w1IwLsR+p51k=
-----END CERTIFICATE-----
"""


def a_kubeconfig(
    folder: Path,
    *,
    cluster: Mapping[str, object] | None = None,
    user: Mapping[str, object] | None = None,
    name: str = "config",
    **fields: object,
) -> str:
    document: dict[str, Any] = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://one:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": dict(user or {"token": "abc"})}],
        **fields,
    }
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(document))
    return str(path)


def a_pod(folder: Path, token: str = "first\n") -> Path:
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_text(CA)
    return folder


POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
