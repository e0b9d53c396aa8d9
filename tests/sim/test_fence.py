"""S9 is planted, each form of it once; and what looks like it and is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.sim.wired import PROCESS, Wired, item

from warmclaim.api.lease import LEASE
from warmclaim.api.resources import CLAIM
from warmclaim.testing.json_values import Json
from warmclaim.testing.sim.fence import Fence
from warmclaim.testing.sim.wire import Audience

DEADLINE_S = 10.0


def lease(holder: str, number: int) -> Json:
    return {"metadata": {"name": "l"}, "spec": {"holderIdentity": holder, "renewTime": f"{number}"}}


class Term(Wired):
    """A manager, its Lease, and its writes. Each record has a renewTime of its own."""

    def __init__(self) -> None:
        super().__init__()
        fence = Fence(DEADLINE_S, self.report)
        self.judged_by(Audience([fence], [], [fence]))
        self.records = 0

    def renew(self, *, takes_s: float = 0.0, is_answered: bool = True) -> None:
        self.records += 1
        record = lease(PROCESS, self.records)
        exchange = self.send("PUT", item(LEASE, "l"), record)
        self.now_s += takes_s
        if is_answered:
            self.answer(exchange, record)

    def release(self) -> None:
        self.send("PUT", item(LEASE, "l"), lease("", 0))

    def see(self, holder: str, number: int = 0) -> None:
        self.send("GET", item(LEASE, "l"), None, lease(holder, number))

    def write(self) -> None:
        self.send("PATCH", item(CLAIM, "c", "status"), [])


def _never_led(term: Term) -> None:
    term.write()


def _past_the_deadline(term: Term) -> None:
    term.renew()
    term.now_s += DEADLINE_S + 0.1
    term.write()


def _counted_from_the_answer(term: Term) -> None:
    term.renew(takes_s=4)
    term.now_s += DEADLINE_S - 3
    term.write()


def _renewed_without_an_answer(term: Term) -> None:
    term.renew()
    term.now_s += 8
    term.renew(is_answered=False)
    term.now_s += 8
    term.write()


def _another_holder_was_seen(term: Term) -> None:
    term.renew()
    term.now_s += 1
    term.see("m1-1")
    term.now_s += 1
    term.write()


def _given_back(term: Term) -> None:
    term.renew()
    term.release()
    term.write()


BREAKING: list[Callable[[Term], None]] = [
    _never_led,
    _past_the_deadline,
    _counted_from_the_answer,
    _renewed_without_an_answer,
    _another_holder_was_seen,
    _given_back,
]


@pytest.mark.parametrize("breaks", BREAKING, ids=lambda breaks: breaks.__name__.strip("_"))
def test_a_planted_breach_is_found(breaks: Callable[[Term], None]) -> None:
    term = Term()
    breaks(term)
    assert term.promises == ["S9"], term.texts


def test_a_term_that_is_renewed_goes_on() -> None:
    term = Term()
    for _ in range(5):
        term.renew(takes_s=0.5)
        term.now_s += DEADLINE_S - 1
        term.write()
    assert term.promises == []


def test_a_lost_answer_that_was_read_back_counts_from_the_sending() -> None:
    term = Term()
    term.renew(takes_s=3, is_answered=False)
    term.see(PROCESS, number=1)
    term.now_s = DEADLINE_S
    term.write()
    term.now_s += 1
    term.write()
    assert term.promises == ["S9"]


def test_whoever_gets_the_lease_again_leads_again() -> None:
    term = Term()
    term.renew()
    term.see("m1-1")
    term.now_s += 20
    term.see("")
    term.renew()
    term.write()
    assert term.promises == []


def test_reads_are_free() -> None:
    term = Term()
    term.send("GET", item(CLAIM, "c"))
    assert term.promises == []
