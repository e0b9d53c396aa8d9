"""How the schema of a custom kind bears on a write. Pure."""

from __future__ import annotations

from warmclaim.testing import refusals
from warmclaim.testing.json_values import Json
from warmclaim.testing.target import Target


def admitted(target: Target, value: Json, old: Json | None) -> Json:
    """`value` pruned and with defaults, as far as it is not the very same as in `old`."""
    structure = target.kind.structures.get(target.in_version)
    return value if structure is None else structure.admitted(value, old)


def validate(target: Target, value: Json, old: Json | None) -> None:
    """Refuses (422) a value that breaks the schema; a write to the status is judged by that of
    the status alone."""
    kind = target.kind
    structure = kind.structures.get(target.in_version)
    if structure is None:
        return
    if target.subresource == "status":
        inner = structure.properties.get("status")
        if inner is None or "status" not in value:
            return
        before = None if old is None else old.get("status")
        # Messages name the field from the status on, causes from the object.
        causes = [
            {**problem.cause, "field": f"status.{problem.field}"}
            for problem in inner.problems(value["status"], before)
        ]
    else:
        causes = [problem.cause for problem in structure.problems(value, old)]
    if causes:
        raise refusals.invalid(kind.kind, kind.group, target.name, causes)
