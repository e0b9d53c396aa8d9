"""What a struck request is answered, by servers, webhooks and whatever stands between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from warmclaim.api.resources import SANDBOX
from warmclaim.seams import Request, Response
from warmclaim.testing.json_values import Json, is_array, is_object
from warmclaim.testing.patch import JSON_PATCH
from warmclaim.testing.refusals import not_permitted
from warmclaim.testing.sim.case import Fault

_JSON: Final = {"content-type": "application/json"}
_HTML: Final = {"content-type": "text/html; charset=utf-8"}
_PAGE: Final = b"<html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
_TOO_LARGE: Final = "etcdserver: request is too large"
_WEBHOOK: Final = 'webhook "sandboxes.guard.example"'
_IDENTITY: Final[tuple[str, ...]] = ("uid", "resourceVersion")
_SERVER_ERRORS: Final = (
    (500, "InternalError"),
    (503, "ServiceUnavailable"),
    (504, "Timeout"),
)
_VERBS: Final = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}
_SAID: Final[Mapping[str, tuple[int, str, str]]] = {
    "A1.conflict": (409, "Conflict", "simulated"),
    "A7.large": (500, "", _TOO_LARGE),
    "A12.denied": (403, "Forbidden", f"admission {_WEBHOOK} denied the request: simulated"),
    "A12.invalid": (422, "Invalid", "denied by a policy: simulated"),
    "A12.timeout": (500, "InternalError", f"failed calling {_WEBHOOK}: deadline exceeded"),
    "A13.unauthorized": (401, "Unauthorized", "simulated"),
    "B4.list": (410, "Expired", "simulated"),
    "B5.page": (410, "Expired", "simulated"),
}


def refusal(fault: Fault) -> Response:
    """The no of a server, in the form that it really has."""
    match fault.name:
        case "A5.throttled" | "A5.read":
            headers = {"content-type": "text/plain", "retry-after": str(1 + int(fault.x * 4))}
            return Response(429, b"Too many requests, please try again later.", headers)
        case "B6.ahead":
            return _ahead()
        case "A16.write" | "A16.read":
            return of_a_proxy(fault.x)
        case _:
            drawn = _SERVER_ERRORS[int(fault.x * len(_SERVER_ERRORS))]
            return status(*_SAID.get(fault.name, (*drawn, "simulated")))


def status(code: int, reason: str, message: str) -> Response:
    """A refusal as a Status object."""
    said = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return Response(code, msgspec.json.encode(said), _JSON)


def forbidden(request: Request, namespace: str) -> Response:
    """The permissions in that namespace are gone, as the authorizer says it."""
    verb = _VERBS.get(request.method, "get")
    plural = request.path.partition(f"/{namespace}/")[2].partition("/")[0]
    said = not_permitted(verb, plural, namespace)
    return Response(said.code, said.body, said.headers)


def of_a_proxy(x: float) -> Response:
    """Somebody else's answer: a page under 200, a redirect, "not modified", a bad gateway."""
    kinds = (
        Response(200, _PAGE, _HTML),
        Response(302, b"", {**_HTML, "location": "https://login.example/"}),
        Response(304, b"", {}),
        Response(502, _PAGE, _HTML),
    )
    return kinds[int(x * len(kinds))]


def torn(answer: Response) -> Response:
    """The first half of it."""
    return Response(answer.status, answer.body[: len(answer.body) // 2], answer.headers)


def mutated(request: Request) -> bytes | None:
    """The body as a mutating webhook leaves it, though the answer says 200. None where there is
    nothing to change.

    Of a JSON patch only the tests are left, of a merge patch the identity; a new sandbox loses its
    labels, and any other new object gets one more.
    """
    body = msgspec.json.decode(request.body) if request.body else None
    if request.method == "PATCH" and request.content_type == JSON_PATCH and is_array(body):
        return msgspec.json.encode([step for step in body if step.get("op") == "test"])
    if not is_object(body) or request.method == "DELETE":
        return None
    metadata: Json = body.get("metadata", {})
    if request.method == "PATCH":
        identity = {name: metadata[name] for name in _IDENTITY if name in metadata}
        return msgspec.json.encode({"metadata": identity})
    own: Json = {} if body.get("kind") == SANDBOX.kind else metadata.get("labels", {})
    labels = {**own, "guard.example/seen": "yes"}
    return msgspec.json.encode({**body, "metadata": {**metadata, "labels": labels}})


def _ahead() -> Response:
    said = {
        "kind": "Status",
        "code": 504,
        "reason": "Timeout",
        "message": "Too large resource version",
        "details": {"causes": [{"reason": "ResourceVersionTooLarge", "message": "too large"}]},
    }
    return Response(504, msgspec.json.encode(said), {**_JSON, "retry-after": "1"})
