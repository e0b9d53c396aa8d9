"""What the judge and the liveness check read in stored objects, by themselves.

They share no view with the controller: a field that it misreads must not be misread here too.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from warmclaim.testing.json_values import Json, is_array, is_object


class Owner(NamedTuple):
    """The controlling owner of a sandbox."""

    kind: str
    name: str
    uid: str


class Ready(NamedTuple):
    """The Ready condition; three empty texts where there is none."""

    status: str
    reason: str
    message: str


def part(value: Json | None, *names: str) -> Any:
    """The member at a path, None where there is none."""
    found: Any = value
    for name in names:
        if not is_object(found):
            return None
        found = found.get(name)
    return found


def parts(value: Json | None, *names: str) -> list[Json]:
    """The objects in the list at a path."""
    found = part(value, *names)
    return [cast(Json, item) for item in found] if is_array(found) else []


def controller_of(value: Json | None) -> Owner | None:
    """The owner reference with controller: true."""
    for owner in parts(value, "metadata", "ownerReferences"):
        if owner.get("controller"):
            return Owner(str(owner["kind"]), str(owner["name"]), str(owner["uid"]))
    return None


def published_by(claim: Json | None) -> str:
    """The sandbox that a claim's status names, or ""."""
    return str(part(claim, "status", "sandbox", "name") or "")


def is_deleting(value: Json) -> bool:
    """Whether it has a deletionTimestamp."""
    return "deletionTimestamp" in value["metadata"]


def ready_of(value: Json) -> Ready:
    """Its Ready condition."""
    for condition in parts(value, "status", "conditions"):
        if condition["type"] == "Ready":
            return Ready(*(str(condition.get(name, "")) for name in Ready._fields))
    return Ready("", "", "")
