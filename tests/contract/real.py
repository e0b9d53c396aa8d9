"""A kube-apiserver as a backend of contract cases."""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warmclaim.kube.config import Connection
from warmclaim.kube.transport import HttpTransport


@dataclass(frozen=True, slots=True)
class RealServer:
    """Where one is: an https URL, a bearer token that may do anything, the CA's PEM file, and the
    plain http URL of its etcd."""

    url: str
    token: str
    ca_file: Path
    etcd_url: str


class _Bearer:
    """Credentials that never change."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def authorization(self) -> str | None:
        return self._header

    async def refresh(self, rejected: str | None) -> None:
        return


class RealBackend:
    """Its transport must be closed. The server's own controllers collect garbage already."""

    def __init__(self, server: RealServer) -> None:
        tls = ssl.create_default_context(cafile=str(server.ca_file))
        connection = Connection(server.url, tls, _Bearer(server.token))
        self.transport = HttpTransport(connection)
        self._etcd_url = server.etcd_url

    async def act(self, what: str) -> None:
        if what == "compact":
            await asyncio.to_thread(_compact, self._etcd_url)


def _compact(etcd_url: str) -> None:
    status = _etcd(f"{etcd_url}/v3/maintenance/status", {})
    _etcd(f"{etcd_url}/v3/kv/compaction", {"revision": status["header"]["revision"]})


def _etcd(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """One call of etcd's JSON gateway."""
    # Without the empty handler a proxy of the environment would be asked, for loopback too.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, json.dumps(body).encode())
    with opener.open(request, timeout=5.0) as answer:
        decoded: dict[str, Any] = json.loads(answer.read())
        return decoded
