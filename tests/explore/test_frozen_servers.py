"""A manager that comes back to a server which lives in the past does nothing that it regrets.

WARMCLAIM_FROZEN_SCENARIO names the scenario, WARMCLAIM_FROZEN_EVERY takes every N-th point only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from warmclaim.api.claim import Claim, ClaimStatus
from warmclaim.api.resources import SANDBOX
from warmclaim.controllers.claim_sight import ClaimSight
from warmclaim.domain import patches
from warmclaim.domain.adoption import ClaimFacts, Read
from warmclaim.domain.patches import Operation
from warmclaim.kube.ladder import Ladder, ListStep, Step
from warmclaim.testing.explore import frozen_servers
from warmclaim.testing.explore.freezes import WAYS, Explorer, Point
from warmclaim.testing.sim.simulation import run_case
from warmclaim.testing.store import Commit, Verb

SCENARIO = os.environ.get("WARMCLAIM_FROZEN_SCENARIO", "small-burst")
EVERY = int(os.environ.get("WARMCLAIM_FROZEN_EVERY", "1"))
JOBS = min(2, os.cpu_count() or 1)


@pytest.mark.timeout(900)
def test_a_server_may_stand_still_at_every_version(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--scenario", SCENARIO, "--every", str(EVERY), "--jobs", str(JOBS))
    code = frozen_servers.main(options)
    said = capsys.readouterr()
    assert code == 0, said.err
    explorer = Explorer()
    planned = sum(len(explorer.points(SCENARIO, way)) for way in WAYS)
    assert planned >= 90
    total = next(line for line in said.out.splitlines() if line.startswith("all"))
    assert int(total.split()[1]) == -(-planned // EVERY)


def test_a_server_without_its_store_answers_only_from_its_cache() -> None:
    lines = Explorer().traced(Point("small-burst", "cut", 30)).lines
    thawed_s = next(float(line.split()[0]) for line in lines if "server.thaw" in line)
    died_s = next(float(line.split()[0]) for line in lines if "manager.kill" in line)
    frozen = [line for line in lines if died_s + 0.01 < float(line.split()[0]) < thawed_s]
    assert not [line for line in frozen if " m0 " in line and " -> 20" in line]
    after = [line for line in lines if float(line.split()[0]) > thawed_s]
    assert any(" m0 " in line and " -> 200" in line for line in after)


def test_what_names_no_point_is_refused() -> None:
    assert str(Point.parsed("small-burst/cut/30")) == "small-burst/cut/30"
    for text in ("small-burst/never/30", "x/cut/30", "small-burst/cut"):
        with pytest.raises(ValueError):  # noqa: PT011 (each has another text)
            Point.parsed(text)


# ------------------------------------------------------- broken on purpose


class _EverythingRead(frozenset[Read]):
    """Whatever is asked for, it was read."""

    def __contains__(self, read: object) -> bool:
        return True


def _believe_any_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first list may be an old one, and a sandbox that is not in the cache is gone: its name
    is taken back without a look at the server and without a test."""
    step, facts, unpublication = Ladder.step, ClaimSight.facts, patches.unpublication_patch

    def first_from_cache(self: Ladder) -> Step:
        found = step(self)
        is_first = isinstance(found, ListStep) and self.position == 0
        return ListStep("0") if is_first else found

    def as_if_read(self: ClaimSight, *arguments: Any) -> ClaimFacts:
        return replace(facts(self, *arguments), reads=_EverythingRead())

    def blind(claim: Claim, status: ClaimStatus) -> list[Operation]:
        return [part for part in unpublication(claim, status) if part["op"] != "test"]

    monkeypatch.setattr(Ladder, "step", first_from_cache)
    monkeypatch.setattr(ClaimSight, "facts", as_if_read)
    monkeypatch.setattr(patches, "unpublication_patch", blind)


def _losses(point: Point) -> Iterator[int]:
    """The versions at which sandboxes were lost."""
    lost: list[int] = []

    def observe(commit: Commit) -> None:
        if commit.resource == str(SANDBOX) and commit.verb is Verb.DELETED:
            lost.append(commit.rv)

    run_case(point.case(), observers=[observe])
    yield from lost


def test_belief_in_an_old_cache_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _believe_any_cache(monkeypatch)
    explorer, point = Explorer(), Point("sandbox-lost", "settled", 0)
    assert explorer.reference("sandbox-lost", "settled").verdict == ""  # no server lags there
    results = [explorer.run(point._replace(version=version)) for version in _losses(point)]
    assert len(results) >= 4
    assert {result.verdict for result in results} == {"unsafe"}
    assert any(result.text.startswith("S2") for result in results)
