"""What the chaos runs draw, see and measure."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from e2e.chaos.etcd import Change
from e2e.chaos.faults import FAULTS_PER_ROUND, Fault, Kind, draw_round
from e2e.chaos.recovery import Goals, Strike, alone, first_adoption, rows, table, too_slow
from e2e.chaos.stored import CLAIM_KIND, CLAIMS, POOL_KIND, POOLS, SANDBOXES, Place, key_of
from e2e.chaos.world import Adoption, Renewal, World

GOALS = Goals(lease_s=6.0)


def test_a_seed_gives_the_same_faults_in_any_process() -> None:
    told = "; ".join(str(fault) for number in range(8) for fault in draw_round(7, number))
    program = (
        "from e2e.chaos.faults import draw_round\n"
        "print('; '.join(str(f) for n in range(8) for f in draw_round(7, n)))"
    )
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == told
    assert told != "; ".join(str(fault) for number in range(8) for fault in draw_round(8, number))


def test_all_kinds_come_before_one_comes_twice_and_in_order_of_time() -> None:
    rounds = [draw_round(3, number) for number in range(2 * len(Kind))]
    kinds = [fault.kind for faults in rounds for fault in faults]
    assert len(kinds) == 2 * FAULTS_PER_ROUND * len(Kind)
    for first in range(0, len(kinds), len(Kind)):
        assert set(kinds[first : first + len(Kind)]) == set(Kind)
    for faults in rounds:
        assert [fault.at_s for fault in faults] == sorted(fault.at_s for fault in faults)


def test_the_first_fault_can_be_chosen_and_nothing_else_changes() -> None:
    drawn, chosen = draw_round(3, 1), draw_round(3, 1, Kind.LEADER_TERM)
    assert chosen[0].kind is Kind.LEADER_TERM
    assert [fault.kind for fault in chosen[1:]] == [fault.kind for fault in drawn[1:]]
    assert [fault.at_s for fault in chosen] == [fault.at_s for fault in drawn]


def strike(kind: Kind, struck_s: float = 10.0, **known: Any) -> Strike:
    """A strike of this kind at revision 100, when node_1 led."""
    made = Strike(Fault(kind, struck_s), "it", struck_s, "node_1", 100)
    made.since_s = struck_s
    for name, value in known.items():
        setattr(made, name, value)
    return made


def test_after_a_leader_only_the_next_leaders_adoption_counts() -> None:
    adoptions = [Adoption(11.0, 101, 50), Adoption(16.5, 120, 60)]
    renewals = [Renewal(10.1, 99, "node_1"), Renewal(10.9, 102, ""), Renewal(16.0, 110, "node_2")]
    for kind in (Kind.LEADER_KILL, Kind.LEADER_TERM, Kind.LEADER_STOP):
        assert first_adoption(strike(kind), adoptions, renewals, 0.0) == 16.5
        assert first_adoption(strike(kind), adoptions, renewals[:2], 0.0) is None
        assert first_adoption(strike(kind), adoptions[:1], renewals, 0.0) is None


def test_a_stopped_leader_may_come_back_as_the_leader() -> None:
    adoptions = [Adoption(16.5, 120, 60)]
    under_way, back = Renewal(10.9, 101, "node_1"), Renewal(16.0, 110, "node_1")
    stopped = strike(Kind.LEADER_STOP)
    assert first_adoption(stopped, adoptions, [under_way, back], 0.0) is None
    stopped.lifted_s = 15.0
    assert first_adoption(stopped, adoptions, [under_way], 0.0) is None
    assert first_adoption(stopped, adoptions, [under_way, back], 0.0) == 16.5
    assert first_adoption(strike(Kind.LEADER_KILL), adoptions, [under_way, back], 0.0) is None


def test_after_a_reset_only_a_new_claim_counts() -> None:
    adoptions = [Adoption(10.1, 101, 90), Adoption(10.4, 105, 102)]
    assert first_adoption(strike(Kind.RESET), adoptions, [], 0.0) == 10.4
    assert first_adoption(strike(Kind.STANDBY_KILL), adoptions, [], 0.0) == 10.1


def test_recovery_counts_from_its_moment_and_is_never_negative() -> None:
    adoptions = [Adoption(1014.0, 101, 90)]
    killed = strike(Kind.API_SERVER_KILL, since_s=None)
    assert first_adoption(killed, adoptions, [], 1000.0) is None
    killed.since_s = 13.5
    killed.adopted_s = first_adoption(killed, adoptions, [], 1000.0)
    assert killed.recovery_s == 0.5
    killed.since_s = 15.0
    assert killed.recovery_s == 0.0


def test_disturbed_strikes_are_counted_and_not_shown() -> None:
    first = strike(Kind.LEADER_KILL, 2.0, over_s=6.0, adopted_s=8.5)
    second = strike(Kind.ETCD_KILL, 8.0, since_s=9.0, over_s=9.0, adopted_s=9.2)
    third = strike(Kind.LEADER_TERM, 20.0, over_s=23.0, adopted_s=20.7)
    assert alone([first, second, third]) == [third]
    late = strike(Kind.RESET, 22.0, over_s=22.0, adopted_s=22.1)
    assert alone([third, late]) == [third]
    found = {row.kind: row for row in rows([[first, second, third]], GOALS)}
    assert (found[Kind.ETCD_KILL].struck, found[Kind.ETCD_KILL].figures_s) == (1, [])
    assert found[Kind.LEADER_TERM].figures_s == [pytest.approx(0.7)]
    assert (found[Kind.LEADER_TERM].is_held, found[Kind.ETCD_KILL].is_held) == (True, None)
    assert "held" in table(found.values())


def test_what_is_far_beyond_its_goal_fails() -> None:
    slow = strike(Kind.LEADER_TERM, 5.0, over_s=7.0, adopted_s=30.0)
    missed = strike(Kind.LEADER_TERM, 5.0, over_s=7.0, adopted_s=8.0)
    free = strike(Kind.DELAY, 5.0, over_s=7.0, adopted_s=60.0)
    assert [text.partition(":")[0] for text in too_slow([slow], GOALS)] == ["leader-term at 5.0 s"]
    assert too_slow([missed], GOALS) == []
    assert too_slow([free], GOALS) == []
    (row,) = rows([[missed]], GOALS)
    assert row.is_held is False


class Growing:
    """A world that is told one commit after the other."""

    def __init__(self) -> None:
        self.world = World()
        self.revision = 1

    def put(
        self, plural: str, name: str, owner: tuple[str, str] | None = None, **body: Any
    ) -> None:
        """Write an object that is Ready, with uid `uid-<name>`."""
        meta: dict[str, Any] = {"uid": f"uid-{name}"}
        if owner is not None:
            kind, whose = owner
            reference = {"kind": kind, "name": whose, "uid": f"uid-{whose}", "controller": True}
            meta["ownerReferences"] = [reference]
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        thing = {"metadata": meta, "status": ready | body.pop("status", {}), **body}
        self._enter(plural, name, json.dumps(thing).encode())

    def delete(self, plural: str, name: str) -> None:
        """Delete an object."""
        self._enter(plural, name, None)

    def _enter(self, plural: str, name: str, value: bytes | None) -> None:
        self.revision += 1
        key = key_of(Place(plural, "ns", name))
        self.world.enter(Change(self.revision, key, value, float(self.revision)))

    def missing(self) -> str:
        """What is missing for one claim `c` on the pool `pool`."""
        return "; ".join(self.world.missing("ns", ["c"], "pool"))


def test_a_world_says_what_is_missing_until_nothing_is() -> None:
    grown = Growing()
    assert grown.missing() == "1 claims: c is not there; the pool is not there"
    grown.put(POOLS, "pool", spec={"replicas": 1})
    grown.put(CLAIMS, "c")
    grown.put(SANDBOXES, "a", (POOL_KIND, "pool"))
    assert grown.missing() == "1 claims: c has no sandbox"
    grown.put(CLAIMS, "c", status={"sandbox": {"name": "a"}})
    assert "which it does not own" in grown.missing()
    grown.put(SANDBOXES, "a", (CLAIM_KIND, "c"))
    assert grown.missing() == "pool: 0 members, 0 of them Ready, of 1"
    grown.put(SANDBOXES, "b", (POOL_KIND, "pool"))
    assert grown.missing() == ""
    grown.put(SANDBOXES, "extra", (CLAIM_KIND, "c"))
    assert grown.missing() == "1 claims: c owns 2 sandboxes"
    grown.put(SANDBOXES, "extra", (CLAIM_KIND, "gone"))
    assert grown.missing() == "1 orphans: extra of SandboxClaim gone"
    assert [(one.revision, one.claim_revision) for one in grown.world.adoptions] == [
        (6, 3),
        (8, 3),
        (9, 0),
    ]


def test_a_world_is_empty_when_the_last_object_has_gone() -> None:
    grown = Growing()
    grown.put(CLAIMS, "c")
    assert not grown.world.is_empty("ns")
    assert grown.world.is_empty("other")
    grown.delete(CLAIMS, "c")
    assert grown.world.is_empty("ns")


def test_the_holder_is_read_out_of_a_stored_lease() -> None:
    world = World()
    holder = f"{platform.node()}_0123abcd"
    stored = b"k8s\x00\n\x1f metadata \x12\x05 f:holderIdentity \n" + holder.encode() + b"\x10\x06"
    world.enter_lease(Change(7, "/registry/leases/ns/x", stored, 1.0))
    assert world.holder == holder
    world.enter_lease(Change(8, "/registry/leases/ns/x", b"k8s\x00 released", 2.0))
    assert world.holder == ""
    assert [Counter(one.holder for one in world.renewals)[holder], len(world.renewals)] == [1, 2]
    world.forget_moments()
    assert len(world.renewals) == 1
