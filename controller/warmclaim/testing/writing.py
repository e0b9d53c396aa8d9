"""The rules of writing: which verb a request is, its body, its options. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from warmclaim.seams import Request
from warmclaim.testing import patch as patches
from warmclaim.testing import refusals
from warmclaim.testing.deletion import POLICIES, DeleteOptions
from warmclaim.testing.json_values import Json, is_object
from warmclaim.testing.target import Target

BODY_MAX_BYTES = 3 * 1024 * 1024
PATCHES = (patches.JSON_PATCH, patches.MERGE_PATCH, patches.APPLY_PATCH)
BODIES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_UNREAD = "couldn't get version/kind; json parse error"
_OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}


def verb_of(request: Request, target: Target) -> str:
    """The audit word of a write. Refuses (400, 404, 405) what the path does not offer."""
    is_custom, resource = target.kind.custom, target.kind.resource
    if request.method == "DELETE":
        if not target.subresource:
            return "delete" if target.name else "deletecollection"
        if is_custom:
            raise refusals.verb_not_supported("delete", resource)
        raise refusals.method_not_allowed()
    if request.method == "POST":
        return _create(target)
    if not target.name:
        if request.method == "PATCH" and is_custom:
            _require_patch_type(request)
        raise refusals.bad_request("name must be provided") if is_custom else _not_allowed()
    return "update" if request.method == "PUT" else "patch"


def _create(target: Target) -> str:
    is_custom = target.kind.custom
    if target.kind.namespaced and not target.namespace:
        raise refusals.no_such_path() if is_custom else _not_allowed()
    if target.subresource and is_custom:
        raise refusals.verb_not_supported("create", target.kind.resource)
    # A custom kind takes a POST to the path of an object for one to its collection.
    if target.name and not is_custom:
        raise _not_allowed()
    return "create"


def _not_allowed() -> refusals.Refusal:
    return refusals.method_not_allowed()


def body_of(request: Request, target: Target) -> Any:
    """The decoded body of a POST, PUT or PATCH. Refuses (400, 415) what it cannot read."""
    if request.method == "PATCH":
        _require_patch_type(request)
        return decoded(request.body, "error decoding patch")
    if request.content_type != BODIES[0]:
        raise refusals.unsupported_media_type(BODIES)
    wanted = f"the object provided is unrecognized (must be of type {target.kind.kind})"
    return decoded(request.body, f"{wanted}: {_UNREAD}")


def _require_patch_type(request: Request) -> None:
    if request.content_type not in PATCHES:
        raise refusals.unsupported_media_type(PATCHES)


def decoded(body: bytes | None, unread: str) -> Any:
    """JSON. Refuses (400) anything else, with `unread` before the reason.

    As on the real server, bytes that are no UTF-8 and halves of surrogate pairs become U+FFFD.
    """
    try:
        try:
            return msgspec.json.decode(body or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            return msgspec.json.decode(_mended(body or b""))
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise refusals.bad_request(f"{unread}: {error}") from error


def _mended(body: bytes) -> str:
    """The same JSON in sound Unicode. Raises ValueError or RecursionError where it is none."""
    loose = json.loads(body.decode("utf-8", "replace"), parse_constant=_no_number)
    text = json.dumps(loose, ensure_ascii=False)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def is_dry_run(request: Request, query: Mapping[str, str]) -> bool:
    """Whether nothing is to be stored. Refuses (422) any word but All."""
    given = query.get("dryRun", "")
    if given in ("", "All"):
        return bool(given)
    said = f'Unsupported value: ["{given}"]: supported values: "All"'
    found = refusals.cause("FieldValueNotSupported", said, "dryRun")
    options = _OPTIONS.get(request.method, "DeleteOptions")
    raise refusals.invalid(options, "meta.k8s.io", "", [found])


def delete_options(request: Request, query: Mapping[str, str]) -> tuple[DeleteOptions, bool]:
    """The options of a DELETE, and whether it is a dry run: from the body, without one from the
    query. Refuses (400, 422) what makes no sense."""
    given: Json = {**query}
    if request.body:
        given = _decoded_options(request.body)
        grace = given.get("gracePeriodSeconds")
        if grace is not None and not isinstance(grace, int):
            field = "Go struct field DeleteOptions.gracePeriodSeconds of type int64"
            raise refusals.bad_request(f"json: cannot unmarshal string into {field}")
        is_dry = given.get("dryRun") == ["All"]
    else:
        grace = _seconds(query.get("gracePeriodSeconds", ""))
        given["orphanDependents"] = {"true": True, "false": False}.get(
            query.get("orphanDependents", "")
        )
        is_dry = is_dry_run(request, query)
    conditions: Json = given.get("preconditions") or {}
    options = DeleteOptions(
        uid=str(conditions.get("uid") or ""),
        resource_version=str(conditions.get("resourceVersion") or ""),
        # A negative period is the shortest one.
        grace_s=1 if grace is not None and grace < 0 else grace,
        policy=_policy(given),
    )
    return options, is_dry


def _decoded_options(body: bytes) -> Json:
    given = decoded(body, _UNREAD)
    if not is_object(given):
        raise refusals.bad_request(f"{_UNREAD}: not an object")
    return given


def _policy(given: Json) -> str:
    policy = given.get("propagationPolicy") or ""
    orphans = given.get("orphanDependents")
    said = reason = ""
    if policy and orphans is not None:
        reason = "FieldValueInvalid"
        both = "orphanDependents and deletionPropagation cannot be both set"
        said = f'Invalid value: "{policy}": {both}'
    elif policy and policy not in POLICIES:
        reason = "FieldValueNotSupported"
        words = ", ".join(f'"{word}"' for word in (*POLICIES, "nil"))
        said = f'Unsupported value: "{policy}": supported values: {words}'
    if said:
        found = refusals.cause(reason, said, "propagationPolicy")
        raise refusals.invalid("DeleteOptions", "meta.k8s.io", "", [found])
    if orphans is not None:
        return "Orphan" if orphans else "Background"
    return str(policy)


def _seconds(text: str) -> int | None:
    try:
        return int(text) if text else None
    except ValueError as error:
        why = f'strconv.ParseInt: parsing "{text}": invalid syntax'
        raise refusals.bad_request(why) from error
