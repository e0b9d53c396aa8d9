"""S5 and S11 are planted, each form once; and what looks like it and is none."""

from __future__ import annotations

import pytest
from tests.sim.wired import Wired, builders, in_ns, item

from warmclaim.api.resources import CLAIM, POOL, SANDBOX
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.borders import Borders
from warmclaim.testing.sim.wire import Audience

HERE = "00000001-0000-4000-8000-000000000001"
ELSEWHERE = "00000002-0000-4000-8000-000000000002"


@pytest.fixture
def world() -> Wired:
    """A claim here, and one in another namespace; a pass over the claim here."""
    wired = Wired()
    borders = Borders(wired.report)
    wired.store.observers.append(borders.on_commit)
    wired.judged_by(Audience([borders]))
    wired.put(in_ns(builders.a_claim, "c", merge=uid(HERE)))
    wired.put(builders.a_claim("c", namespace="ns-1", merge=uid(ELSEWHERE)))
    wired.begin()
    return wired


def uid(value: str) -> Json:
    return {"metadata": {"uid": value}}


def sandbox_of(claim_uid: str, namespace: str = "ns-0") -> Json:
    owner = builders.an_owner(CLAIM, "c", uid=claim_uid)
    merge: Json = {"metadata": {"ownerReferences": [owner]}}
    return builders.a_sandbox("w1", namespace=namespace, merge=merge)


def test_an_owner_of_another_namespace_is_found(world: Wired) -> None:
    world.send("POST", SANDBOX.collection("ns-0"), sandbox_of(ELSEWHERE))
    assert world.promises == ["S5"]


def test_so_is_one_in_a_patch(world: Wired) -> None:
    test = {"op": "test", "path": "/metadata/uid", "value": ELSEWHERE}
    world.send("PATCH", item(CLAIM, "c", "status"), [test])
    assert world.promises == ["S5"]


def test_a_body_for_another_namespace_is_found(world: Wired) -> None:
    world.send("POST", SANDBOX.collection("ns-0"), sandbox_of(HERE, "ns-1"))
    assert world.promises == ["S5"]


def test_a_write_to_another_namespace_than_its_pass_is_found(world: Wired) -> None:
    world.send("DELETE", SANDBOX.collection("ns-1") + "/w1", {})
    assert world.promises == ["S11"]


def test_what_stays_at_home_is_sound(world: Wired) -> None:
    world.send("POST", SANDBOX.collection("ns-0"), sandbox_of(HERE))
    world.send("DELETE", item(SANDBOX, "w1"), {"preconditions": {"uid": HERE}})
    world.send("GET", POOL.collection("ns-1"))
    world.leave()
    world.send("PATCH", POOL.collection("ns-1") + "/pool", [])
    assert world.promises == []
