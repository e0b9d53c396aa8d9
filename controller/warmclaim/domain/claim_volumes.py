"""Volume claim templates of a claim, put beside those of the template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

from warmclaim.domain.wording import shown

ALLOWED, OVERRIDES = "Allowed", "Overrides"

VolumeClaim: TypeAlias = dict[str, Any]


class VolumesRejected(Exception):
    """The template does not allow it, or a list is malformed; the text is for the claim."""


def merged_volumes(
    template: Sequence[VolumeClaim], claim: Sequence[VolumeClaim], policy: str
) -> list[VolumeClaim]:
    """The template's, then the claim's; under Overrides those of the same name in place.

    Raises VolumesRejected.
    """
    if not claim:
        _names(template, "invalid volume claim templates in template: ")
        return list(template)
    prefix = "failed to merge volume claim templates: "
    names = _names(template, prefix + "invalid volume claim templates in template: ")
    wanted = _names(claim, prefix + "invalid volume claim templates in claim: ")
    if policy not in (ALLOWED, OVERRIDES):
        raise VolumesRejected(prefix + "volume claim templates are disallowed by the template")
    merged = list(template)
    places = {name: number for number, name in enumerate(names)}
    for name, volume in zip(wanted, claim, strict=True):
        place = places.get(name)
        if place is None:
            merged.append(volume)
        elif policy == OVERRIDES:
            merged[place] = volume
        else:
            raise VolumesRejected(
                f"{prefix}overriding volume claim templates is forbidden by the template: cannot "
                f'override template volume "{shown(name)}"'
            )
    return merged


def _names(volumes: Sequence[VolumeClaim], prefix: str) -> list[str]:
    """Their names, in order. Each has one, and no two have the same."""
    names: list[str] = []
    for number, volume in enumerate(volumes):
        name = _name_of(volume)
        if not name:
            raise VolumesRejected(f"{prefix}name at index {number} is empty")
        if name in names:
            raise VolumesRejected(f'{prefix}duplicate name "{shown(name)}"')
        names.append(name)
    return names


def _name_of(volume: object) -> str:
    """Its name; "" where it has none. A list that no schema admitted may hold anything."""
    name: object = volume
    for member in ("metadata", "name"):
        name = cast(VolumeClaim, name).get(member) if isinstance(name, dict) else None
    return name if isinstance(name, str) else ""
