"""The queue's names for things and the API's: same words, no dependency between them."""

from __future__ import annotations

from warmclaim.api.meta import ObjectKey
from warmqueue import PoolKey, SandboxKey


def sandbox_key(key: ObjectKey) -> SandboxKey:
    """The sandbox's name in the warm queue."""
    return SandboxKey(key.namespace, key.name)


def pool_key(key: ObjectKey) -> PoolKey:
    """The pool's name in the warm queue."""
    return PoolKey(key.namespace, key.name)


def object_key(key: SandboxKey | PoolKey) -> ObjectKey:
    """The name under which the caches know it."""
    return ObjectKey(key.namespace, key.name)
