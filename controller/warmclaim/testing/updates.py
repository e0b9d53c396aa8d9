"""What an update takes from the object that was sent, and what it keeps of the old one. Pure."""

from __future__ import annotations

from typing import Any

from warmclaim.testing import object_rules, refusals
from warmclaim.testing.json_values import Json
from warmclaim.testing.patch import same_json
from warmclaim.testing.refusals import cause
from warmclaim.testing.resources import POD, Kind

_MAY_CHANGE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")
_POD_RULE = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def of_main(kind: Kind, value: Json, old: Json) -> Json:
    """A write to the object itself: all but what the server sets, and a separate status.

    Refuses (422) another uid, and changes of a pod that pods do not take.
    """
    metadata = object_rules.carried_over(kind, value["metadata"], old["metadata"])
    value = {**value, "metadata": metadata}
    if kind is POD and not same_json(_fixed(value), _fixed(old)):
        found = cause("FieldValueForbidden", _POD_RULE, "spec")
        raise refusals.invalid(kind.kind, kind.group, old["metadata"]["name"], [found])
    return _with(value, "status", old.get("status")) if kind.has_status else value


def of_status(kind: Kind, value: Json, old: Json) -> Json:
    """A write to the status subresource.

    Of a custom object only the status is taken, whatever else was sent, a wrong uid included; of a
    built-in one also metadata, without the owners.
    """
    if kind.custom:
        return _with(old, "status", value.get("status"))
    metadata = object_rules.carried_over(kind, value["metadata"], old["metadata"])
    metadata = _with(metadata, "ownerReferences", old["metadata"].get("ownerReferences"))
    return _with({**old, "metadata": metadata}, "status", value.get("status"))


def with_generation(kind: Kind, value: Json, old: Json) -> Json:
    """`value` with the next generation, if it differs outside metadata and a separate status."""
    if not kind.has_generation or not _spec_differs(kind, value, old):
        return value
    generation = old["metadata"].get("generation", 0) + 1
    return {**value, "metadata": {**value["metadata"], "generation": generation}}


def _spec_differs(kind: Kind, new: Json, old: Json) -> bool:
    if not kind.custom:
        return not same_json(new.get("spec"), old.get("spec"))
    ignored = {"metadata", "status"} if kind.has_status else {"metadata"}
    names = (new.keys() | old.keys()) - ignored
    return not all(same_json(new.get(name), old.get(name)) for name in names)


def _with(value: Json, name: str, member: Any) -> Json:
    """`value` with that member, or without it if None; `value` itself where that is so already."""
    if value.get(name) is member and (member is not None or name not in value):
        return value
    if member is None:
        return {n: v for n, v in value.items() if n != name}
    return {**value, name: member}


def _fixed(pod: Json) -> Json:
    """The part of a pod's spec that never changes."""
    spec: Json = pod.get("spec", {})
    fixed = {name: member for name, member in spec.items() if name not in _MAY_CHANGE}
    for name in ("containers", "initContainers"):
        if name in fixed:
            fixed[name] = [{**container, "image": ""} for container in fixed[name]]
    return fixed
