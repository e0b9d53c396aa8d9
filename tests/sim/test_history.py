"""S15 is broken in each way once, and not by a row in its time."""

from __future__ import annotations

import pytest
from tests.sim.wired import PROCESS, Wired, builders, in_ns

from warmclaim.api.resources import CLAIM
from warmclaim.domain.claim_history import ClaimEnd, ClaimRow
from warmclaim.testing.sim.history import Histories


class Telling(Wired):
    """Managers that tell of the claim c, which may go."""

    def __init__(self, *, is_served: bool) -> None:
        super().__init__()
        self.histories = Histories(self.report)
        self.store.observers.append(self.histories.on_commit)
        sandbox = "w1" if is_served else None
        self.put(in_ns(builders.a_claim, "c", sandbox=sandbox))

    def tell(self, outcome: ClaimEnd, process: str = PROCESS) -> None:
        row = ClaimRow(
            uid="c-uid", namespace="ns-0", name="c", pool="p", outcome=outcome, created_us=0
        )
        self.histories.of(process).append(row)


def test_once_for_a_claim_that_is_gone_by_each_process() -> None:
    managers = Telling(is_served=True)
    managers.delete(CLAIM, "c")
    managers.tell(ClaimEnd.SERVED)
    managers.tell(ClaimEnd.SERVED, "m1-1")
    assert managers.promises == []


def test_twice() -> None:
    managers = Telling(is_served=True)
    managers.delete(CLAIM, "c")
    managers.tell(ClaimEnd.SERVED)
    managers.tell(ClaimEnd.ABANDONED)
    assert managers.promises == ["S15"]


def test_while_the_claim_is_there() -> None:
    managers = Telling(is_served=True)
    managers.tell(ClaimEnd.SERVED)
    assert managers.promises == ["S15"]


@pytest.mark.parametrize(
    ("outcome", "promises"), [(ClaimEnd.SERVED, ["S15"]), (ClaimEnd.REFUSED, [])]
)
def test_a_service_that_nobody_saw(outcome: ClaimEnd, promises: list[str]) -> None:
    managers = Telling(is_served=False)
    managers.delete(CLAIM, "c")
    managers.tell(outcome)
    assert managers.promises == promises
