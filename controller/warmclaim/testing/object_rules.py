"""The rules of metadata that hold for every kind. Pure: what they refuse is raised as a Refusal."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

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
_SERVER_OWN = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
)
_TEXTS = ("name", "namespace", "uid", "resourceVersion", "generateName")
_EVENT = ("v1", "Event")
_OWNER = "v1.OwnerReference"
_OWNER_FIELDS = {"apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"}
_GO_TYPES = {dict: "object", list: "array", str: "string", bool: "bool"}

_LABEL_TEXT = (
    "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
)
_NAME_PART = (
    f"name part must consist of {_LABEL_TEXT} character (e.g. 'MyName',  or 'my.name',  or "
    "'123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_WORD = (
    f"a valid label must be an empty string or consist of {_LABEL_TEXT} character (e.g. "
    "'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_DNS_NAMES = {
    False: (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
        "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex "
        "used for validation is "
        r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    ),
    True: (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
        "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "
        "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    ),
}


def tidied(kind: Kind, metadata: Any) -> Json:
    """metadata as the server would read it: known fields, nothing empty. Refuses (400) members of
    the wrong type."""
    if not is_object(metadata):
        raise _undecodable(kind, metadata, "Go value of type v1.ObjectMeta")
    for name in ("labels", "annotations"):
        _require_text_map(kind, name, metadata.get(name))
    _require_array(kind, "finalizers", metadata.get("finalizers"), str, "string")
    _require_array(kind, "ownerReferences", metadata.get("ownerReferences"), dict, _OWNER)
    for owner in metadata.get("ownerReferences") or ():
        _require_owner_types(kind, owner)
    for name in _TEXTS:
        if not isinstance(metadata.get(name) or "", str):
            where = f"Go struct field ObjectMeta.{name} of type string"
            raise _undecodable(kind, metadata[name], where)
    kept = {name: value for name, value in metadata.items() if value and name in _KEPT}
    for name in ("labels", "annotations"):
        if name in kept and None in kept[name].values():
            kept[name] = {key: text or "" for key, text in kept[name].items()}
    if "ownerReferences" in kept:
        kept["ownerReferences"] = _distinct_owners(kept["ownerReferences"])
    return kept


def _distinct_owners(owners: list[Json]) -> list[Json]:
    """Each owner once, with the known fields; the very same list if that changes nothing."""
    if len(owners) == 1 and owners[0].keys() <= _OWNER_FIELDS:
        return owners
    distinct: list[Json] = []
    for owner in owners:
        known = {name: value for name, value in owner.items() if name in _OWNER_FIELDS}
        if known not in distinct:
            distinct.append(known)
    return owners if distinct == owners else distinct


def carried_over(kind: Kind, given: Json, old: Json) -> Json:
    """The metadata of an update: `given` with what only the server sets taken from `old`.

    Refuses (422) another uid, a deletionTimestamp of the client's own, and new finalizers on an
    object under deletion.
    """
    causes: list[Json] = []
    if (given.get("uid") or old["uid"]) != old["uid"]:
        causes.append(_immutable("uid", given["uid"]))
    if "deletionTimestamp" in given and "deletionTimestamp" not in old:
        causes.append(_immutable("deletionTimestamp", given["deletionTimestamp"]))
    kept = old.get("finalizers", ())
    added = [word for word in given.get("finalizers", ()) if word not in kept]
    if added and "deletionTimestamp" in old:
        quoted = ", ".join(f'"{word}"' for word in added)
        said = (
            "Forbidden: no new finalizers can be added if the object is being deleted, "
            f"found new finalizers []string{{{quoted}}}"
        )
        causes.append(cause("FieldValueForbidden", said, "metadata.finalizers"))
    if causes:
        # The server checks this twice, and says it twice.
        raise refusals.invalid(kind.kind, kind.group, old["name"], causes * 2)
    own = {name: old[name] for name in _SERVER_OWN if name in old}
    rest = {name: value for name, value in given.items() if name not in _SERVER_OWN}
    return {**rest, **own}


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


def _require_text_map(kind: Kind, name: str, value: Any) -> None:
    if value is None:
        return
    if not is_object(value):
        where = f"Go struct field ObjectMeta.{name} of type map[string]string"
        raise _undecodable(kind, value, where)
    for text in value.values():
        if text is not None and not isinstance(text, str):
            raise _undecodable(kind, text, f"Go struct field ObjectMeta.{name} of type string")


def _require_array(kind: Kind, name: str, value: Any, of: type, go_type: str) -> None:
    if value is None:
        return
    if not is_array(value):
        raise _undecodable(kind, value, f"Go struct field ObjectMeta.{name} of type []{go_type}")
    for item in value:
        if not isinstance(item, of):
            raise _undecodable(kind, item, f"Go struct field ObjectMeta.{name} of type {go_type}")


def _require_owner_types(kind: Kind, owner: Json) -> None:
    for name in _OWNER_FIELDS & owner.keys():
        is_flag = name in ("controller", "blockOwnerDeletion")
        wanted, go_type = (bool, "bool") if is_flag else (str, "string")
        if owner[name] is not None and not isinstance(owner[name], wanted):
            where = f"Go struct field OwnerReference.{name} of type {go_type}"
            raise _undecodable(kind, owner[name], where)


def _undecodable(kind: Kind, value: object, where: str) -> refusals.Refusal:
    word = next((name for type_, name in _GO_TYPES.items() if isinstance(value, type_)), "number")
    why = f"json: cannot unmarshal {word} into {where}"
    return refusals.undecodable(kind.kind, kind.kind, kind.version, why)


def _immutable(name: str, given: str) -> Json:
    said = f'Invalid value: "{given}": field is immutable'
    return cause("FieldValueInvalid", said, f"metadata.{name}")


def _invalid(value: str, said: str, field: str) -> Json:
    return cause("FieldValueInvalid", f'Invalid value: "{value}": {said}', f"metadata.{field}")


def _bad_name(kind: Kind, name: str) -> list[Json]:
    is_short = kind.resource in _SHORT_NAMES
    pattern, longest = (_DNS_LABEL, 63) if is_short else (_SUBDOMAIN, 253)
    if len(name) > longest:
        return [_invalid(name, f"must be no more than {longest} bytes", "name")]
    if is_short and "." in name:
        return [_invalid(name, "must not contain dots", "name")]
    return [] if pattern.match(name) else [_invalid(name, _DNS_NAMES[is_short], "name")]


def _bad_labels(labels: Json) -> list[Json]:
    causes: list[Json] = []
    for key, value in labels.items():
        if not _is_qualified(key):
            causes.append(_invalid(key, _NAME_PART, "labels"))
        if len(value) > 63:
            causes.append(_invalid(value, "must be no more than 63 bytes", "labels"))
        elif not _LABEL_VALUE.match(value):
            causes.append(_invalid(value, _LABEL_WORD, "labels"))
    return causes


def _bad_annotations(annotations: Json) -> list[Json]:
    keys = [key for key in annotations if not _is_qualified(key.lower())]
    causes = [_invalid(key, _NAME_PART, "annotations") for key in keys]
    total = sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items())
    if total > ANNOTATIONS_MAX_BYTES:
        said = f"Too long: may not be more than {ANNOTATIONS_MAX_BYTES} bytes"
        causes.append(cause("FieldValueTooLong", said, "metadata.annotations"))
    return causes


def _bad_owners(owners: list[Json]) -> list[Json]:
    field = "ownerReferences"
    causes: list[Json] = []
    for owner in owners:
        if not owner.get("apiVersion"):
            causes.append(_invalid("", "version must not be empty", f"{field}.apiVersion"))
        elif owner["apiVersion"].count("/") > 1:
            said = f"unexpected GroupVersion string: {owner['apiVersion']}"
            causes.append(_invalid(owner["apiVersion"], said, f"{field}.apiVersion"))
        for name in ("kind", "name", "uid"):
            if not owner.get(name):
                causes.append(_invalid("", "must not be empty", f"{field}.{name}"))
    events = [owner for owner in owners if (owner.get("apiVersion"), owner.get("kind")) == _EVENT]
    for owner in events:
        shown = msgspec.json.encode(owner).decode()
        said = f"Invalid value: {shown}: /v1, Kind=Event is disallowed from being an owner"
        causes.append(cause("FieldValueInvalid", said, f"metadata.{field}"))
    controllers = [f"{o.get('kind')}/{o.get('name')}" for o in owners if o.get("controller")]
    if len(controllers) > 1:
        shown = msgspec.json.encode(owners).decode()
        said = (
            f"Invalid value: {shown}: Only one reference can have Controller set to true. "
            f'Found "true" in references for {controllers[0]} and {controllers[1]}'
        )
        causes.append(cause("FieldValueInvalid", said, f"metadata.{field}"))
    return causes


def _bad_finalizers(finalizers: list[str]) -> list[Json]:
    bad = [word for word in finalizers if not _is_qualified(word)]
    return [_invalid(word, _NAME_PART, "finalizers") for word in bad]


def _is_qualified(text: str) -> bool:
    prefix, _, name = text.rpartition("/")
    return len(name) <= 63 and len(prefix) <= 253 and bool(_QUALIFIED.match(text))


_CHECKS: tuple[tuple[str, Callable[[Any], list[Json]]], ...] = (
    ("labels", _bad_labels),
    ("annotations", _bad_annotations),
    ("ownerReferences", _bad_owners),
    ("finalizers", _bad_finalizers),
)
