"""The owner of what is made for it: the garbage collector deletes the one after the other."""

from __future__ import annotations

from typing import Any, Final

from warmclaim.api.claim import Claim
from warmclaim.api.pool import Pool
from warmclaim.api.resources import CLAIM, POOL, SANDBOX, TEMPLATE
from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template

_KINDS: Final = {kind.view: kind for kind in (CLAIM, POOL, SANDBOX, TEMPLATE)}


def owner_reference(owner: Claim | Pool | Sandbox | Template) -> dict[str, Any]:
    """`owner` as the controlling owner, as it is sent in metadata.ownerReferences."""
    kind = _KINDS[type(owner)]
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
