"""Looking at a pool costs as much at 1,600 members as at 100, counted in lines of Python."""

from __future__ import annotations

import pytest
from tests.cost.counting import mean_lines

from warmclaim.api.sandbox import Sandbox
from warmclaim.api.template import Template
from warmclaim.domain.blueprint import blueprint_of
from warmclaim.domain.pool_ledger import PoolIdentity, PoolLedger
from warmclaim.testing.builders import a_sandbox, a_template, as_view

SMALL, LARGE = 100, 1_600
BLUEPRINT = blueprint_of(as_view(a_template(), Template))


class Loaded:
    """The ledger of a pool, half of whose members are not ready yet."""

    def __init__(self, members: int) -> None:
        self.found = [
            as_view(a_sandbox(f"w{number}", ready=number % 2 == 0), Sandbox)
            for number in range(members)
        ]
        self.ledger = PoolLedger(PoolIdentity("default", "pool-uid"), grace_s=300.0)
        for sandbox in self.found:
            self.ledger.see(sandbox.metadata.key, sandbox, 0.0)
        self.ledger.judge_by(BLUEPRINT, lambda: self.found)

    def look(self) -> None:
        self.ledger.judge_by(BLUEPRINT, lambda: self.found)
        assert self.ledger.counts.living == len(self.found)
        assert not self.ledger.progress(1.0).stuck

    def change(self) -> None:
        sandbox = self.found[-1]
        self.ledger.see(sandbox.metadata.key, None, 1.0)
        self.ledger.see(sandbox.metadata.key, sandbox, 1.0)


@pytest.mark.parametrize("move", [Loaded.look, Loaded.change], ids=["look", "change"])
def test_it_does_not_grow_with_the_pool(move: object) -> None:
    assert callable(move)
    small, large = Loaded(SMALL), Loaded(LARGE)
    few = mean_lines(lambda: move(small), 3)
    many = mean_lines(lambda: move(large), 3)
    assert many <= 2 * few  # 16 times the members; a few lines are those of caches
