"""The answers "no" of an API server: Status objects with the real codes, reasons and texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from warmclaim.testing.json_values import Json


class Refusal(Exception):
    """One refused request.

    `reason` is the Status object's word ("" for none), `details` its details without the retry
    hint, `plain` an answer in text/plain instead of a Status object.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Json | None = None,
        retry_after_s: int | None = None,
        plain: bool = False,
    ) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after_s = retry_after_s
        self.plain = plain

    @property
    def status_object(self) -> Json:
        """The Status object, as the body of an answer or of an ERROR event."""
        status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        details = dict(self.details or {})
        if self.retry_after_s is not None:
            details["retryAfterSeconds"] = self.retry_after_s
        if details or self.details is not None:
            status["details"] = details
        status["code"] = self.code
        return status

    @property
    def body(self) -> bytes:
        return self.message.encode() if self.plain else msgspec.json.encode(self.status_object)

    @property
    def headers(self) -> dict[str, str]:
        kind = "text/plain; charset=utf-8" if self.plain else "application/json"
        headers = {"content-type": kind}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(self.retry_after_s)
        return headers


def success(message: str = "", details: Json | None = None) -> Json:
    """A Status object that says yes, as a delete returns it."""
    status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if message:
        status["message"] = message
    if details:
        status["details"] = details
    return status


def _details(resource: str, name: str = "", **more: Any) -> Json:
    """`resource` is "plural" or "plural.group"."""
    plural, _, group = resource.partition(".")
    details: Json = {"name": name} if name else {}
    if group:
        details["group"] = group
    if plural:
        details["kind"] = plural
    return {**details, **more}


def cause(reason: str, message: str, field: str = "") -> Json:
    """One entry of details.causes."""
    return {"reason": reason, "message": message, **({"field": field} if field else {})}


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)


def unrecognized(kind: str, why: str) -> Refusal:
    """400 for a body that is no object at all, or does not say of which kind."""
    return bad_request(f"the object provided is unrecognized (must be of type {kind}): {why}")


def undecodable(given: str, kind: str, version: str, why: str) -> Refusal:
    """400 for a body with a member of the wrong JSON type."""
    return bad_request(f'{given} in version "{version}" cannot be handled as a {kind}: {why}')


def unauthorized() -> Refusal:
    return Refusal(401, "Unauthorized", "Unauthorized")


def forbidden(resource: str, name: str, why: str, *, causes: Sequence[Json] = ()) -> Refusal:
    more = {"causes": list(causes)} if causes else {}
    quoted = f'{resource} "{name}"' if name else resource
    return Refusal(
        403, "Forbidden", f"{quoted} is forbidden: {why}", details=_details(resource, name, **more)
    )


def namespace_terminating(resource: str, name: str, namespace: str) -> Refusal:
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    about = f"namespace {namespace} is being terminated"
    causes = [cause("NamespaceTerminating", about, "metadata.namespace")]
    return forbidden(resource, name, why, causes=causes)


def not_permitted(verb: str, resource: str, namespace: str = "", *, name: str = "") -> Refusal:
    """The authorizer's 403. `resource` is "plural[.group]" or "plural[.group]/subresource"."""
    qualified, slash, subresource = resource.partition("/")
    plural, _, group = qualified.partition(".")
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    why = (
        f'User "warmclaim" cannot {verb} resource "{plural}{slash}{subresource}" '
        f'in API group "{group}" {where}'
    )
    return forbidden(qualified, name, why)


def not_found(resource: str, name: str) -> Refusal:
    return Refusal(
        404, "NotFound", f'{resource} "{name}" not found', details=_details(resource, name)
    )


def no_such_resource() -> Refusal:
    message = "the server could not find the requested resource"
    return Refusal(404, "NotFound", message, details={})


def no_such_path() -> Refusal:
    return Refusal(404, "", "404 page not found\n", plain=True)


def verb_not_supported(verb: str, resource: str) -> Refusal:
    """405 as custom kinds word it."""
    message = f'{verb} is not supported on resources of kind "{resource}"'
    return Refusal(405, "MethodNotAllowed", message, details=_details(resource))


def method_not_allowed() -> Refusal:
    return Refusal(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
        details={},
    )


def already_exists(resource: str, name: str) -> Refusal:
    return Refusal(
        409,
        "AlreadyExists",
        f'{resource} "{name}" already exists',
        details=_details(resource, name),
    )


MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def conflict(resource: str, name: str, why: str = MODIFIED) -> Refusal:
    return Refusal(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {resource} "{name}": {why}',
        details=_details(resource, name),
    )


def wrong_uid(resource: str, key: str, name: str, wanted: str, actual: str) -> Refusal:
    """409 for a PUT of an object with another uid."""
    plural, _, group = resource.partition(".")
    path = f"/registry/{group}/{plural}/{key}" if group else f"/registry/{plural}/{key}"
    why = (
        f"StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, "
        f"AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, "
        f"UID in object meta: {actual}"
    )
    return conflict(resource, name, why)


def precondition_failed(
    kind: str, group: str, name: str, field: str, wanted: str, actual: str
) -> Refusal:
    """409 for a delete; it names the kind where others name the resource."""
    then = "deleted and then recreated" if field == "UID" else "modified"
    why = (
        f"the {field} in the precondition ({wanted}) does not match the {field} in record "
        f"({actual}). The object might have been {then}"
    )
    return conflict(f"{kind}.{group}" if group else kind, name, why)


def gone(message: str, *, continue_token: str = "") -> Refusal:
    refusal = Refusal(410, "Expired", message)
    if continue_token:
        refusal = _GoneWithToken(message, continue_token)
    return refusal


def too_old(asked: int, oldest: int) -> Refusal:
    return gone(f"too old resource version: {asked} ({oldest})")


def too_large_body(message: str = "limit is 3145728") -> Refusal:
    return Refusal(413, "RequestEntityTooLarge", f"Request entity too large: {message}")


def unsupported_media_type(wanted: Sequence[str]) -> Refusal:
    return Refusal(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(wanted),
    )


def patch_failed() -> Refusal:
    """The server names no object and no reason for a patch that does not apply."""
    return Refusal(
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
        details={},
    )


def invalid(kind: str, group: str, name: str, causes: Sequence[Json]) -> Refusal:
    """422 for an object that breaks its schema or the rules of metadata."""
    said = [f"{c['field']}: {c['message']}" if c.get("field") else c["message"] for c in causes]
    # Custom kinds check metadata twice: causes repeat, the message does not.
    listed = list(dict.fromkeys(said))
    text = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
    qualified = f"{kind}.{group}" if group else kind
    details: Json = {"name": name} if name else {}
    if group:
        details["group"] = group
    details |= {"kind": kind} if kind else {}
    details["causes"] = list(causes)
    return Refusal(422, "Invalid", f'{qualified} "{name}" is invalid: {text}', details=details)


def throttled(retry_after_s: int = 1) -> Refusal:
    """Overload: the real body is plain text, not a Status object."""
    message = "Too many requests, please try again later.\n"
    return Refusal(429, "", message, retry_after_s=retry_after_s, plain=True)


def internal(message: str) -> Refusal:
    return Refusal(
        500,
        "InternalError",
        f"Internal error occurred: {message}",
        details={"causes": [{"message": message}]},
    )


def unparsed_version(given: str) -> Refusal:
    """A resourceVersion that is no number, in an update: a 500 without a reason."""
    return Refusal(500, "", f'strconv.ParseUint: parsing "{given}": invalid syntax')


def version_on_create() -> Refusal:
    """A create that says which version it is: a 500 without a reason."""
    return Refusal(500, "", "resourceVersion should not be set on objects to be created")


def request_too_large() -> Refusal:
    """Over etcd's own limit: a permanent error that carries a 5xx code."""
    return Refusal(500, "", "etcdserver: request is too large")


def version_too_large(asked: int, current: int) -> Refusal:
    """A version that this server has not seen yet."""
    causes = [cause("ResourceVersionTooLarge", "Too large resource version")]
    return Refusal(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        details={"causes": causes},
        retry_after_s=1,
    )


class _GoneWithToken(Refusal):
    """410 for a continue token, with one that goes on without a consistent view."""

    def __init__(self, message: str, continue_token: str) -> None:
        super().__init__(410, "Expired", message)
        self._continue = continue_token

    @property
    def status_object(self) -> Json:
        return {**super().status_object, "metadata": {"continue": self._continue}}
