"""Creates that a pool has reserved and nobody has seen yet."""

from __future__ import annotations

from warmclaim.api.meta import ObjectKey
from warmclaim.api.names import ANNOTATION_RESERVATION
from warmclaim.api.pool import Pool
from warmclaim.api.sandbox import Sandbox
from warmclaim.domain.reservation import member_name, parse_reservation
from warmclaim.kube.store import Store


def outstanding_creates(pool: Pool, sandboxes: Store[Sandbox]) -> int:
    """How many members of the last batch are still to come. O(batch).

    Read from the pool's annotation, so a claim controller in another process than the pool
    controller knows it too.
    """
    reservation = parse_reservation(pool.metadata.annotations.get(ANNOTATION_RESERVATION))
    if reservation is None:
        return 0
    namespace, name = pool.metadata.key
    uid = pool.metadata.uid
    keys = (ObjectKey(namespace, member_name(name, uid, n)) for n in reservation.ordinals)
    return sum(1 for key in keys if sandboxes.get(key) is None)
