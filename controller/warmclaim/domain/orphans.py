"""Sandboxes that carry a pool's label and have no owner: which of them the pool takes in.

Only what the pool itself would make, and what no claim can have had: a sandbox that somebody used
must never be handed out again. What is left alone stays as it is; it is somebody's, or somebody
has to look at it.
"""

from __future__ import annotations

import re
from typing import Final

from warmclaim.api import names
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.blueprint import Blueprint
from warmclaim.domain.reservation import ordinal_of
from warmclaim.domain.staleness import is_made_from

# What the API server makes of generateName.
_GENERATED: Final = re.compile(r"[a-z0-9]{5}")
_GENERATED_STEM_CHARS_MAX: Final = 58


def mark_of(sandbox: Sandbox) -> str | None:
    """The pool's mark on a sandbox that is nobody's; None where it has an owner in control, or is
    on its way out."""
    metadata = sandbox.metadata
    if metadata.is_deleting or metadata.controller_owner() is not None:
        return None
    return metadata.labels.get(names.LABEL_WARM_POOL)


def why_left_alone(sandbox: Sandbox, pool: Pool, blueprint: Blueprint) -> str | None:
    """None if `pool` may take in this sandbox, which carries its mark; else what speaks against
    it, in a few words."""
    if not _is_name_of(pool, sandbox.metadata.name):
        return "its name is none of this pool's"
    if sandbox.metadata.owner_references:
        return "it has other owners"
    if _shows_a_claim(sandbox):
        return "a claim has had it"
    if sandbox.spec.operating_mode != "Running" or sandbox.spec.shutdown_time is not None:
        return "it is not to run for as long as it is wanted"
    if not is_made_from(sandbox, blueprint):
        return "it was made from another blueprint"
    return None


def _is_name_of(pool: Pool, name: str) -> bool:
    if ordinal_of(pool.metadata.name, pool.metadata.uid, name) is not None:
        return True
    stem = f"{pool.metadata.name}-"[:_GENERATED_STEM_CHARS_MAX]
    return name.startswith(stem) and _GENERATED.fullmatch(name, len(stem)) is not None


def _shows_a_claim(sandbox: Sandbox) -> bool:
    labels, annotations = sandbox.metadata.labels, sandbox.metadata.annotations
    return (
        names.LABEL_CLAIM_UID in labels
        or names.ANNOTATION_CLAIM_METADATA in annotations
        or labels.get(names.LABEL_LAUNCH_TYPE, names.WARM) != names.WARM
        or labels.get(names.LABEL_CREATED_BY, "controller") != "controller"
        or names.LABEL_CLAIM_UID.encode() in bytes(sandbox.spec.pod_template)
    )
