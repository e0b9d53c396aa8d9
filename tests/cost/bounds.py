"""What a claim, a pick and an event may cost, in counts that are the same on every machine.

A bound is what is needed and no more, so that a change that costs more shows at once. Who raises
one says here what is bought with it.
"""

from __future__ import annotations

# --- one warm claim, all controllers with their default flags (test_claim_cost)

REQUESTS_EACH = {
    "patch sandboxes": 1,  # the reservation: the sandbox goes from the pool to the claim
    "patch sandboxclaims/status": 1,  # the publication: the claim is Ready
    "patch sandboxclaims": 1,  # after Ready: when it was seen first and Ready first, its trace
    "create events": 1,  # after Ready: one Event that says which sandbox it got
    "patch pods": 1,  # after Ready: the pod's labels follow its new owner
    "create sandboxes": 1,  # refill: the member that takes the given one's place
    "create pods": 1,  # refill: its pod
    "patch sandboxes/status": 1,  # refill: its pod is Ready; said once, not for each step before
}
"""Requests for each claim by kind. Any other kind, a read above all, is one too many."""
POOL_WRITES_MAX = {
    "patch sandboxwarmpools": 4,  # creations are reserved before they are sent, many at once
    "patch sandboxwarmpools/status": 4,  # counts follow, events of 200 ms together
}
"""Writes to the pool in a whole burst, however many claims it has."""

# --- a move of a queue, in searches by bisection: each makes log2 n comparisons

BISECTIONS_MAX = 6
"""Of the warm queue, a pick above all (test_queue_cost). The rank of a node out, an arrival out or
in, the rank in again; twice, for two nodes."""
LINE_BISECTIONS_MAX = 4
"""Of the work queue (test_workqueue_cost). Out of one place and into another, each a search in
parts and in a part."""

# --- one watch event, in blocks of the allocator that stay in use (test_event_cost)

EVENT_BLOCKS_MAX = {
    "sandbox": 38,  # 36 with one condition, one owner, five labels, one container
    "pod": 37,  # 35 likewise
    "claim": 15,  # 13 before it has a status
}
"""What a decoded object holds until its parts are shared with others. Two are left for another
version of the interpreter; a field more is one to three."""
KEPT_BLOCKS_MAX = 100
"""What nine thousand further events of the same objects may leave behind in the cache: nothing, but
for a dictionary that happened to grow."""
