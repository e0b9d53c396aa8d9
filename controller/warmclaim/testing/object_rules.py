"""The rules of metadata that hold for every kind. Pure: what they refuse is raised as a Refusal."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from warmclaim.testing import refusals
from warmclaim.testing.json_values import Json, is_array, is_object
from warmclaim.testing.refusals import cause
from warmclaim.testing.resources import NAMESPACE, SERVICE, Kind

ANNOTATIONS_MAX_BYTES = 256 * 1024

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*\Z")
_DNS_LABEL = re.compile(rf"{_LABEL}\Z")
_QUALIFIED = re.compile(rf"({_LABEL}(\.{_LABEL})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?\Z")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z")
_SHORT_NAMES = (NAMESPACE.resource, SERVICE.resource)

_KEPT = frozenset(
    {
        "name",
        "generateName",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
        "annotations",
        "ownerReferences",
        "finalizers",
    }
)
_SERVER_OWN = ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


def tidied(metadata: Any) -> Json:
    """metadata as the server would read it: known fields, nothing empty. Refuses wrong types."""
    if not is_object(metadata):
        raise refusals.bad_request("metadata must be an object")
    for name in ("labels", "annotations"):
        _require_text_map(name, metadata.get(name))
    for name in ("finalizers", "ownerReferences"):
        if not is_array(metadata.get(name) or []):
            raise refusals.bad_request(f"metadata.{name} must be an array")
    for name in ("name", "namespace", "uid", "resourceVersion", "generateName"):
        if not isinstance(metadata.get(name) or "", str):
            raise refusals.bad_request(f"metadata.{name} must be a string")
    kept = {name: value for name, value in metadata.items() if value and name in _KEPT}
    return metadata if len(kept) == len(metadata) else kept


def carried_over(kind: Kind, given: Json, old: Json) -> Json:
    """The metadata of an update: `given` with what only the server sets taken from `old`.

    Refuses another name, namespace or uid, and new finalizers on an object under deletion.
    """
    if "deletionTimestamp" in given and "deletionTimestamp" not in old:
        said = f'Invalid value: "{given["deletionTimestamp"]}": field is immutable'
        found = cause("FieldValueInvalid", said, "metadata.deletionTimestamp")
        raise refusals.invalid(kind.kind, kind.group, old["name"], [found])
    metadata = {**given, **{n: old[n] for n in _SERVER_OWN if n in old}}
    for name in _SERVER_OWN:
        if name not in old:
            metadata.pop(name, None)
    for name in ("name", "namespace", "uid"):
        if name in old and metadata.setdefault(name, old[name]) != old[name]:
            said = f'Invalid value: "{metadata[name]}": field is immutable'
            found = cause("FieldValueInvalid", said, f"metadata.{name}")
            raise refusals.invalid(kind.kind, kind.group, old["name"], [found])
    kept = old.get("finalizers", ())
    added = [word for word in metadata.get("finalizers", ()) if word not in kept]
    if added and "deletionTimestamp" in old:
        said = (
            "Forbidden: no new finalizers can be added if the object is being deleted, "
            f"found new finalizers {added}"
        )
        found = cause("FieldValueForbidden", said, "metadata.finalizers")
        raise refusals.invalid(kind.kind, kind.group, old["name"], [found])
    return metadata


def validate(kind: Kind, metadata: Json, old: Json | None = None) -> None:
    """Refuses (422) bad names, labels, owner references and oversized annotations.

    Parts that are the very parts of `old` are not looked at again.
    """
    causes: list[Json] = []
    before = old or {}
    if old is None:
        causes += _bad_name(kind, metadata["name"])
    for name, check in _CHECKS:
        value = metadata.get(name)
        if value and value is not before.get(name):
            causes += check(value)
    if causes:
        raise refusals.invalid(kind.kind, kind.group, metadata["name"], causes)


def _require_text_map(name: str, value: Any) -> None:
    if value is None:
        return
    is_map = is_object(value)
    if not is_map or not all(isinstance(text, str) for text in value.values()):
        raise refusals.bad_request(f"metadata.{name} must be an object with text values")


def _bad_name(kind: Kind, name: str) -> list[Json]:
    is_short = kind.resource in _SHORT_NAMES
    pattern, longest = (_DNS_LABEL, 63) if is_short else (_SUBDOMAIN, 253)
    if len(name) > longest:
        said = f'Invalid value: "{name}": must be no more than {longest} bytes'
        return [cause("FieldValueInvalid", said, "metadata.name")]
    if not pattern.match(name):
        sort = "label" if is_short else "subdomain"
        also = "" if is_short else " or '.'"
        said = (
            f'Invalid value: "{name}": a lowercase RFC 1123 {sort} must consist of lower case '
            f"alphanumeric characters, '-'{also}, and must start and end with an alphanumeric "
            "character"
        )
        return [cause("FieldValueInvalid", said, "metadata.name")]
    return []


def _bad_labels(labels: Json) -> list[Json]:
    causes: list[Json] = []
    for key, value in labels.items():
        if not _is_qualified(key):
            said = f'Invalid value: "{key}": name part must consist of alphanumeric characters'
            causes.append(cause("FieldValueInvalid", said, "metadata.labels"))
        if len(value) > 63 or not _LABEL_VALUE.match(value):
            said = f'Invalid value: "{value}": a valid label must be an empty string or consist of '
            said += "alphanumeric characters, '-', '_' or '.', no more than 63 of them"
            causes.append(cause("FieldValueInvalid", said, "metadata.labels"))
    return causes


def _bad_annotations(annotations: Json) -> list[Json]:
    causes: list[Json] = []
    total = 0
    for key, value in annotations.items():
        total += len(key.encode()) + len(value.encode())
        if not _is_qualified(key.lower()):
            said = f'Invalid value: "{key}": name part must consist of alphanumeric characters'
            causes.append(cause("FieldValueInvalid", said, "metadata.annotations"))
    if total > ANNOTATIONS_MAX_BYTES:
        said = f"Too long: may not be more than {ANNOTATIONS_MAX_BYTES} bytes"
        causes.append(cause("FieldValueTooLong", said, "metadata.annotations"))
    return causes


def _bad_owners(owners: list[Any]) -> list[Json]:
    field = "metadata.ownerReferences"
    causes: list[Json] = []
    controllers: list[str] = []
    for owner in owners:
        if not is_object(owner):
            raise refusals.bad_request(f"{field} must hold objects")
        for name in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(name):
                said = f'Invalid value: "": {name} must not be empty'
                causes.append(cause("FieldValueInvalid", said, f"{field}.{name}"))
        if owner.get("controller"):
            controllers.append(f"{owner.get('kind')}/{owner.get('name')}")
    if len(controllers) > 1:
        said = f"Invalid value: Only one reference can have Controller set to true: {controllers}"
        causes.append(cause("FieldValueInvalid", said, field))
    return causes


def _bad_finalizers(finalizers: list[Any]) -> list[Json]:
    field = "metadata.finalizers"
    return [
        cause("FieldValueInvalid", f'Invalid value: "{word}": must be a qualified name', field)
        for word in finalizers
        if not isinstance(word, str) or not _is_qualified(word)
    ]


def _is_qualified(text: str) -> bool:
    prefix, _, name = text.rpartition("/")
    return len(name) <= 63 and len(prefix) <= 253 and bool(_QUALIFIED.match(text))


_CHECKS: tuple[tuple[str, Callable[[Any], list[Json]]], ...] = (
    ("labels", _bad_labels),
    ("annotations", _bad_annotations),
    ("ownerReferences", _bad_owners),
    ("finalizers", _bad_finalizers),
)
