"""Which sandboxes may be handed out, by owner uid and never by label alone."""

from __future__ import annotations

from enum import StrEnum

from warmclaim.api.meta import OwnerReference
from warmclaim.api.names import (
    EXTENSIONS_GROUP,
    LABEL_TEMPLATE_REF,
    LABEL_WARM_POOL,
    name_hash,
)
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox


class Refusal(StrEnum):
    """Why a sandbox is not handed out (a closed set: it becomes a metric label)."""

    DELETING = "deleting"
    NO_POOL_OWNER = "no_pool_owner"
    POOL_GONE = "pool_gone"
    OTHER_POOL_UID = "other_pool_uid"
    LABEL_MISMATCH = "label_mismatch"
    STALE = "stale"
    MALFORMED = "malformed"
    MANY_CONTROLLERS = "many_controllers"
    UNSEALED = "unsealed"


def pool_owner(sandbox: Sandbox) -> OwnerReference | None:
    """The controlling owner, if it claims to be a pool. Its uid is still to be compared."""
    return sandbox.metadata.controlled_by("SandboxWarmPool", EXTENSIONS_GROUP)


def claim_owner(sandbox: Sandbox) -> OwnerReference | None:
    """The controlling owner, if it claims to be a claim."""
    return sandbox.metadata.controlled_by("SandboxClaim", EXTENSIONS_GROUP)


def why_not_adoptable(sandbox: Sandbox, pool: Pool | None) -> Refusal | None:
    """None if `sandbox` is a warm member of `pool` (the live pool of the owner's name).

    Anyone with edit rights can set a label or copy an owner's name; the uid of the live pool is
    what counts, so members of a pool that was deleted and made again are refused too.
    """
    if sum(owner.controller is True for owner in sandbox.metadata.owner_references) > 1:
        return Refusal.MANY_CONTROLLERS  # the API server admits one; who wins must not be guessed
    owner = pool_owner(sandbox)
    if owner is None:
        return Refusal.NO_POOL_OWNER
    if sandbox.metadata.is_deleting:
        return Refusal.DELETING
    if pool is None:
        return Refusal.POOL_GONE
    if owner.uid != pool.metadata.uid or owner.name != pool.metadata.name:
        return Refusal.OTHER_POOL_UID
    labels = sandbox.metadata.labels
    if labels.get(LABEL_WARM_POOL) != name_hash(pool.metadata.name):
        return Refusal.LABEL_MISMATCH
    if LABEL_TEMPLATE_REF not in labels:
        return Refusal.LABEL_MISMATCH  # its pod would be outside of the template's NetworkPolicy
    return None
