"""Shortage: how much refill the claims to come need."""

from __future__ import annotations

import pytest
from tests.kube.fakes import FakeClock

from warmclaim.controllers.shortage import LASTS_S, Shortage


@pytest.mark.parametrize(
    ("waiting", "replicas", "share"),
    [
        (100, 100, 0.0),
        (50, 100, 0.0),
        (40, 100, 0.4),
        (25, 100, 1.0),
        (1, 100, 1.0),
        (1, 1, 0.0),
        (120, 100, 0.0),
        (3, 0, 0.0),
    ],
)
def test_the_emptier_the_pool_the_more(waiting: int, replicas: int, share: float) -> None:
    shortage = Shortage(FakeClock())
    assert shortage.share() == 0.0
    shortage.took(waiting, replicas)
    assert shortage.share() == pytest.approx(share)


def test_the_emptiest_pool_counts_and_for_a_while_only() -> None:
    clock = FakeClock()
    shortage = Shortage(clock)
    shortage.took(25, 100)
    shortage.took(40, 100)
    assert shortage.share() == 1.0
    clock.now += LASTS_S
    assert shortage.share() == 0.0
    shortage.took(40, 100)
    assert shortage.share() == pytest.approx(0.4)
