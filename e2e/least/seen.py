"""What of a manager can be seen from outside: its definitions, its snapshot, its metrics."""

from __future__ import annotations

import io
import json
import ssl
import urllib.error
import urllib.request
import zipfile

from e2e.controlplane.api import ApiError, ApiSession, Object

from warmclaim.api.schema import WebhookConversion, crds
from warmclaim.webhook.pair import SECRET_NAME

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_BUNDLE = "/spec/conversion/webhook/clientConfig/caBundle"


def trusted(api: ApiSession) -> str | None:
    """What the definitions lack to be converted."""
    for name in crds():
        webhook = api.get(f"{CRDS}/{name}")["spec"]["conversion"].get("webhook", {})
        if not webhook.get("clientConfig", {}).get("caBundle"):
            return f"{name} trusts nobody"
    return None


def forget(api: ApiSession, secrets: str) -> None:
    """As before the first manager: no certificate, and no definition that names one."""
    for name, crd in crds(WebhookConversion()).items():
        api.apply(f"{CRDS}/{name}", crd)
        found = api.get(f"{CRDS}/{name}")["spec"]["conversion"]["webhook"]["clientConfig"]
        if "caBundle" in found:
            operations = [{"op": "remove", "path": _BUNDLE}]
            body = json.dumps(operations).encode()
            patch = "application/json-patch+json"
            api.request("PATCH", f"{CRDS}/{name}", body, content_type=patch)
    try:
        api.delete(f"{secrets}/{SECRET_NAME}")
    except ApiError as error:
        if error.code != 404:
            raise


def kinds_in_snapshot(port: int) -> set[str]:
    """Those of which a snapshot has a list. Raises OSError while nobody listens."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/get-snapshot", timeout=10) as answer:
        archive = zipfile.ZipFile(io.BytesIO(answer.read()))
    (name,) = archive.namelist()
    found: Object = json.loads(archive.read(name))
    return set(found["rawObjects"])


def scraped(port: int, token: str) -> int:
    """The status of an answer to /metrics over TLS. Raises OSError while nobody listens."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(f"https://127.0.0.1:{port}/metrics")
    request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
