"""Reads a manager's metrics as a scraper does: over TLS, with the token of an account."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request

from e2e.controlplane.api import ApiSession

_ANSWER_S_MAX = 10.0


def account_token(api: ApiSession, namespace: str, account: str, *audiences: str) -> str:
    """A token as a mounted one would be."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    spec = {"expirationSeconds": 3600, "audiences": list(audiences)}
    return str(api.create(path, kind | {"spec": spec})["status"]["token"])


def scraped(port: int, bearer: str = "", *, is_secure: bool = True) -> tuple[int, str]:
    """Status and text of /metrics. The certificate is one that nobody vouches for."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    scheme = "https" if is_secure else "http"
    request = urllib.request.Request(f"{scheme}://127.0.0.1:{port}/metrics")
    if bearer:
        request.add_header("Authorization", f"Bearer {bearer}")
    try:
        with urllib.request.urlopen(request, context=context, timeout=_ANSWER_S_MAX) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
