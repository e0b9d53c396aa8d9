"""The volumes of a Sandbox: a PersistentVolumeClaim for each of its volume claim templates.

They are made before the pod, and outlive it: through suspension and the sandbox's own expiry. They
go with the sandbox, by their owner reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from warmclaim.api.meta import Object
from warmclaim.api.resources import VOLUME_CLAIM
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.owners import owner_reference
from warmclaim.domain.sandbox_children import (
    CreateChild,
    Hold,
    PatchChild,
    Problem,
    Step,
    child_of,
    hold_of,
    metadata_patch,
    not_owned,
    tracking,
)


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class VolumeTemplate(msgspec.Struct, frozen=True):
    """One of spec.volumeClaimTemplates."""

    metadata: _Metadata = _Metadata()
    spec: dict[str, Any] = {}


# Decoded anew each time: the spec becomes part of a body, and that is its caller's own.
_templates: msgspec.json.Decoder[list[VolumeTemplate] | None] = msgspec.json.Decoder(
    list[VolumeTemplate] | None
)


def volume_templates(sandbox: Sandbox) -> dict[str, VolumeTemplate]:
    """Each by the name of its volume claim, in order; empty for almost every sandbox.

    Raises msgspec.ValidationError where they have a shape that their schema forbids.
    """
    templates: list[VolumeTemplate] = _templates.decode(sandbox.spec.volume_claim_templates) or []
    return {f"{one.metadata.name}-{sandbox.metadata.name}": one for one in templates}


def volume_names(sandbox: Sandbox) -> tuple[str, ...]:
    """The names of its volume claims; none where the templates are malformed."""
    try:
        return tuple(volume_templates(sandbox))
    except msgspec.ValidationError:
        return ()


def volume_claim_for(sandbox: Sandbox, name: str, template: VolumeTemplate) -> dict[str, Any]:
    """The body of a create for one volume claim; the caller owns it."""
    given = template.metadata
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": sandbox.metadata.namespace,
        "labels": {**(given.labels or {}), **tracking(sandbox)},
        "ownerReferences": [owner_reference(sandbox)],
    }
    if given.annotations:
        metadata["annotations"] = given.annotations
    return {
        "apiVersion": VOLUME_CLAIM.api_version,
        "kind": VOLUME_CLAIM.kind,
        "metadata": metadata,
        "spec": template.spec,
    }


def volume_steps(sandbox: Sandbox, found: Mapping[str, Object]) -> Iterator[Step | Problem]:
    """For each volume that is not the sandbox's own yet, what is to be done about it. `found`: the
    claims that are there, by name. Own ones are never changed.

    Raises msgspec.ValidationError as `volume_templates` does.
    """
    for name, template in volume_templates(sandbox).items():
        child, claim = child_of(VOLUME_CLAIM, name), found.get(name)
        if claim is None:
            yield CreateChild(VOLUME_CLAIM, child, volume_claim_for(sandbox, name, template))
        elif hold_of(sandbox, claim) in (Hold.ALIEN, Hold.CLOSED):
            yield not_owned(VOLUME_CLAIM, claim, sandbox)
        elif patch := metadata_patch(sandbox, claim, labels=tracking(sandbox)):
            yield PatchChild(VOLUME_CLAIM, child, {"metadata": patch})
