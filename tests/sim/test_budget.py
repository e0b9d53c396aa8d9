"""L7 is planted, for each kind of sender; and what production sends at most is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.sim.wired import NAMESPACE, OPTIONS, Wired, item

from warmclaim.api.event import EVENT
from warmclaim.api.lease import LEASE
from warmclaim.api.resources import POD, SANDBOX
from warmclaim.app.crew import RETRY_BASE_S
from warmclaim.kube.outage import PROBE_NAME
from warmclaim.testing.sim.budget import SPARE, Budget
from warmclaim.testing.sim.wire import Audience


@pytest.fixture
def world() -> Wired:
    """An outage that has just begun."""
    wired = Wired()
    budget = Budget(OPTIONS, wired.report)
    wired.judged_by(Audience([budget], [budget]))
    wired.is_out = True
    return wired


def _list(world: Wired) -> None:
    world.send("GET", SANDBOX.collection(), query=(("limit", "500"),))


def _probe(world: Wired) -> None:
    world.send("GET", item(SANDBOX, PROBE_NAME))


def _renew(world: Wired) -> None:
    world.send("PUT", item(LEASE, "l"), {})


def _tell(world: Wired) -> None:
    world.send("POST", EVENT.collection(NAMESPACE), {})


@pytest.mark.parametrize(
    ("send", "every_s"), [(_list, 0.8), (_probe, 0.25), (_renew, 1.0), (_tell, 1.0)]
)
def test_each_sender_has_its_pace(
    world: Wired, send: Callable[[Wired], None], every_s: float
) -> None:
    for _ in range(60):
        send(world)
        world.now_s += every_s
    assert world.promises == []
    for _ in range(60):
        send(world)
        world.now_s += every_s / 2
    assert world.promises
    assert set(world.promises) == {"L7"}


def test_a_key_that_backs_off_is_within_it(world: Wired) -> None:
    delay_s = RETRY_BASE_S
    for _ in range(13):
        world.begin("sandbox", "w1")
        world.send("POST", POD.collection(NAMESPACE), {})
        world.now_s += delay_s
        delay_s *= 2
    assert world.promises == []


def test_a_key_whose_back_off_begins_anew_each_time_is_found(world: Wired) -> None:
    for _ in range(200):
        world.begin("sandbox", "w1")
        world.send("POST", POD.collection(NAMESPACE), {})
        world.now_s += RETRY_BASE_S
    assert set(world.promises) == {"L7"}


def test_one_key_does_not_count_for_another(world: Wired) -> None:
    for number in range(200):
        world.begin("sandbox", f"w{number}")
        world.send("POST", POD.collection(NAMESPACE), {})
    assert world.promises == []


def test_each_outage_is_counted_by_itself(world: Wired) -> None:
    for _ in range(10):
        for _ in range(SPARE):
            _list(world)
        world.is_out = False
        _list(world)
        world.is_out = True
    assert world.promises == []
