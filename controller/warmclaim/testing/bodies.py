"""What the body of a write must say of itself: kind, version, name, namespace. Pure.

The real server checks each of these in another place for custom and built-in kinds, for a body
that was sent and one that a patch made; code and reason follow it in each case.
"""

from __future__ import annotations

from typing import Any

import msgspec

from warmclaim.testing import defaults, object_rules, refusals
from warmclaim.testing.json_values import Json, is_object
from warmclaim.testing.refusals import cause
from warmclaim.testing.resources import LEASE
from warmclaim.testing.target import Target

_OTHER_NAMESPACE = (
    "the namespace of the provided object does not match the namespace sent on the request"
)


def sent(target: Target, body: Any) -> Json:
    """The body of a POST or PUT, with kind, apiVersion and tidied metadata filled in.

    Refuses (400, 422) one that means another kind or version.
    """
    kind = target.kind
    if not is_object(body):
        raise refusals.unrecognized(kind.kind, "couldn't get version/kind; json parse error")
    if kind.custom and not body.get("kind"):
        raise refusals.unrecognized(kind.kind, "Object 'Kind' is missing")
    _require_api_version(target, body)
    given = body.get("kind") or kind.kind
    if given != kind.kind:
        if kind.custom:
            raise _wrong_head(given, kind.group, _name_in(body), "kind", given, kind.kind)
        raise refusals.undecodable(given, kind.kind, kind.version, "unknown conversion")
    return _filled(target, body)


def replacing(target: Target, body: Any) -> Json:
    """The body of a PUT; refuses (400, 422) as `sent` does, and another name or namespace."""
    return _placed(target, sent(target, body))


def patched(target: Target, body: Json) -> Json:
    """What a patch made of an object, checked likewise; refuses (400, 422) another name, too."""
    kind = target.kind
    if not kind.custom:
        return _patched_built_in(target, body)
    if not body.get("kind") or not body.get("apiVersion"):
        raise _unfit(body, "Object 'Kind' is missing in '{}'")
    name = _name_in(body)
    if body["kind"] != kind.kind:
        raise _wrong_head(body["kind"], kind.group, name, "kind", body["kind"], kind.kind)
    if body["apiVersion"] != target.api_version:
        group = body["apiVersion"].rpartition("/")[0]
        wanted, given = target.api_version, body["apiVersion"]
        raise _wrong_head(kind.kind, group, name, "apiVersion", given, wanted)
    return _placed(target, _filled(target, body))


def _patched_built_in(target: Target, body: Json) -> Json:
    head = {"kind": target.kind.kind, "apiVersion": target.api_version}
    for field, wanted in head.items():
        if (body.get(field) or wanted) != wanted:
            raise _unfit(body, f"{field} {body[field]} is not {wanted}")
    return _placed(target, _filled(target, body))


def _placed(target: Target, filled: Json) -> Json:
    """`filled`, if it is at the path's name and namespace. Refuses (400) otherwise."""
    metadata = filled["metadata"]
    require_name(target, metadata)
    if (
        target.kind.namespaced
        and (metadata.get("namespace") or target.namespace) != target.namespace
    ):
        raise refusals.bad_request(_OTHER_NAMESPACE)
    return filled


def _unfit(body: Json, why: str) -> refusals.Refusal:
    """422 for the result of a patch that is no object of the kind; it names no object."""
    shown = msgspec.json.encode(msgspec.json.encode(body).decode()).decode()
    found = cause("FieldValueInvalid", f"Invalid value: {shown}: {why}", "patch")
    return refusals.invalid("", "", "", [found])


def require_name(target: Target, metadata: Json) -> None:
    """Refuses (400) an update whose object has no name, or another than the path."""
    name = metadata.get("name")
    if not name:
        raise refusals.bad_request(
            f"the name of the object ({target.name} based on URL) was undeterminable: "
            "name must be provided"
        )
    if name != target.name:
        raise refusals.bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({target.name})"
        )


def in_namespace(target: Target, metadata: Json) -> Json:
    """The metadata of a new object with its namespace. Refuses (400) another than the path's."""
    if not target.kind.namespaced:
        return {n: v for n, v in metadata.items() if n != "namespace"}
    if metadata.get("namespace", target.namespace) != target.namespace:
        raise refusals.bad_request(_OTHER_NAMESPACE)
    return {**metadata, "namespace": target.namespace}


def _require_api_version(target: Target, body: Json) -> None:
    given = body.get("apiVersion") or ""
    if given != target.api_version and (given or target.kind.custom):
        raise refusals.bad_request(
            f"the API version in the data ({given}) does not match the expected API version "
            f"({target.api_version})"
        )


def _filled(target: Target, body: Json) -> Json:
    empty: Json = {}
    metadata: Any = empty if body.get("metadata") is None else body["metadata"]
    head = {"apiVersion": target.api_version, "kind": target.kind.kind}
    if target.kind is LEASE:
        defaults.require_micro_times(body)
    return {**body, **head, "metadata": object_rules.tidied(target.kind, metadata)}


def _name_in(body: Json) -> str:
    metadata = body.get("metadata")
    return str(metadata.get("name", "")) if is_object(metadata) else ""


def _wrong_head(
    kind: str, group: str, name: str, field: str, given: str, wanted: str
) -> refusals.Refusal:
    said = f'Invalid value: "{given}": must be {wanted}'
    return refusals.invalid(kind, group, name, [cause("FieldValueInvalid", said, field)])
