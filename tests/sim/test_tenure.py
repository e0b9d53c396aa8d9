"""Who may take a Lease, and when: each case by hand."""

from __future__ import annotations

import pytest

from warmclaim.api.lease import LEASE
from warmclaim.testing.sim.tenure import Tenure
from warmclaim.testing.store import ObjectStore

KEY = "default/the-lease"
DURATION_S = 15


class _Time:
    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        self.now_s += delay_s


class Rig:
    """A Lease and its judge; `breaches` are the promises that it says were broken."""

    def __init__(self, rate_max: float = 1.0) -> None:
        self.breaches: list[str] = []
        self._store, self._time = ObjectStore(), _Time()
        tenure = Tenure(self._time, rate_max, lambda promise, _: self.breaches.append(promise))
        self._store.observers.append(tenure.on_commit)

    def write(self, holder: str, after_s: float = 0.0) -> None:
        self._time.now_s += after_s
        spec = {"holderIdentity": holder, "leaseDurationSeconds": DURATION_S}
        namespace, name = KEY.split("/")
        metadata = {"namespace": namespace, "name": name, "uid": "u"}
        self._store.put(str(LEASE), KEY, {"metadata": metadata, "spec": spec})

    def delete(self) -> None:
        self._store.delete(str(LEASE), KEY)


@pytest.mark.parametrize(("after_s", "breaches"), [(14.9, ["S9"]), (15.0, [])])
def test_a_record_stands_for_its_duration(after_s: float, breaches: list[str]) -> None:
    rig = Rig()
    rig.write("m0-1")
    rig.write("m1-1", after_s)
    assert rig.breaches == breaches


def test_each_renewal_begins_it_anew() -> None:
    rig = Rig()
    rig.write("m0-1")
    rig.write("m0-1", 10)
    rig.write("m1-1", 10)
    assert rig.breaches == ["S9"]


def test_a_faster_clock_may_see_its_end_sooner() -> None:
    rig = Rig(rate_max=1.5)
    rig.write("m0-1")
    rig.write("m1-1", 10)
    assert rig.breaches == []


def test_the_next_life_of_the_same_manager_is_another_holder() -> None:
    rig = Rig()
    rig.write("m0-1")
    rig.write("m0-2", 1)
    assert rig.breaches == ["S9"]


@pytest.mark.parametrize("between", ["", "somebody-else"], ids=["given back", "taken by another"])
def test_what_is_free_may_be_taken_at_once(between: str) -> None:
    rig = Rig()
    rig.write("m0-1")
    rig.write(between, 1)
    rig.write("m1-1", 1)
    assert rig.breaches == []


def test_a_lease_that_was_deleted_is_another_one() -> None:
    rig = Rig()
    rig.write("m0-1")
    rig.delete()
    rig.write("m1-1", 1)
    assert rig.breaches == []
