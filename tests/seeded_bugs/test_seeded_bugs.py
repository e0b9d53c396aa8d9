"""Each bug of the catalogue breaks a promise that it names; the clean code keeps all of them.

WARMCLAIM_BUG_SEEDS sets how many seeds may be tried for one bug where its own no longer shows it.
"""

from __future__ import annotations

import os

import pytest
from tests.seeded_bugs.bugs import read_catalogue
from tests.seeded_bugs.campaign import HEADER, SEEDS_MAX, clean_failures, hunt_all, row

SEEDS = int(os.environ.get("WARMCLAIM_BUG_SEEDS", str(SEEDS_MAX)))
JOBS = min(2, os.cpu_count() or 1)
BUGS_MIN = 30


@pytest.mark.timeout(1800)
def test_every_seeded_bug_is_caught() -> None:
    bugs = read_catalogue()
    assert len(bugs) >= BUGS_MIN
    hunts = list(hunt_all(bugs, seeds_max=SEEDS, jobs=JOBS))
    table = "\n".join((HEADER, *map(row, hunts)))
    print(table)
    assert all(found.catches for found in hunts), table
    failures = clean_failures(hunts)
    assert not failures, f"the clean code fails, too: {failures}"
