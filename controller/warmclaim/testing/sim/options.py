"""Swarm options: each seed turns on some of the faults and leaves out the others.

Rare combinations are reached that way, where a uniform mix of everything would drown them.
"""

from __future__ import annotations

from typing import Final

from warmclaim.testing.sim.case import Options, Uses
from warmclaim.testing.sim.dice import Dice
from warmclaim.testing.sim.faults import REQUEST_FAULTS
from warmclaim.testing.sim.sealing import ACTS as SEALED_ACTS

RATE_MIN, RATE_MAX = 0.002, 0.08
_CRASH_SHARE: Final = 0.1  # a crash costs a whole start
_WATCH_RATE_FACTOR: Final = 8.0  # few watches are opened, and each may break once

_PAST_RATE_FACTOR: Final = 60.0  # it strikes no list but one "not older than" what was seen

ACTS: Final = {
    # who and what, and the largest expected number for a whole run
    "claim.delete": 12.0,
    "claim.recreate": 10.0,
    "claim.assign": 6.0,
    "claim.churn": 1.0,
    "claim.swell": 3.0,
    "claim.prolong": 4.0,
    "claim.relabel": 4.0,
    "claim.suspend": 8.0,
    "claim.retire": 4.0,
    "pool.scale": 8.0,
    "pool.renew": 2.0,
    "pool.strategy": 3.0,
    "template.edit": 3.0,
    "template.manage": 3.0,
    "template.rush": 3.0,
    "template.renew": 1.5,
    "template.swell": 1.5,
    "namespace.renew": 1.0,
    "sandbox.delete": 8.0,
    "sandbox.hold": 4.0,
    "pod.delete": 6.0,
    "pod.flap": 8.0,
    "pod.address": 4.0,
    "pod.finish": 6.0,
    "policy.delete": 3.0,
    "policy.edit": 3.0,
    "policy.legacy": 2.0,
    "node.lose": 2.0,
    "clock.step": 3.0,
    "lease.delete": 2.0,
    "lease.garble": 3.0,
    "lease.flap": 1.5,
    "rbac.lose": 2.0,
    "crd.lose": 1.5,
    "api.outage": 2.0,
    "api.restart": 3.0,
    "server.freeze": 4.0,
    "server.thaw": 4.0,
    "server.switch": 5.0,
    "store.compact": 3.0,
    "manager.kill": 3.0,
    "manager.stop": 2.0,
    "manager.cut": 2.0,
    "hostile.label": 3.0,
    "hostile.owner": 3.0,
    "hostile.stranger": 3.0,
    "hostile.strip": 4.0,
    "hostile.orphan": 3.0,
    "hostile.second": 3.0,
    "hostile.status": 3.0,
    "hostile.clear": 3.0,
    "hostile.ready": 3.0,
    "hostile.squat": 2.0,
    "hostile.batch": 3.0,
    "hostile.policy": 1.5,
}
CONDITIONS: Final = (
    "A14.forbidden",  # a request met a closed namespace
    "B18.mute",  # a bookmark did not come
    "D5.rates",  # two managers, and one's clock is faster
)
CLASSES: Final = (*REQUEST_FAULTS, *ACTS, *CONDITIONS)
"""Everything that may strike, by the names under which it is counted."""

RARE_SHARE: Final = 0.15
_RARE: Final = frozenset(("claim.churn", "namespace.renew", "crd.lose"))
"""What empties or floods a namespace: where it happens, much else does not."""

SEALED_FROM: Final = 10_000_000
"""Seeds from here on are of runs with the seal on; what the others draw has nothing of it."""

CLOCK_RATE_MAX: Final = 1.45
_LEASES: Final = ((15.0, 10.0, 2.0), (60.0, 40.0, 10.0), (60.0, 40.0, 10.0), (6.0, 4.0, 1.0))


def drawn_options(seed: int) -> Options:
    """What this seed is about."""
    dice = Dice(seed)
    pools = dice.whole("pools", 1, 4)
    slow = dice.log_between("ready", 0.05, 5.0)
    return Options(
        seed=seed,
        leaders=dice.pick("leaders", ("one", "one", "elected", "two")),
        namespaces=min(dice.whole("namespaces", 1, 3), pools),
        replicas=tuple(_replicas(dice, number) for number in range(pools)),
        claims=1 + int(59 * dice.unit("claims") ** 0.8),
        span_s=round(dice.log_between("span", 4.0, 40.0), 3),
        burst=dice.pick("burst", (1.0, 2.0, 4.0)),
        claim_workers=dice.whole("claim workers", 1, 16),
        pool_workers=dice.whole("pool workers", 1, 3),
        sandbox_workers=dice.whole("sandbox workers", 1, 16),
        batch_items_max=dice.pick("batch", (1, 3, 10, 300)),
        claim_wait_s=dice.pick("wait", (0.0, 0.3, 2.0, 2.0)),
        page_items=dice.pick("page", (3, 20, 500)),
        watch_list=dice.chance("watch list", 0.5),
        lease_s=dice.pick("lease", _LEASES),
        shuffled=dice.chance("shuffled", 0.5),
        nodes=dice.whole("nodes", 1, 6),
        ready_s=(round(slow / 4, 4), round(slow, 4)),
        collector_s=(0.0, round(dice.log_between("collector", 0.01, 8.0), 4)),
        rates=_rates(dice),
        acts={
            name: round(dice.between(f"often {name}", 0.5, most), 3)
            for name, most in ACTS.items()
            if dice.chance(f"act {name}", RARE_SHARE if name in _RARE else 0.5)
        }
        | (SEALED_ACTS if seed >= SEALED_FROM else {}),
        servers=dice.pick("servers", (1, 1, 2, 3)),
        server_lag_s=round(dice.log_between("server lag", 0.01, 3.0), 4),
        bookmarks=not dice.chance("no bookmarks", 0.15),
        clock_rates=_clock_rates(dice),
        uses=_uses(dice, is_sealed=seed >= SEALED_FROM),
    )


def _uses(dice: Dice, *, is_sealed: bool) -> Uses:
    """Each on in a share of the seeds, so that simple worlds stay simple."""

    def share(name: str, most: float) -> float:
        is_on = dice.chance(f"uses {name}", 0.4)
        return round(dice.between(f"share {name}", 0.05, most), 3) if is_on else 0.0

    return Uses(
        brief_share=share("lifetimes", 0.5),
        dressed_share=share("metadata", 0.3),
        own_share=share("own", 0.2),
        grants_own=dice.chance("grants own", 0.8),
        recreate_share=share("recreate", 1.0),
        has_policies=dice.chance("policies", 0.4),
        is_inherited=dice.chance("inherited", 0.2),
        is_sealed=is_sealed,
    )


def _clock_rates(dice: Dice) -> tuple[float, float]:
    """Mostly equal; else one of the two is faster, by less than a Lease allows for."""
    if not dice.chance("clock rates", 0.2):
        return (1.0, 1.0)
    rate = round(dice.between("clock rate", 1.01, CLOCK_RATE_MAX), 3)
    return dice.pick("fast clock", ((1.0, rate), (rate, 1.0)))


def _replicas(dice: Dice, number: int) -> int:
    """0 to 30, small ones more often: their faults are found as well and they cost less."""
    return int(31 ** dice.unit(f"replicas {number}") ** 1.5) - dice.whole(f"less {number}", 0, 1)


def _rates(dice: Dice) -> dict[str, float]:
    rates: dict[str, float] = {}
    for name in REQUEST_FAULTS:
        if not dice.chance(f"fault {name}", 0.5):
            continue
        rate = dice.log_between(f"rate {name}", RATE_MIN, RATE_MAX)
        if name.startswith("C1."):
            rate *= _CRASH_SHARE
        if name == "B15.past":
            rate = min(rate * _PAST_RATE_FACTOR, 0.6)
        elif name.startswith("B"):
            rate = min(rate * _WATCH_RATE_FACTOR, 0.2)
        rates[name] = round(rate, 6)
    return rates
