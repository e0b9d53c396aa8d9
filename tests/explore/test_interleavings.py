"""Two leaders at once, in every order of their calls: nothing is given twice, nothing is left over.

WARMCLAIM_LOST_ANSWERS (none, drawn, all) and WARMCLAIM_LOST_SEED say which answers get lost;
WARMCLAIM_JOBS how many processes look.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import comb, prod
from typing import Any

import pytest
from tests.explore.sizes import JOBS, LOST_ANSWERS, LOST_SEED

from warmclaim.api.meta import ObjectKey
from warmclaim.controllers import claim as claim_controller
from warmclaim.controllers import hand_over, pool, pool_growth
from warmclaim.controllers.pool_members import PoolMemory
from warmclaim.domain import patches
from warmclaim.domain.patches import Operation
from warmclaim.runtime.reconciler import DONE, Result, again
from warmclaim.testing.explore import interleavings
from warmclaim.testing.explore.orders import leaves, split
from warmclaim.testing.explore.race import Scope
from warmclaim.testing.explore.scopes import BY_NAME, CORE, LARGE
from warmclaim.testing.explore.search import SHARE, Search, search_all, shrunk
from warmclaim.testing.explore.steps import choices_in

pytestmark = pytest.mark.timeout(300)

ORDERS_MIN = comb(16, 8)
"""Two leaders with four writes each, a write and its answer apart: 12,870 without any conflict."""

# Where old views make most orders, so many losses for one are left to WARMCLAIM_LOST_ANSWERS=all.
SHARES = {
    "claims-deaf-crossed-sandboxes": 256,
    "pool-prompt": 64,
    "pool-deaf": 64,
}


@dataclass
class Toy:
    """Two counters to `length`, and no production code."""

    taken: list[str] = field(default_factory=list[str])
    offered: list[list[str]] = field(default_factory=list[list[str]])


def toy_of(length: int) -> Callable[[Sequence[str]], Toy]:
    def run(prefix: Sequence[str]) -> Toy:
        toy, left = Toy(), {"0": length, "1": length}
        while choices := [name for name in left if left[name]]:
            at = len(toy.taken)
            choice = prefix[at] if at < len(prefix) else choices[0]
            left[choice] -= 1
            toy.offered.append(choices)
            toy.taken.append(choice)
        return toy

    return run


def test_eight_steps_each_have_as_many_orders_as_there_are() -> None:
    orders = ["".join(toy.taken) for toy in leaves(toy_of(8))]
    assert len(orders) == len(set(orders)) == ORDERS_MIN == 12_870


@pytest.mark.parametrize("depth", [0, 1, 5, 12])
def test_the_parts_of_a_tree_hold_every_leaf_once(depth: int) -> None:
    run = toy_of(3)
    whole = ["".join(toy.taken) for toy in leaves(run)]
    parts = ["".join(toy.taken) for root in split(run, depth) for toy in leaves(run, root)]
    assert parts == whole


def test_a_replay_that_goes_another_way_is_found() -> None:
    runs: list[Toy] = []

    def run(prefix: Sequence[str]) -> Toy:
        toy = toy_of(3 if runs else 4)(prefix)
        runs.append(toy)
        return toy

    with pytest.raises(RuntimeError, match="another way"):
        list(leaves(run))


def test_an_order_is_read_as_it_is_printed() -> None:
    assert choices_in("01b1-0c+") == ["0", "1b", "1-", "0c+"]
    with pytest.raises(ValueError, match="no order"):
        choices_in("012")


def covered(orders: Iterable[Any]) -> Fraction:
    return sum(
        (Fraction(1, prod(len(choices) for choices in order.offered)) for order in orders),
        Fraction(0),
    )


def test_each_step_of_each_order_gets_lost_in_another() -> None:
    scope = BY_NAME["claims-prompt-crossed-claims"]
    plain = list(leaves(Search(scope).run))
    orders = list(leaves(Search(scope, "all").run))
    assert covered(plain) == covered(orders) == 1
    assert len({str(order) for order in orders}) == len(orders)
    assert {str(order) for order in plain} < {str(order) for order in orders}
    lost = {tuple(o.taken[: at + 1]) for o in orders for at, c in enumerate(o.taken) if "-" in c}
    assert lost == {
        (*order.taken[:at], f"{choice}-")
        for order in plain
        for at in range(len(order.taken))
        for choice in order.offered[at]
    }


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scope", CORE, ids=str)
def test_every_order_is_safe_and_comes_to_its_end(scope: Scope) -> None:
    share = SHARES.get(str(scope), SHARE)
    tally = search_all(Search(scope, LOST_ANSWERS, LOST_SEED, share), jobs=JOBS)
    assert not tally.failures
    assert tally.covered == 1
    assert tally.with_loss > 0 or LOST_ANSWERS == "none"
    if scope.is_split:
        assert tally.orders - tally.with_loss >= ORDERS_MIN


@pytest.mark.parametrize("scope", LARGE, ids=str)
def test_a_large_scope_can_be_run(scope: Scope) -> None:
    assert not Search(scope).run(()).failure
    assert not Search(scope, "all").run(["1-", "0"]).failure


# The search is searched: what is broken on purpose must be found.


def only_setting(made: Callable[..., list[Operation]]) -> Callable[..., list[Operation]]:
    """A patch that needs nothing to be as it was seen: no test, and nothing to be removed."""

    def broken(*given: Any, **named: Any) -> list[Operation]:
        return [entry for entry in made(*given, **named) if entry["op"] in ("add", "replace")]

    return broken


def found(name: str, *root: str) -> str:
    """The promise that the first failing order broke, of those that begin so; "" if none fails."""
    search = Search(BY_NAME[name])
    for order in leaves(search.run, root):
        if order.failure:
            again = shrunk(search, order.taken)
            assert again.failure
            assert again.trace
            return order.failure.partition(" ")[0]
    return ""


def test_a_publication_that_compares_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "publication_patch", only_setting(patches.publication_patch))
    assert found("claims-prompt-crossed-sandboxes", "1", "0") == "S2"


def test_a_reservation_that_compares_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand_over, "reservation_patch", only_setting(patches.reservation_patch))
    assert found("claims-prompt-crossed-claims") == "S1"


def test_a_second_reservation_that_nobody_reclaims_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def forget(*_: object) -> None:
        """Take it for done."""

    monkeypatch.setattr(hand_over.HandOver, "reclaim", forget)
    assert found("claims-deaf-crossed-sandboxes") in ("L3", "no")  # kept, or asked for for ever


def test_a_leader_that_counts_with_an_old_view_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def believe(_self: object, _pool: object, memory: PoolMemory) -> None:
        """Take the cache for complete."""
        memory.is_sure = True

    monkeypatch.setattr(pool_growth.PoolGrowth, "_make_sure", believe)
    assert found("batches-deaf") == "S6"


def test_a_claim_that_is_never_looked_at_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = claim_controller.ClaimReconciler.reconcile

    async def skip(self: claim_controller.ClaimReconciler, key: ObjectKey) -> Any:
        """Leave one claim to others."""
        return DONE if key.name == "c1" else await real(self, key)

    monkeypatch.setattr(claim_controller.ClaimReconciler, "reconcile", skip)
    assert found("claims-deaf") == "L1"


def test_a_leader_that_never_rests_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_again(*_: object) -> Result:
        """For ever, without a request."""
        return again(1.0)

    monkeypatch.setattr(pool.PoolReconciler, "_write_status", look_again)
    assert "no rest within 600 s" in Search(BY_NAME["pool-prompt"]).run(()).failure


# The command line.

SMALL = "claims-prompt-crossed-claims"


def test_the_figures_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert interleavings.main(("--scope", SMALL, "--lost-answers", "none")) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    orders = str(search_all(Search(BY_NAME[SMALL])).orders)
    assert [row[:2] for row in rows[1:]] == [[SMALL, orders], ["all", orders]]


def test_a_failing_order_is_printed_shrunk_and_can_be_replayed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_over, "reservation_patch", only_setting(patches.reservation_patch))
    assert interleavings.main(("--scope", SMALL, "--lost-answers", "none")) == 1
    said = capsys.readouterr().out
    order = said.strip().rpartition(" ")[2]
    assert f"--scope {SMALL} --replay {order}" in said
    assert interleavings.main(("--scope", SMALL, "--replay", order)) == 1
    again = capsys.readouterr().out
    assert "m0 PATCH sandboxes/w0" in again
    assert "S1" in again
    monkeypatch.undo()
    assert interleavings.main(("--scope", SMALL, "--replay", "10")) == 0
    assert interleavings.main(("--scope", SMALL, "--replay", "11b")) == 1
    assert "after 1 there is no 1b" in capsys.readouterr().out


def test_the_same_order_has_the_same_trace_under_any_hash_seed() -> None:
    command = [sys.executable, "-m", "warmclaim.testing.explore.interleavings"]
    command += ["--scope", "batches-deaf", "--replay", "0011-01"]
    traces = {
        subprocess.run(
            command,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(traces) == 1
    assert "lost on its way" in traces.pop()
