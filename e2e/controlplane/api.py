"""A small blocking client for tests and set-up; not the client under test.

One kept-alive connection, guarded by a lock, so it may be shared by threads but sends one request
at a time.
"""

from __future__ import annotations

import http.client
import json
import select
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

Object = dict[str, Any]

APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_TIMEOUT_S = 30.0


class ApiError(Exception):
    """The server answered with a status of 400 or more."""

    def __init__(self, method: str, path: str, code: int, body: Object) -> None:
        super().__init__(f"{method} {path}: {code} {body.get('message') or body}")
        self.code = code
        self.body = body

    @property
    def reason(self) -> str:
        """Machine-readable reason of the Status object, such as `NotFound`; else empty."""
        return str(self.body.get("reason", ""))


class ApiSession:
    """Requests of one user to one API server."""

    def __init__(self, server: str, token: str, ca_file: Path, *, user_agent: str = "e2e") -> None:
        """Connects at the first request. `server` is an https URL without a path."""
        self._address = urlsplit(server).netloc
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._headers = {
            "Authorization": f"Bearer {token}",
            "User-Agent": user_agent,
        }
        self._lock = threading.Lock()
        self._connection: http.client.HTTPSConnection | None = None

    def get(self, path: str, **query: str) -> Object:
        """GET. Raises as `request` does."""
        return self.request("GET", path, query=query)

    def discovered(self) -> set[str]:
        """Served kinds of all named groups, as `group/version/plural`. Raises as `request` does."""
        return {
            f"{group['metadata']['name']}/{version['version']}/{kind['resource']}"
            for group in self.request("GET", "/apis", accept=_DISCOVERY)["items"]
            for version in group["versions"]
            for kind in version.get("resources", [])
        }

    def create(self, path: str, body: Object) -> Object:
        """POST to a collection. Raises as `request` does."""
        return self.request("POST", path, body)

    def merge(self, path: str, body: Object) -> Object:
        """JSON merge patch. Raises as `request` does."""
        return self.request("PATCH", path, body, content_type=MERGE_PATCH)

    def apply(self, path: str, body: Object) -> Object:
        """Server-side apply that takes over every field it sets. Raises as `request` does."""
        query = {"fieldManager": "e2e", "force": "true"}
        return self.request("PATCH", path, body, query=query, content_type=APPLY_PATCH)

    def delete(self, path: str, *, propagation: str = "Background") -> Object:
        """DELETE of an object or a collection. Raises as `request` does."""
        return self.request("DELETE", path, {"propagationPolicy": propagation})

    def request(
        self,
        method: str,
        path: str,
        body: Object | bytes | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Object:
        """Send one request and return the decoded answer ({"text": ...} when it is not JSON).

        A `body` of bytes is sent as it is.

        Raises:
            ApiError: a status of 400 or more.
            OSError, http.client.HTTPException: no answer. Nothing is sent twice.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        with self._lock:
            headers = {"Accept": accept, "Content-Type": content_type}
            code, answer = self._exchange(method, target, payload, headers)
        decoded = _decode(answer)
        if code >= 400:
            raise ApiError(method, path, code, decoded)
        return decoded

    def status(self, path: str) -> int:
        """Status code of a GET, 0 when there is no answer at all; never raises."""
        try:
            self.request("GET", path)
        except ApiError as error:
            return error.code
        except (OSError, http.client.HTTPException):
            return 0
        return 200

    def close(self) -> None:
        """Close the connection; a later request opens a new one."""
        with self._lock:
            self._drop()

    def _exchange(
        self, method: str, target: str, payload: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        connection = self._connect()
        try:
            connection.request(method, target, payload, {**self._headers, **headers})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._drop()
            raise

    def _connect(self) -> http.client.HTTPSConnection:
        """The open connection, or a new one if the server closed it meanwhile.

        Between requests nothing may arrive: a readable socket is one at its end.
        """
        connection = self._connection
        if connection is not None and (
            connection.sock is None or select.select([connection.sock], [], [], 0)[0]
        ):
            self._drop()
            connection = None
        if connection is None:
            connection = http.client.HTTPSConnection(
                self._address, timeout=_TIMEOUT_S, context=self._tls
            )
            self._connection = connection
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _decode(answer: bytes) -> Object:
    try:
        decoded: object = json.loads(answer)
    except ValueError:
        return {"text": answer.decode(errors="replace")}
    return cast("Object", decoded) if isinstance(decoded, dict) else {"text": decoded}
