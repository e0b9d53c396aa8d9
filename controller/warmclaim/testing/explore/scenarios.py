"""The scenarios of the exploration: one entry each in `SCENARIOS`.

A scenario is a fixed world and fixed actions at fixed times; nothing in it is drawn. Its pools
are full within about half a second, at `BURST_S` the claims come, and at the end of its span the
manager has had nothing to do for a while.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from warmclaim.testing.sim.case import Action, Options, Uses
from warmclaim.testing.sim.hands import REPLICAS_MAX
from warmclaim.testing.sim.workload import claim_target, pool_target

BURST_S: Final = 2.0
_GAP_S: Final = 0.002  # between two claims of a burst; the two writes of one take 1 to 25 ms
SERVED_S: Final = 8.0
"""In that time a burst is served, also by a manager that had to begin anew."""

ENDS: Final = (0.001, 0.025, 0.05, 0.09, 0.001, 0.025, 0.05, 0.09)
"""For claims: over at once or within two seconds, by each of the policies."""

RETIREMENTS: Final = (0.01, 0.08)
"""For sandboxes: over at once, and deleted then; over in a second, and kept."""

_SETTLE_S: Final = 2.5  # after the last action: refill waits up to 1 s for its turn

_WORLD: Final = Options(
    seed=1,
    leaders="one",
    namespaces=1,
    replicas=(),
    claims=0,
    span_s=0.0,
    burst=1.0,
    claim_workers=8,
    pool_workers=1,
    sandbox_workers=8,
    batch_items_max=300,
    claim_wait_s=2.0,
    page_items=500,
    watch_list=False,
    lease_s=(6.0, 4.0, 1.0),
    shuffled=False,
    nodes=2,
    ready_s=(0.02, 0.1),
    collector_s=(0.0, 0.05),
    rates={},
    acts={},
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A world, what happens in it, and whether it is small enough for all pairs of crashes."""

    name: str
    about: str
    options: Options
    actions: tuple[Action, ...]
    is_small: bool


def _scenario(
    name: str,
    about: str,
    *happenings: Iterator[Action],
    replicas: tuple[int, ...],
    is_small: bool = False,
    **changes: Any,
) -> Scenario:
    """`changes` to the options of the common world."""
    actions = tuple(sorted((a for some in happenings for a in some), key=lambda action: action.at))
    claims = sum(action.do == "claim.create" for action in actions)
    span_s = max(action.at for action in actions) + _SETTLE_S
    changed = {"replicas": replicas, "claims": claims, "span_s": span_s, **changes}
    options = msgspec.structs.replace(_WORLD, **changed)
    return Scenario(name, about, options, actions, is_small)


def _claims(
    count: int, *, at: float = BURST_S, first: int = 0, spaces: int = 1
) -> Iterator[Action]:
    """A burst of claims, in as many namespaces by turns."""
    world = msgspec.structs.replace(_WORLD, namespaces=spaces)
    for number in range(count):
        target = claim_target(world, first + number)
        yield Action(round(at + number * _GAP_S, 4), "claim.create", target)


def _to_claims(do: str, numbers: range, *, after_s: float, each_s: float = 0.0) -> Iterator[Action]:
    """Something happens to the claims of the burst: `after_s` after each was made, and `each_s`
    later for each further one, so that every state between its two writes is met."""
    for place, number in enumerate(numbers):
        at = BURST_S + number * _GAP_S + after_s + place * each_s
        yield Action(round(at, 4), do, claim_target(_WORLD, number))


def _scale(replicas: int, *, at: float) -> Iterator[Action]:
    """The first pool gets another size, 0 or 3 to 30."""
    x = math.log(replicas + 0.5) / math.log(REPLICAS_MAX + 1) if replicas else 0.0
    yield Action(at, "pool.scale", pool_target(_WORLD_OF_ONE_POOL, 0), x)


def _each(at: float, do: str, xs: Sequence[float], *, first: int = 0) -> Iterator[Action]:
    """Something happens to as many claims, to each with a number of its own."""
    for place, x in enumerate(xs):
        target = claim_target(_WORLD, first + place)
        yield Action(round(at + place * 0.003, 4), do, target, x)


def _once(at: float, do: str, target: str, x: float = 0.0) -> Iterator[Action]:
    yield Action(at, do, target, x)


_WORLD_OF_ONE_POOL: Final = msgspec.structs.replace(_WORLD, replicas=(1,))

SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        _scenario(
            "warm-burst",
            "20 claims, a pool of 24",
            _claims(20),
            replicas=(24,),
        ),
        _scenario(
            "burst-above-pool",
            "12 claims, a pool of 6: warm, waiting and cold",
            _claims(12),
            replicas=(6,),
            claim_wait_s=0.3,
        ),
        _scenario(
            "empty-pool",
            "8 claims take the whole pool; 4 more wait for its refill",
            _claims(8),
            _claims(4, at=BURST_S + 0.1, first=8),
            replicas=(8,),
        ),
        _scenario(
            "scale-up",
            "a pool of 6 is to have 16 during a burst of 6",
            _claims(6),
            _scale(16, at=BURST_S + 0.01),
            replicas=(6,),
        ),
        _scenario(
            "scale-down",
            "a pool of 16 is to have 5 during a burst of 8",
            _claims(8),
            _scale(5, at=BURST_S + 0.01),
            replicas=(16,),
        ),
        _scenario(
            "claim-delete",
            "8 of 12 claims are deleted before, between and after their two writes",
            _claims(12),
            _to_claims("claim.delete", range(8), after_s=0.0005, each_s=0.003),
            replicas=(12,),
        ),
        _scenario(
            "claim-recreate",
            "8 of 10 claims are deleted and made again under their names, at once",
            _claims(10),
            _to_claims("claim.recreate", range(8), after_s=0.0005, each_s=0.003),
            replicas=(10,),
        ),
        _scenario(
            "sandbox-lost",
            "4 of 8 claims lose their sandboxes after they were given them",
            _claims(8),
            _to_claims("claim.lose", range(4), after_s=0.02, each_s=0.2),
            replicas=(10,),
        ),
        _scenario(
            "leader-handover",
            "the leader is stopped in a burst, the next one killed in another",
            _claims(6),
            _once(BURST_S + 0.006, "manager.stop", "m0"),
            _claims(6, at=BURST_S + 3.0, first=6),
            _once(BURST_S + 3.006, "manager.kill", "m1"),
            _claims(2, at=BURST_S + 12.0, first=12),
            replicas=(8,),
            leaders="elected",
        ),
        _scenario(
            "namespace-deletion",
            "one of two namespaces ends in a burst and is made again",
            _claims(10, spaces=2),
            _once(BURST_S + 0.012, "namespace.delete", "ns-0"),
            _once(BURST_S + 2.0, "admin.found", ""),
            replicas=(6, 6),
            namespaces=2,
        ),
        _scenario(
            "claim-expiry",
            "8 of 10 claims end before, between and after their two writes, by each policy",
            _claims(10),
            _each(BURST_S + 0.0005, "claim.prolong", ENDS),
            _each(BURST_S + 0.02, "claim.prolong", ENDS[:2]),
            replicas=(8,),
            uses=Uses(brief_share=1.0),
        ),
        _scenario(
            "template-recreate",
            "the template of a pool that replaces stale members is edited before a second burst",
            _claims(4),
            _once(SERVED_S, "template.edit", pool_target(_WORLD_OF_ONE_POOL, 0), 0.5),
            _claims(4, at=SERVED_S + 0.003, first=4),
            replicas=(6,),
            uses=Uses(recreate_share=1.0),
        ),
        _scenario(
            "template-policy",
            "a template's policy is deleted, opened, given up and taken up again",
            _once(0.0, "template.manage", "ns-0/", 0.1),  # rules of its own: no pod depends on it
            _claims(2),
            _once(BURST_S, "policy.delete", "ns-0/"),
            _once(BURST_S + 0.5, "policy.edit", "ns-0/"),
            _once(BURST_S + 0.6, "policy.legacy", "ns-0/"),
            _once(BURST_S + 1.0, "template.manage", "ns-0/", 0.9),
            _once(BURST_S + 1.5, "template.manage", "ns-0/", 0.9),
            replicas=(2,),
            uses=Uses(has_policies=True),
        ),
        _scenario(
            "suspend-and-retire",
            "4 of 6 sandboxes are suspended, 2 of them run again; 2 end by themselves",
            _claims(6),
            _each(SERVED_S, "claim.suspend", (0.0,) * 4),
            _each(2 * SERVED_S, "claim.suspend", (0.0,) * 2),
            _each(2 * SERVED_S, "claim.retire", RETIREMENTS, first=4),
            replicas=(4,),
        ),
        _scenario(
            "small-burst",
            "2 claims, a pool of 2",
            _claims(2),
            replicas=(2,),
            is_small=True,
        ),
        _scenario(
            "small-cold",
            "2 claims, a pool of 1",
            _claims(2),
            replicas=(1,),
            claim_wait_s=0.0,
            is_small=True,
        ),
        _scenario(
            "small-scale",
            "a claim, a pool of 1 that is to have 3",
            _claims(1),
            _scale(3, at=BURST_S + 0.004),
            replicas=(1,),
            is_small=True,
        ),
        _scenario(
            "small-recreate",
            "a claim is made again while it is served, a pool of 2",
            _claims(1),
            _to_claims("claim.recreate", range(1), after_s=0.006),
            replicas=(2,),
            is_small=True,
        ),
    )
}
