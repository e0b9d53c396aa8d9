"""The small worlds that two leaders are let loose on."""

from __future__ import annotations

from typing import Final

from warmclaim.api.resources import CLAIM, SANDBOX
from warmclaim.testing.builders import a_claim, a_pool, a_sandbox, a_template
from warmclaim.testing.explore.race import World
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.objects import controller_of, is_deleting, published_by
from warmclaim.testing.store import ObjectStore

MEMBERS: Final = 2


def claim_problems(store: ObjectStore) -> list[str]:
    """Each claim has one sandbox, the one that it shows."""
    owned = _by_owner(store)
    problems: list[str] = []
    for commit in store.scan(str(CLAIM)):
        name, shown = commit.key, published_by(commit.object)
        mine = [s["metadata"]["name"] for s in owned.get(commit.object["metadata"]["uid"], [])]
        if not shown:
            problems.append(f"L1 {name} has no sandbox")
        elif shown not in mine:
            problems.append(f"L1 {name} shows {shown}, which it does not own")
        if len(mine) > 1:
            problems.append(f"L3 {name} keeps {', '.join(mine)}")
    return problems


def _claim_ending(store: ObjectStore) -> str:
    return " ".join(
        f"{commit.object['metadata']['name']}={published_by(commit.object) or '?'}"
        for commit in store.scan(str(CLAIM))
    )


def _pool_problems(store: ObjectStore) -> list[str]:
    count = store.count(str(SANDBOX))
    return [] if count == MEMBERS else [f"L4 {count} members, {MEMBERS} wanted"]


def _pool_ending(store: ObjectStore) -> str:
    names = (commit.object["metadata"]["name"] for commit in store.scan(str(SANDBOX)))
    return " ".join(f"#{int(name.rpartition('-')[2][5:], 36)}" for name in names)


def _by_owner(store: ObjectStore) -> dict[str, list[Json]]:
    owned: dict[str, list[Json]] = {}
    for commit in store.scan(str(SANDBOX)):
        owner = controller_of(commit.object)
        if owner is not None and not is_deleting(commit.object):
            owned.setdefault(owner.uid, []).append(commit.object)
    return owned


_EMPTY_POOL: Final = (a_template(), a_pool(replicas=MEMBERS))

WORLDS: Final[dict[str, World]] = {
    "claims": World(
        "claim",
        (
            a_template(),
            a_pool(replicas=2),
            *(a_sandbox(name) for name in ("w0", "w1")),
            *(a_claim(name) for name in ("c0", "c1")),
        ),
        claim_problems,
        _claim_ending,
    ),
    "pool": World("pool", _EMPTY_POOL, _pool_problems, _pool_ending),
    # Two reservations after each other: whoever sees only the second must not count too few.
    "batches": World("pool", _EMPTY_POOL, _pool_problems, _pool_ending, batch_items_max=1),
}
