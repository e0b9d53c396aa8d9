"""The named indexes of the caches, so that no pass reads a whole kind."""

from __future__ import annotations

from warmclaim.api.claim import Claim
from warmclaim.api.meta import Object
from warmclaim.api.names import LABEL_NAME_HASH, name_hash
from warmclaim.api.pod import Pod
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.eligibility import pool_owner
from warmclaim.domain.orphans import mark_of

BY_OWNER_UID = "owner-uid"
BY_NAME_HASH = "name-hash"
BY_OWNING_POOL = "owning-pool"
BY_ASKED_POOL = "asked-pool"
BY_TEMPLATE = "template"
BY_MARK = "pool-mark"


def owner_uid_of(obj: Object) -> list[str]:
    """Uid of the controlling owner, whatever its kind."""
    owner = obj.metadata.controller_owner()
    return [owner.uid] if owner else []


def name_hash_of(pod: Pod) -> list[str]:
    """The tracking label, by which Services find pods; two sandboxes' names may share it."""
    hashed = pod.metadata.labels.get(LABEL_NAME_HASH)
    return [f"{pod.metadata.namespace}/{hashed}"] if hashed else []


def owning_pool_of(sandbox: Sandbox) -> list[str]:
    """The pool that a sandbox's owner names; its uid is not compared yet."""
    owner = pool_owner(sandbox)
    return [f"{sandbox.metadata.namespace}/{owner.name}"] if owner else []


def asked_pool_of(claim: Claim) -> list[str]:
    """The pool that a claim asks for as long as it has no sandbox."""
    if claim.published or claim.metadata.is_deleting:
        return []
    return [f"{claim.metadata.namespace}/{claim.spec.warm_pool_ref.name}"]


def template_of(pool: Pool) -> list[str]:
    """The template that a pool uses."""
    return [f"{pool.metadata.namespace}/{pool.spec.sandbox_template_ref.name}"]


def mark_of_orphan(sandbox: Sandbox) -> list[str]:
    """The pool's mark on a sandbox that has no owner in control."""
    mark = mark_of(sandbox)
    return [f"{sandbox.metadata.namespace}/{mark}"] if mark else []


def mark_of_pool(pool: Pool) -> list[str]:
    """The mark that a pool puts on its members; two pools may have the same."""
    return [f"{pool.metadata.namespace}/{name_hash(pool.metadata.name)}"]
